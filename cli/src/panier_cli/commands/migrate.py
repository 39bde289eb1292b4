"""`panier migrate`: bring the services' databases to the schema of this version. A job on Kubernetes."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Annotated

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import USAGE, Refused
from panier_cli.stack.services import SERVICES


def migrate(
    service: Annotated[list[str] | None, typer.Option(help="Only this service; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Apply missing migrations to every database that a PANIER_<SERVICE>_DATABASE_URL names.

    The role of that URL must be the database's owner, or may take its place. Then the role panier_<service> may read
    and write the tables, if it is another.
    """
    applied = asyncio.run(_migrate(_chosen(service)))
    if as_json:
        print(json.dumps({"applied": applied}))
        return
    for name, files in applied.items():
        print(f"{name}: {', '.join(files) if files else 'up to date'}")


def _chosen(names: list[str] | None) -> dict[str, str]:
    """The databases to migrate, as URLs by service."""
    from panier_cli.stack.environment import given, has

    with_database = {service.name: service for service in SERVICES if service.database}
    if unknown := set(names or ()) - set(with_database):
        raise Refused("unknown_service", f"{', '.join(sorted(unknown))}: no such service has a database", "", USAGE)
    wanted = names or [n for n, s in with_database.items() if has(os.environ, s.setting("DATABASE_URL"))]
    missing = [n for n in wanted if not has(os.environ, with_database[n].setting("DATABASE_URL"))]
    if missing or not wanted:
        settings = ", ".join(with_database[n].setting("DATABASE_URL") for n in missing or with_database)
        raise Refused("no_database", "no database is named", f"set {settings}", USAGE)
    return {name: given(os.environ, with_database[name].setting("DATABASE_URL")) for name in wanted}


async def _migrate(urls: dict[str, str]) -> dict[str, list[str]]:
    from panier_cli.stack.databases import bring_up_to_date

    return {name: await bring_up_to_date(name, url) for name, url in urls.items()}
