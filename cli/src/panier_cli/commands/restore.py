"""`panier restore`: bring databases back, and make them fit for services that read on from where they stood."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import USAGE, Refused
from panier_cli.output import put, table
from panier_cli.stack.services import Service

if TYPE_CHECKING:
    from panier_cli.backups.databases import Databases
    from panier_cli.stack.screen import Screen

# Clocks of brokers and databases differ, and what a transaction decided is published after it.
_EARLIER = timedelta(minutes=10)


def restore(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="What `panier backup` wrote.", show_default=False)
    ] = None,
    service: Annotated[list[str] | None, typer.Option(help="Only this service; may be repeated.")] = None,
    lift_only: Annotated[
        bool, typer.Option("--lift-only", help="For databases that others restored: do only what must follow.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(help="With --lift-only: the moment (UTC) they were restored to; without, topics are read whole."),
    ] = None,
    accept_gaps: Annotated[
        bool, typer.Option("--accept-gaps", help="Go on although topics have records no more that were not read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring back the databases that settings name, else those of the local stack. No service may run."""
    if lift_only == (folder is not None):
        raise Refused("usage", "name a folder, or --lift-only", "see `panier restore --help`", USAGE)
    put(asyncio.run(_restore(folder, service, since, accept_gaps)), as_json, _shown)


async def _restore(
    folder: Path | None, names: list[str] | None, since: datetime | None, accept_gaps: bool
) -> dict[str, Any]:
    from panier_cli.backups import manifest
    from panier_cli.backups.databases import chosen, databases
    from panier_cli.stack.screen import Screen

    screen = Screen(sys.stderr)
    backup = manifest.read(folder)["services"] if folder is not None else {}
    services = chosen(names if names or not backup else list(backup))
    _refuse_newer(services, backup, folder)
    moments = {s.name: since.replace(tzinfo=UTC) if since else None for s in services} | {
        name: datetime.fromisoformat(one["taken_at"]) for name, one in backup.items()
    }
    with _refusals():
        async with databases(services, screen, at_rest=True) as found:
            await _refuse_running(services, found)
            kafka = await _broker_that_answers(found)
            with _told_as_unlifted() as back:
                if folder is not None:
                    await _bring_back(services, found, folder, backup, screen, back)
                lifted = await _lift(services, found, kafka, moments, accept_gaps, screen)
    return {"services": lifted}


@contextmanager
def _refusals() -> Iterator[None]:
    """Around what is asked of databases and of the broker."""
    import asyncpg
    from aiokafka.errors import KafkaError

    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        from panier_common.postgres import why_away

        raise Refused("no_database", why_away(error), "is the URL that of the database's owner?") from error
    except KafkaError as error:
        raise Refused("no_broker", f"the broker does not answer ({type(error).__name__})", "is it up?") from error


@contextmanager
def _told_as_unlifted() -> Iterator[list[str]]:
    """Names of services whose databases are back; whoever fails after that says what must not happen now.

    A service that starts on a database which is not lifted publishes under numbers that others take for old ones.
    """
    back: list[str] = []
    try:
        with _refusals():
            yield back
    except Refused as error:
        if back:
            these = " ".join(f"--service {name}" for name in back)
            then = f"databases are back but not lifted: start no service before `panier restore --lift-only {these}`"
            error.hint = f"{error.hint}; {then}".removeprefix("; ")
        raise


async def _broker_that_answers(found: Databases) -> str:
    """Looked at before a database is replaced: one that is back is of no use until it is lifted."""
    from aiokafka.admin import AIOKafkaAdminClient
    from panier_common.brokers import brokers

    from panier_cli.broker import refusals

    if not found.kafka:
        raise Refused("no_broker", "no broker is named", "set PANIER_KAFKA_BOOTSTRAP_SERVERS", USAGE)
    with refusals(found.kafka):
        admin = AIOKafkaAdminClient(**brokers(found.kafka))
        try:
            await admin.start()
        finally:
            await admin.close()
    return found.kafka


def _refuse_newer(services: list[Service], backup: Mapping[str, Any], folder: Path | None) -> None:
    from panier_common.postgres import migrations

    for service in services:
        if folder is None:
            return
        if service.name not in backup:
            raise Refused("not_in_backup", f"{folder} has no {service.name}", f"it has {', '.join(backup)}", USAGE)
        unknown = set(backup[service.name]["migrations"]) - {name for name, _ in migrations(service.module)}
        if unknown:
            raise Refused(
                "newer_schema",
                f"{service.name} was copied with a newer schema: {min(unknown)} is not known here",
                "restore with that version or a later one",
            )


async def _refuse_running(services: list[Service], found: Databases) -> None:
    """All of them are looked at before any is changed."""
    import asyncpg
    from panier_common.restored import why_in_use

    for service in services:
        db = await asyncpg.connect(found.urls[service.name], timeout=10)
        try:
            why = await why_in_use(db, service.module)
        finally:
            await db.close()
        if why is not None:
            raise Refused("running", f"{service.name} works on its database: {why}", "stop the services first")


async def _bring_back(
    services: list[Service],
    found: Databases,
    folder: Path,
    backup: Mapping[str, Any],
    screen: Screen,
    back: list[str],
) -> None:
    from panier_common.postgres import migrate

    from panier_cli.backups.copies import bring_back

    for done, service in enumerate(services, 1):
        screen.waiting(f"restoring {service.name} ({done} of {len(services)})")
        one, url = backup[service.name], found.urls[service.name]
        await bring_back(service, url, folder / one["file"], one["server_version"])
        back.append(service.name)
        await migrate(url, service.module)


async def _lift(
    services: list[Service],
    found: Databases,
    kafka: str,
    moments: Mapping[str, datetime | None],
    accept_gaps: bool,
    screen: Screen,
) -> dict[str, Any]:
    import msgspec
    from panier_common.restored import lift

    lifted = {}
    for service in services:
        screen.waiting(f"reading what {service.name} has published since")
        moment = moments[service.name]
        lifted[service.name] = msgspec.to_builtins(
            await lift(
                found.urls[service.name],
                service.name,
                kafka,
                since=moment - _EARLIER if moment else None,
                accept_gaps=accept_gaps,
                tell=lambda records, name=service.name: screen.waiting(f"{name}: {records} records read"),  # type: ignore[misc]
            )
        )
    screen.waiting("")
    _refuse_gaps([gap for one in lifted.values() for gap in one["gaps"]], accept_gaps)
    return lifted


def _refuse_gaps(gaps: list[dict[str, Any]], accepted: bool) -> None:
    if gaps and not accepted:
        where = gaps[0]
        raise Refused(
            "gaps",
            f"{len(gaps)} places to read on from are not on the topics, the first {where['topic']} "
            f"{where['partition']}: it has {where['first']} to {where['end']}, not {where['position']}",
            "what was between is lost to these databases: restore a newer backup, or say --accept-gaps",
        )


def _shown(document: dict[str, Any]) -> Iterable[Any]:
    rows = (
        (name, one["homes"], one["records"], one["published"], one["done"], len(one["gaps"]))
        for name, one in document["services"].items()
    )
    yield table(("service", "#homes", "#records read", "#published since", "#sent since", "#gaps"), rows)
    yield "the services may be started"
