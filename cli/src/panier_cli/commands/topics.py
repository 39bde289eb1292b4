"""`panier topics apply`: make the topics of the one table. A job on Kubernetes."""

from __future__ import annotations

import asyncio
import json
import os

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import USAGE, Refused

topics = typer.Typer(help="Topics of the broker.", no_args_is_help=True)


@topics.callback()
def _group() -> None:
    """Keeps `apply` a word of its own while it is the only command."""


@topics.command()
def apply(as_json: AsJson = False) -> None:
    """Make missing topics on the broker of PANIER_KAFKA_BOOTSTRAP_SERVERS, or of the running stack."""
    from panier_cli.data_folder import DataFolder, data_path

    state = DataFolder(data_path()).state() or {}
    running = state.get("engines", {}).get("kafka", {}).get("address")
    address = os.environ.get("PANIER_KAFKA_BOOTSTRAP_SERVERS") or running
    if not address:
        raise Refused("no_broker", "no broker is named", "set PANIER_KAFKA_BOOTSTRAP_SERVERS", USAGE)
    made = asyncio.run(_apply(address))
    print(json.dumps({"made": made}) if as_json else f"made: {', '.join(made) if made else 'nothing was missing'}")


async def _apply(address: str) -> list[str]:
    from panier_common.kafka import apply_topics

    return list(await apply_topics(address) or ())
