"""Settings that every service has; a service's own class adds its fields. Environment only, secrets also as files.

`<NAME>_FILE` names a file that holds the value of `<NAME>`, for any setting.
"""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import DirectoryPath, Field, SecretStr, ValidationError, ValidationInfo, field_validator
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


class KafkaSecurity(Settings):
    """How brokers are spoken to: in plain, by TLS with a certificate, or by TLS with a name and a password."""

    kafka_tls: DirectoryPath | None = Field(
        default=None,
        description="Folder with ca.crt, and user.crt and user.key unless SASL is used, with which Kafka is spoken to "
        "by TLS; unset: in plain.",
        validation_alias="PANIER_KAFKA_TLS",
    )
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] | None = Field(
        default=None,
        description="How brokers ask for a name and a password, by TLS: SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN.",
        validation_alias="PANIER_KAFKA_SASL_MECHANISM",
    )
    kafka_username: str = Field(default="", description="The name for SASL.", validation_alias="PANIER_KAFKA_USERNAME")
    kafka_password: SecretStr = Field(
        default=SecretStr(""),
        validate_default=True,
        description="The password for SASL.",
        validation_alias="PANIER_KAFKA_PASSWORD",
    )

    @field_validator("kafka_password")
    @classmethod
    def _is_whole(cls, password: SecretStr, given: ValidationInfo) -> SecretStr:
        mechanism, username = given.data.get("kafka_sasl_mechanism"), given.data.get("kafka_username")
        if mechanism is None and (username or password.get_secret_value()):
            raise ValueError("a name or a password is of no use without PANIER_KAFKA_SASL_MECHANISM")
        if mechanism is not None and not (username and password.get_secret_value()):
            raise ValueError("SASL needs PANIER_KAFKA_USERNAME and PANIER_KAFKA_PASSWORD")
        if mechanism is not None and given.data.get("kafka_tls") is None:
            raise ValueError("SASL needs PANIER_KAFKA_TLS: without it, the password could be read on the way")
        return password


class ServiceSettings(KafkaSecurity):
    """What every service is told."""

    kafka_bootstrap_servers: str = Field(
        description="Kafka brokers to start from: host:port, comma-separated.",
        validation_alias="PANIER_KAFKA_BOOTSTRAP_SERVERS",
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
