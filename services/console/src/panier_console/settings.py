"""What the console is told by its environment."""

from panier_common.settings import DatabaseSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class ConsoleSettings(DatabaseSettings):
    model_config = SettingsConfigDict(env_prefix="PANIER_CONSOLE_")

    host: str = Field(default="0.0.0.0", description="Address the shop's page listens on.")
    port: int = Field(default=8090, description="Port of the shop's page.")
    keep_days: int = Field(default=400, ge=9, description="For how many days the messages of conversations are kept.")
