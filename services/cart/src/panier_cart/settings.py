"""What the cart service is told from outside; nothing here is read anywhere but in `__main__`."""

from panier_common.settings import DatabaseSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class CartSettings(DatabaseSettings):
    """The settings every service with a database has, under the cart's names."""

    model_config = SettingsConfigDict(env_prefix="PANIER_CART_")

    keep_days: int = Field(
        default=90, ge=9, description="For how many days a cart is kept that nobody changes or looks at."
    )
