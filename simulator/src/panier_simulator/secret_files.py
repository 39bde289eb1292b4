"""Secrets from files: `<SETTING>_FILE` names a file whose whole text is the value of a secret setting."""

import os
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource


class SecretFiles(PydanticBaseSettingsSource):
    """Offers the content of the named files to pydantic-settings, for secret fields only."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = None
        if field.annotation is SecretStr:
            prefix = self.config.get("env_prefix") or ""
            path = os.environ.get(f"{prefix}{field_name}_FILE".upper())
        return (Path(path).read_text(encoding="utf-8").strip() if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        found = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: value for name, value in found.items() if value is not None}
