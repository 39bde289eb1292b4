"""The catalogue's settings, from the environment alone."""

from pathlib import Path

from panier_common.settings import DatabaseSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class CatalogSettings(DatabaseSettings):
    """What the catalogue is told besides what every service with a database is."""

    model_config = SettingsConfigDict(env_prefix="PANIER_CATALOG_")

    shops: Path | None = Field(
        default=None,
        description="Shops file (TOML) that is applied at the start; none is when this is unset.",
        validation_alias="PANIER_SHOPS",
    )
