"""What a backup says of itself: `manifest.json`, written last, so that a backup without one is none."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from panier_cli.errors import Refused

FORMAT = 1
FILE = "manifest.json"
_CHUNK = 1024 * 1024


def digest(path: Path) -> str:
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def write(folder: Path, manifest: dict[str, Any]) -> None:
    fresh = folder / f".{FILE}"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(folder / FILE)


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a whole backup whose files are those that were written; anything else is refused."""
    try:
        manifest: dict[str, Any] = json.loads((folder / FILE).read_text("utf-8"))
    except FileNotFoundError:
        raise Refused(
            "no_backup", f"{folder} holds no backup", "it has no manifest: was its backup broken off?"
        ) from None
    except (OSError, ValueError) as error:
        raise Refused("bad_backup", f"the manifest of {folder} cannot be read: {error}") from error
    if manifest.get("format") != FORMAT:
        raise Refused("newer_backup", f"{folder} was written by another version", "restore it with that version")
    for name, one in manifest["services"].items():
        file = folder / one["file"]
        if not file.is_file() or file.stat().st_size != one["bytes"] or digest(file) != one["sha256"]:
            raise Refused("bad_backup", f"{file} is not what was written for {name}", "use another backup")
    return manifest
