"""`panier topics apply`: make the topics of the one table, with its settings. A job on Kubernetes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import USAGE, Refused

if TYPE_CHECKING:
    from panier_common.topic_settings import Applied

topics = typer.Typer(help="Topics of the broker.", no_args_is_help=True)


@topics.callback()
def _group() -> None:
    """Keeps `apply` a word of its own while it is the only command."""


@topics.command()
def apply(
    as_json: AsJson = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Of new topics: as many as the others have, else 12.")
    ] = None,
    replication: Annotated[
        int | None, typer.Option(min=1, help="Copies of new topics: on each broker, on three at most.")
    ] = None,
) -> None:
    """Make missing topics and set the settings of the others to the table's, on the broker of
    PANIER_KAFKA_BOOTSTRAP_SERVERS or of the running stack. Partitions and copies of a topic are never changed.
    """
    applied = asyncio.run(_apply(broker(), partitions, replication, dry_run))
    if as_json:
        print(json.dumps(dataclasses.asdict(applied)))
        return
    print(f"made: {', '.join(applied.made) if applied.made else 'nothing was missing'}")
    for topic, settings in applied.changed.items():
        for name, changed in settings.items():
            print(f"changed: {topic} {name} was {changed.was}, is {changed.now}")
    if applied.hidden:
        print(f"not looked at, since this user may not see their settings: {', '.join(applied.hidden)}")
    if dry_run:
        print("nothing of that was done: it was a dry run")


def broker() -> str:
    """The address of PANIER_KAFKA_BOOTSTRAP_SERVERS, or of the running stack's broker."""
    from panier_cli.data_folder import DataFolder, data_path

    state = DataFolder(data_path()).state() or {}
    running: str | None = state.get("engines", {}).get("kafka", {}).get("address")
    address = os.environ.get("PANIER_KAFKA_BOOTSTRAP_SERVERS") or running
    if not address:
        raise Refused("no_broker", "no broker is named", "set PANIER_KAFKA_BOOTSTRAP_SERVERS", USAGE)
    return address


async def _apply(address: str, partitions: int | None, replication: int | None, dry_run: bool) -> Applied:
    from panier_common.kafka import apply_topics

    from panier_cli.broker import refusals

    with refusals(address):
        return await apply_topics(address, partitions=partitions, replication=replication, dry_run=dry_run)
