"""`panier doctor`: looks at a deployment from inside and says what to do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import FAILED, Refused
from panier_cli.output import put, table

if TYPE_CHECKING:
    from panier_cli.doctor.findings import Finding


def doctor(
    only: Annotated[list[str] | None, typer.Option(help="Only checks whose name begins so; may be repeated.")] = None,
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="How long sales may take to catch up.")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Check settings, engines, topics, schemas, Meta, clocks and services; exit 1 when something failed."""
    from panier_cli.doctor.findings import document

    wanted = tuple(only or [""])
    found = document(one for one in _findings(wanted, wait) if one.check.startswith(wanted))
    put(found, as_json, _show)
    if not found["ok"]:
        raise typer.Exit(FAILED)


def _findings(wanted: Sequence[str], wait: float) -> list[Finding]:
    """What the parts find that may have a check whose name begins so; the others do no work."""
    from panier_cli.doctor.settings import as_environment
    from panier_cli.doctor.view import deployment

    env = deployment(os.environ)
    with as_environment(env):  # the way to the brokers is read from there
        return [
            finding
            for names, look in _parts(env, wait).items()
            if any(name.startswith(one) or one.startswith(name) for name in names for one in wanted)
            for finding in look()
        ]


def _parts(env: Mapping[str, str], wait: float) -> dict[tuple[str, ...], Callable[[], Iterable[Finding]]]:
    """By how the names of its checks begin, each part of a deployment and what looks at it."""
    from panier_cli.commands.sales import settled_differences
    from panier_cli.doctor import kafka, meta, postgres, services, settings
    from panier_cli.internal_api import internal_api
    from panier_cli.status import read_status

    @cache
    def status() -> dict[str, Any]:
        try:
            return read_status(env)
        except Refused:
            return {"services": []}

    def running() -> set[str]:
        return {row["name"] for row in status()["services"] if row["version"] is not None}

    api = internal_api(env)
    return {
        ("settings.",): lambda: settings.look(env, running()),
        ("kafka.",): lambda: asyncio.run(kafka.look(env.get("PANIER_KAFKA_BOOTSTRAP_SERVERS"))),
        ("postgres.", "schema.", "clock.postgres."): lambda: asyncio.run(postgres.look(env)),
        ("meta.", "clock.meta"): lambda: meta.look(env),
        ("service.", "dead-letters."): lambda: services.look(status(), api),
        ("sales",): lambda: [services.look_at_sales(lambda: settled_differences(api, wait))],
    }


def _show(found: dict[str, Any]) -> Iterable[Any]:
    rows = []
    for one in found["findings"]:
        says = f"{one['says']}\n→ {one['do']}" if one["do"] else one["says"]
        rows.append((one["level"], one["check"], says))
    yield table(("!", "!check", "what is so, and → what to do"), rows)
    yield ", ".join(f"{count} {level}" for level, count in found["counts"].items() if count)
