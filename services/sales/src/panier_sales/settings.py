"""What the sales service is told by its environment."""

from panier_common.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class SalesSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="PANIER_SALES_")

    stall_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Not ready when no offset was committed for this long while records wait; ends after twice that.",
    )
