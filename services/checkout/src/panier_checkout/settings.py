"""What checkout is told by its environment."""

from panier_common.settings import DatabaseSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class CheckoutSettings(DatabaseSettings):
    """`PANIER_CHECKOUT_…`, and the names that services share."""

    model_config = SettingsConfigDict(env_prefix="PANIER_CHECKOUT_", populate_by_name=True)

    simulated_payment_url: str = Field(
        default="http://localhost:8070/pay/{currency}/{minor}",
        pattern=r"^https?://[^\s/]",
        description="The simulated provider's payment page; the order id follows as a path segment. `{currency}` "
        "and `{minor}` in it are replaced by the amount.",
        validation_alias="PANIER_SIMULATED_PAYMENT_URL",
    )
    provider_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=60,
        description="How long a payment provider reached over the network may take to answer one call.",
    )
