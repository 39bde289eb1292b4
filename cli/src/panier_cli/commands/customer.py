"""`panier customer`: all that is held of one customer, and its end."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.commands.conversations import Customer, Number
from panier_cli.customer import Found, Holdings, erase, find, held
from panier_cli.errors import USAGE, Refused
from panier_cli.internal_api import internal_api
from panier_cli.output import at, console_for_people, put, table

if TYPE_CHECKING:
    from panier_cli.customer_records import Progress

customer = typer.Typer(help="What is held of one customer, and its end.", no_args_is_help=True)

# Longer than every service needs to read what is there and to let it settle, where none is far behind.
FORGOTTEN_WITHIN_SECONDS = 60.0


@customer.command("export")
def export_customer(
    number: Number,
    customer: Customer,
    file: Annotated[
        Path | None, typer.Option(help="Write the JSON document here, readable by its owner only.", show_default=False)
    ] = None,
    topics: Annotated[bool, typer.Option(help="Read also what is still on the broker's topics.")] = True,
    as_json: AsJson = False,
) -> None:
    """Show everything that is held of one customer: as tables, as one JSON document, or in a file."""
    api = internal_api()
    found = find(api, number, customer)
    holdings = held(api, found)
    document = {
        "customer": found.document(),
        "exported_at": _rfc3339(datetime.now(UTC)),
        "services": holdings,
        "topics": _records(found, holdings, shown=not as_json) if topics else None,
    }
    if file is not None:
        _write(file, document)
    put(document, as_json, lambda document: _exported(document, file))


@customer.command("erase")
def erase_customer(
    number: Number,
    customer: Customer,
    backup_days: Annotated[
        int, typer.Option(min=0, help="For how many days backups are kept; 14, and the day before, in deploy/k8s.")
    ] = 15,
    as_json: AsJson = False,
) -> None:
    """Forget one customer in every service, and say when the last copy will be gone.

    Refused while an order is under way. Orders that came to their end stay, without the person. Doing it again
    changes nothing.
    """
    api = internal_api()
    found = find(api, number, customer)
    before = _counted(held(api, found))
    erase(api, found, str(uuid.uuid4()))
    until = time.monotonic() + FORGOTTEN_WITHIN_SECONDS
    with _waiting(shown=not as_json) as wait:
        while (left := _counted(held(api, found))) and time.monotonic() < until:
            wait(", ".join(left))
            time.sleep(0.5)
    if left:
        raise Refused(
            "not_forgotten_yet",
            f"still held: {'; '.join(f'{service}: {_tables(tables)}' for service, tables in left.items())}",
            "a service that is behind forgets when it has read on, and who has written again began anew: "
            "look with `panier customer export`, or erase again",
        )
    copies = last_copies(datetime.now(UTC), backup_days)
    document = {
        "customer": found.document(),
        "erased": before,
        "copies": [{"where": where, "gone_at": _rfc3339(gone)} for where, gone in copies],
        "gone_at": _rfc3339(max(gone for _, gone in copies)),
    }
    put(document, as_json, _erased)


def last_copies(now: datetime, backup_days: int) -> list[tuple[str, datetime]]:
    """Where copies are that nobody can take out by hand, and when each is gone."""
    from panier_common.topics import PERSONAL

    kept = {
        cleanup: max(topic.longest_kept_ms for topic in PERSONAL if topic.cleanup == cleanup)
        for cleanup in ("delete", "compact")
    }
    return [
        ("records on topics, and which messages were sent", now + timedelta(milliseconds=kept["delete"])),
        ("keys of compacted topics", now + timedelta(milliseconds=kept["compact"])),
        ("backups", now + timedelta(days=backup_days)),
    ]


def _records(found: Found, holdings: Holdings, *, shown: bool) -> dict[str, list[Any]]:
    from panier_cli.broker import refusals
    from panier_cli.commands.topics import broker
    from panier_cli.customer_records import records_of

    address = broker()
    orders = [row["order_id"] for row in holdings.get("checkout", {}).get("orders", [])]
    with refusals(address, "with --no-topics all else is exported"), _reading(shown=shown) as progress:
        return asyncio.run(records_of(address, found, orders, progress))


@contextmanager
def _reading(*, shown: bool) -> Iterator[Progress]:
    """A bar for each topic on standard error, where a person looks."""
    console = console_for_people(stderr=True)
    if not shown or not console.is_terminal:
        yield lambda topic, done, total: None
        return
    from rich.progress import Progress as Bar

    with Bar(console=console, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def progress(topic: str, done: int, total: int) -> None:
            if topic not in tasks:
                tasks[topic] = bar.add_task(topic)
            bar.update(tasks[topic], completed=done, total=total)

        yield progress


@contextmanager
def _waiting(*, shown: bool) -> Iterator[Any]:
    console = console_for_people(stderr=True)
    if not shown or not console.is_terminal:
        yield lambda who: None
        return
    with console.status("forgetting") as status:
        yield lambda who: status.update(f"forgetting: {who}")


def _write(file: Path, document: Any) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=1)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            out.write(text + "\n")
    except OSError as error:
        raise Refused("no_file", f"{file} cannot be written: {error.strerror}", "", USAGE) from error


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _counted(holdings: Holdings) -> dict[str, dict[str, int]]:
    return {service: {name: len(rows) for name, rows in tables.items()} for service, tables in holdings.items()}


def _tables(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} of {name}" for name, count in counts.items())


def _exported(document: dict[str, Any], file: Path | None) -> Iterable[Any]:
    who = document["customer"]
    yield f"ids: {', '.join(who['ids'])}"
    counts = [
        (service, name, len(rows)) for service, tables in document["services"].items() for name, rows in tables.items()
    ]
    counts += [("topics", name, len(records)) for name, records in (document["topics"] or {}).items()]
    yield table(("where", "what", "#rows"), counts) if counts else "nothing is held of this customer"
    if file is not None:
        yield f"written to {file}"
        return
    for service, tables in document["services"].items():
        for name, rows in tables.items():
            yield f"{service}: {name}"
            yield from (table(("", ""), row.items()) for row in rows)


def _erased(document: dict[str, Any]) -> Iterable[Any]:
    counts = [(service, _tables(tables)) for service, tables in document["erased"].items()]
    yield table(("service", "forgotten"), counts) if counts else "no service held anything of this customer"
    rows = [(copy["where"], at(copy["gone_at"])) for copy in document["copies"]]
    yield table(("what cannot be taken out by hand", "gone (UTC)"), rows)
    yield f"the last copy is gone on {at(document['gone_at'])} UTC"
