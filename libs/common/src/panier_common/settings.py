"""Settings that every service has; a service's own class adds its fields. Environment only, secrets also as files.

`<NAME>_FILE` names a file that holds the value of `<NAME>`, for any setting.
"""

import os
from pathlib import Path
from typing import Any

from pydantic import DirectoryPath, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource


class FileSource(EnvSettingsSource):
    """Reads `<NAME>_FILE` for each setting `<NAME>` that the environment does not give itself."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        for key, env_name, complex_value in self._extract_field_info(field, field_name):
            path = os.environ.get(f"{env_name}_FILE".upper())
            if path:
                return Path(path).read_text(encoding="utf-8").strip(), key, complex_value
        return None, field_name, False


class SettingsError(ValueError):
    """Settings that are missing or wrong, each by its name; never with a value, which may be a secret."""


class Settings(BaseSettings):
    """The parent of every settings class: environment first, then files named by the environment."""

    def __init__(self, **values: Any) -> None:
        """Raises SettingsError in place of pydantic's, which shows everything that was given."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = error.errors(include_input=False, include_context=False, include_url=False)
            why = "; ".join(f"{self._setting(problem['loc'])}: {problem['msg']}" for problem in problems)
        else:
            return
        raise SettingsError(why)

    @classmethod
    def _setting(cls, location: tuple[int | str, ...]) -> str:
        """The variable's name: a field without an alias is known to pydantic by its own."""
        name = str(location[0]) if location else ""
        return f"{cls.model_config.get('env_prefix') or ''}{name}".upper() if name in cls.model_fields else name

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, FileSource(settings_cls)


class ServiceSettings(Settings):
    """What every service is told."""

    kafka_bootstrap_servers: str = Field(
        description="Kafka brokers to start from: host:port, comma-separated.",
        validation_alias="PANIER_KAFKA_BOOTSTRAP_SERVERS",
    )
    kafka_tls: DirectoryPath | None = Field(
        default=None,
        description="Folder with ca.crt, user.crt and user.key, with which Kafka is spoken to by TLS; unset: in plain.",
        validation_alias="PANIER_KAFKA_TLS",
    )
    admin_token: SecretStr = Field(
        description="Bearer token of the internal API.", validation_alias="PANIER_ADMIN_TOKEN"
    )
    log_level: str = Field(
        default="INFO",
        description="The least severity that is logged: DEBUG, INFO, WARNING or ERROR.",
        validation_alias="PANIER_LOG_LEVEL",
    )
    admin_host: str = Field(default="0.0.0.0", description="Address the admin port listens on.")
    admin_port: int = Field(
        default=9090, description="Port of /metrics, /livez, /readyz, /status and the internal API."
    )


class DatabaseSettings(ServiceSettings):
    """What a service with a database is told besides."""

    database_url: SecretStr = Field(description="The service's own PostgreSQL database: postgresql://…")
