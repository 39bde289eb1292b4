"""`panier doctor`: looks at a deployment from inside and says what to do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import FAILED, Refused
from panier_cli.output import put, table


def doctor(
    only: Annotated[list[str] | None, typer.Option(help="Only checks whose name begins so; may be repeated.")] = None,
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="How long sales may take to catch up.")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Check settings, engines, topics, schemas, Meta, clocks and services; exit 1 when something failed."""
    from panier_cli.doctor.findings import document

    found = document(one for one in _findings(wait) if not only or one.check.startswith(tuple(only)))
    put(found, as_json, _show)
    if not found["ok"]:
        raise typer.Exit(FAILED)


def _findings(wait: float) -> list[Any]:
    from panier_cli.commands.sales import settled_differences
    from panier_cli.doctor import kafka, meta, postgres, services, settings
    from panier_cli.doctor.settings import as_environment
    from panier_cli.doctor.view import deployment
    from panier_cli.internal_api import internal_api
    from panier_cli.status import read_status

    env = deployment(os.environ)
    try:
        status = read_status(env)
    except Refused:
        status = {"services": []}
    running = {row["name"] for row in status["services"] if row["version"] is not None}
    api = internal_api(env)
    with as_environment(env):  # the way to the brokers is read from there
        found = [*settings.look(env, running), *asyncio.run(kafka.look(env.get("PANIER_KAFKA_BOOTSTRAP_SERVERS")))]
    found += asyncio.run(postgres.look(env))
    found += meta.look(env)
    found += services.look(status, api)
    found.append(services.look_at_sales(lambda: settled_differences(api, wait)))
    return found


def _show(found: dict[str, Any]) -> Iterable[Any]:
    rows = []
    for one in found["findings"]:
        says = f"{one['says']}\n→ {one['do']}" if one["do"] else one["says"]
        rows.append((one["level"], one["check"], says))
    yield table(("!", "!check", "what is so, and → what to do"), rows)
    yield ", ".join(f"{count} {level}" for level, count in found["counts"].items() if count)
