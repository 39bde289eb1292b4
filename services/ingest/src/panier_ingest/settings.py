"""What ingest is told, from the environment alone. It must not read anything else."""

from panier_common.settings import ServiceSettings
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict


class IngestSettings(ServiceSettings):
    """The door's settings; secrets can be given as files (`<NAME>_FILE`)."""

    model_config = SettingsConfigDict(env_prefix="PANIER_INGEST_")

    host: str = Field(default="0.0.0.0", description="Address the public port listens on.")
    port: int = Field(default=8080, description="Public port: the webhooks and nothing else.")
    meta_app_secret: SecretStr = Field(
        description="Secrets that sign WhatsApp's webhooks, comma-separated (several apps, rotation).",
        validation_alias="PANIER_META_APP_SECRET",
    )
    meta_verify_token: SecretStr = Field(
        min_length=1,
        description="The word that WhatsApp's handshake must know.",
        validation_alias="PANIER_META_VERIFY_TOKEN",
    )
    simulated_payment_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Key that signs the simulated payment provider's notifications; empty refuses them all.",
        validation_alias="PANIER_SIMULATED_PAYMENT_SECRET",
    )
    acknowledge_seconds: float = Field(
        default=5.0, gt=0, description="How long a request waits for the broker before it is answered 503."
    )
    retry_after_seconds: int = Field(default=5, ge=1, description="What a 503 tells the sender to wait (Retry-After).")
    waiting_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=8 * 1024 * 1024,
        description="Bytes of request bodies held at once, half of them for bodies of at most 16 KiB; "
        "what comes on top is answered 503.",
    )
    waiting_requests: int = Field(
        default=10_000, ge=1, description="Requests held at once; what comes on top is answered 503."
    )

    @field_validator("meta_app_secret")
    @classmethod
    def _has_a_secret(cls, value: SecretStr) -> SecretStr:
        # Without one, anybody could sign: an empty key is known to all.
        if not any(part.strip() for part in value.get_secret_value().split(",")):
            raise ValueError("at least one secret is needed")
        return value

    @property
    def app_secrets(self) -> tuple[bytes, ...]:
        """Each app's secret, in the order given."""
        parts = (part.strip() for part in self.meta_app_secret.get_secret_value().split(","))
        return tuple(part.encode() for part in parts if part)
