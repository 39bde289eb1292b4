"""The data folder of a local stack: who runs on it, its secrets, and what other commands need to know.

Imported by commands that must start fast: standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from panier_cli.errors import Refused

ROOT = Path(__file__).resolve().parents[3]
"""The checkout; commands work from any folder."""


def data_path(env: Mapping[str, str] = os.environ) -> Path:
    """``PANIER_DATA``, else ``.panier`` in the checkout."""
    given = env.get("PANIER_DATA")
    return Path(given).resolve() if given else ROOT / ".panier"


def _write_private(path: Path, document: Any) -> None:
    """Replace a file as a whole, readable by its owner only (that is how mkstemp makes it)."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
    os.replace(name, path)


class DataFolder:
    """One local stack's folder. Reading it needs no lock; writing needs `hold`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    @property
    def _state_file(self) -> Path:
        return self.path / "stack.json"

    def hold(self) -> None:
        """Take the folder for this process until it ends, or refuse because somebody has it."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.path / "lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise Refused(
                "data_folder",
                f"the data folder {self.path} cannot be used: {error}",
                "move it by PANIER_DATA",
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
            addresses = (self._read_state() or {}).get("addresses") or {"": "its ports, still starting"}
            at = addresses.get("console") or next(iter(addresses.values()))
            raise Refused(
                "already_running",
                f"a stack with this data is already running: pid {pid}, at {at}",
                f"stop it first (kill -INT {pid}), or give this one a folder of its own by PANIER_DATA",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        self.write_state({"pid": os.getpid()})

    def is_held(self) -> bool:
        """Whether a stack runs on this folder right now."""
        try:
            with (self.path / "lock").open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def secret(self, name: str) -> str:
        """A random secret that stays the same for this data, made when first asked for."""
        known = self._secrets()
        if name not in known:
            known[name] = secrets.token_hex(24)
            _write_private(self.path / "secrets.json", known)
        return known[name]

    def known_secret(self, name: str) -> str | None:
        """A secret that was made before."""
        return self._secrets().get(name)

    def _secrets(self) -> dict[str, str]:
        try:
            known: dict[str, str] = json.loads((self.path / "secrets.json").read_text("utf-8"))
        except FileNotFoundError:
            return {}
        return known

    def write_state(self, state: dict[str, Any]) -> None:
        _write_private(self._state_file, state)

    def state(self) -> dict[str, Any] | None:
        """What the running stack says of itself; None when none is running."""
        return self._read_state() if self.is_held() else None

    def _read_state(self) -> dict[str, Any] | None:
        try:
            state: dict[str, Any] = json.loads(self._state_file.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return state
