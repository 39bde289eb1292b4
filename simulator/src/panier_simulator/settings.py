"""What the simulator is told from outside: every setting, with its unit and its default. No logic."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from panier_simulator.faults import Faults, read_faults
from panier_simulator.secret_files import SecretFiles

EXAMPLE_SHOPS = Path("examples/bakery/shops.toml")
OWN_SHOPS = Path(__file__).parent / "example" / "shops.toml"


class Settings(BaseSettings):
    """Read from the environment; a secret may also be given as a file named by `<SETTING>_FILE`."""

    model_config = SettingsConfigDict(env_prefix="PANIER_", extra="ignore", frozen=True)

    simulator_host: str = Field("127.0.0.1", description="Address to listen on")
    simulator_port: int = Field(8070, ge=0, le=65535, description="Port of the phone and the Graph API")
    simulator_data: Path = Field(Path(".panier/simulator"), description="Folder of the simulator's state")
    simulator_webhook_url: str = Field(
        "http://127.0.0.1:8080/webhooks/whatsapp",
        description="Where webhooks are posted, as set in a Meta app",
    )
    simulator_payment_webhook_url: str = Field(
        "http://127.0.0.1:8080/webhooks/payments/simulated",
        description="Where the simulated payment provider posts its notifications",
    )
    simulator_check_tokens: bool = Field(
        False, description="Accept only the access token that the shops file names, not any bearer token"
    )
    simulator_window: Literal["refuse", "fail", "off"] = Field(
        "refuse",
        description="A free message more than 24 hours after the customer's last one: refused at once,"
        " accepted and then failed by a status, or let through",
    )
    simulator_pair_rate: bool = Field(
        True, description="Hold Meta's limit for one customer: one message in 6 seconds, bursts of 45"
    )
    simulator_messages_per_second: int = Field(
        80, ge=0, description="Throughput of one number, in and out; 0 holds no limit (Meta's own: 80 or 1000)"
    )
    simulator_delivered_after_seconds: float = Field(
        0.1, ge=0, description="Time until a message reaches the customer's phone"
    )
    simulator_webhooks_parallel: int = Field(64, ge=1, description="Webhooks on their way at one moment")
    simulator_webhook_timeout_seconds: float = Field(20.0, gt=0, description="Time a webhook may take")
    simulator_webhook_queue: int = Field(
        100_000, ge=1, description="Webhooks kept for delivery; when full, new messages are refused"
    )
    simulator_check_templates: bool = Field(
        True,
        description="Refuse templates that are unknown even when the account has created none;"
        " one that has created some may send no others in any case",
    )
    simulator_template_review_seconds: float = Field(
        1.0, ge=0, description="Time until a new template is approved or rejected"
    )
    simulator_faults: str = Field(
        "",
        description="What goes wrong: `none`, `all`, or shares and bounds by name, as in `all,seed=7,missing=0`;"
        " empty keeps what the API set last",
    )
    shops: Path = Field(EXAMPLE_SHOPS, description="Path of the shops file (TOML)")
    meta_app_secret: SecretStr = Field(
        SecretStr("simulated-app-secret"),
        description="Secrets of Meta apps, comma-separated; the first signs",
    )
    simulated_payment_secret: SecretStr = Field(
        SecretStr("simulated-payment-secret"), description="Key that signs payment notifications"
    )
    log_level: str = Field("INFO", description="Least level that is logged")

    @property
    def faults(self) -> Faults:
        """What the setting asks for. Raises ValueError when it cannot be read."""
        return read_faults(self.simulator_faults)

    @property
    def shops_file(self) -> Path:
        """The shops file; without one in a folder where none was named, the one that comes with the package."""
        return OWN_SHOPS if self.shops == EXAMPLE_SHOPS and not self.shops.exists() else self.shops

    @property
    def signing_secret(self) -> bytes:
        """The secret that signs webhooks: the first of the list."""
        return self.meta_app_secret.get_secret_value().split(",")[0].strip().encode()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, SecretFiles(settings_cls), env_settings
