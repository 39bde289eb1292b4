"""What the cart service is told from outside; nothing here is read anywhere but in `__main__`."""

from panier_common.settings import DatabaseSettings
from pydantic_settings import SettingsConfigDict


class CartSettings(DatabaseSettings):
    """The settings every service with a database has, under the cart's names."""

    model_config = SettingsConfigDict(env_prefix="PANIER_CART_")
