"""`panier backup`: the services' databases, each as of one moment, in a folder with a manifest."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import Refused
from panier_cli.output import at, put, table


def backup(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to; it must not be there, or be empty.")],
    service: Annotated[list[str] | None, typer.Option(help="Only this service; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Copy the databases that settings name, else those of the local stack, running or not."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Refused("not_empty", f"{folder} is not empty", "name a folder of its own for each backup")
    except OSError as error:
        raise Refused("no_folder", f"{folder} cannot be written to: {error}") from error
    put(asyncio.run(_backup(folder, service)), as_json, _shown)


async def _backup(folder: Path, names: list[str] | None) -> dict[str, Any]:
    from importlib.metadata import version

    import asyncpg

    from panier_cli.backups import copies, manifest
    from panier_cli.backups.databases import chosen, databases
    from panier_cli.stack.screen import Screen

    services = chosen(names)
    screen, taken = Screen(sys.stderr), {}
    begun = datetime.now(UTC).isoformat()
    async with databases(services, screen, at_rest=False) as found:
        for done, service in enumerate(services, 1):
            screen.waiting(f"copying {service.name} ({done} of {len(services)})")
            try:
                taken[service.name] = await copies.copy(service, found.urls[service.name], folder)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                raise _unreachable(service.name, error) from error
    screen.waiting("")
    written = {"format": manifest.FORMAT, "version": version("panier-cli"), "begun_at": begun, "services": taken}
    manifest.write(folder, written)
    return {"folder": str(folder), **written}


def _unreachable(name: str, error: BaseException) -> Refused:
    from panier_common.postgres import why_away

    why = why_away(error).replace("the database", f"the database of {name}", 1)
    return Refused("no_database", why, "PANIER_<SERVICE>_DATABASE_URL is that of its owner")


def _shown(document: dict[str, Any]) -> Iterable[Any]:
    rows = (
        (name, at(one["taken_at"]), one["bytes"], one["seconds"], one["sha256"][:12])
        for name, one in document["services"].items()
    )
    yield table(("service", "as of (UTC)", "#bytes", "#seconds", "sha256"), rows)
    yield f"in {document['folder']}; the topics are not part of it"
