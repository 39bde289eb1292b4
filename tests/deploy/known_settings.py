"""What each program may and must be told, from its own settings class: the ground truth for manifests."""

import importlib
import inspect
import pathlib
from dataclasses import dataclass

from pydantic import SecretStr
from pydantic_settings import BaseSettings

ROOT = pathlib.Path(__file__).parents[2]
SERVICES = ("ingest", "catalog", "cart", "checkout", "sender", "sales", "console")
WITH_DATABASE = ("catalog", "cart", "checkout", "sender", "console")


@dataclass(frozen=True)
class Setting:
    default: object
    required: bool
    secret: bool


def settings_of(program: str) -> dict[str, Setting]:
    """The settings of `panier_<program>` by the name of their variable."""
    module = importlib.import_module(f"panier_{program}.settings")
    [kind] = [
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, BaseSettings) and found.__module__ == module.__name__
    ]
    prefix = str(kind.model_config.get("env_prefix") or "")
    return {
        str(field.validation_alias or prefix + name).upper(): Setting(
            field.default, field.is_required(), field.annotation is SecretStr
        )
        for name, field in kind.model_fields.items()
    }


def is_opentelemetry(name: str) -> bool:
    """OpenTelemetry's own variables are honoured by every service."""
    return name.startswith("OTEL_")
