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
    made = asyncio.run(_apply(broker()))
    print(json.dumps({"made": made}) if as_json else f"made: {', '.join(made) if made else 'nothing was missing'}")


def broker() -> str:
    """The address of PANIER_KAFKA_BOOTSTRAP_SERVERS, or of the running stack's broker."""
    from panier_cli.data_folder import DataFolder, data_path

    state = DataFolder(data_path()).state() or {}
    running: str | None = state.get("engines", {}).get("kafka", {}).get("address")
    address = os.environ.get("PANIER_KAFKA_BOOTSTRAP_SERVERS") or running
    if not address:
        raise Refused("no_broker", "no broker is named", "set PANIER_KAFKA_BOOTSTRAP_SERVERS", USAGE)
    return address


async def _apply(address: str) -> list[str]:
    from aiokafka.errors import KafkaError
    from panier_common.kafka import apply_topics
    from panier_common.settings import SettingsError

    try:
        return list(await apply_topics(address) or ())
    except SettingsError as error:
        raise Refused("bad_setting", str(error)) from error
    except (KafkaError, OSError) as error:
        what = f"the broker at {address} does not do it ({type(error).__name__}: {error})"
        raise Refused("no_broker", what, "see the PANIER_KAFKA_… settings: address, TLS, name and password") from error
