"""`panier simulate`: plays a customer's script against the running stack, through its simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.data_folder import ROOT
from panier_cli.errors import Refused
from panier_cli.internal_api import internal_api
from panier_cli.output import console_for_people, put
from panier_cli.play import chat
from panier_cli.play.story import Story, read

STORY = ROOT / "examples" / "bakery" / "story.toml"
_SECONDS = 20.0


def simulate(
    script: Annotated[
        Path, typer.Argument(metavar="SCRIPT.toml", help="The script; examples/bakery/story.toml.")
    ] = STORY,
    number: Annotated[str | None, typer.Option(metavar="PHONE_NUMBER_ID", help="The shop's number; the first.")] = None,
    customer: Annotated[
        str | None, typer.Option(metavar="ID", help="A customer of the simulator; a new one otherwise.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play a conversation script as a customer and print the chat; exit 1 when a step is not answered."""
    story = read(script)
    url = internal_api().urls.get("simulator")
    if url is None:
        raise Refused("not_running", "no stack with a simulator runs", "start one by `make run`")
    document = asyncio.run(_play(url, story, number, customer, show=not as_json))
    put(document, as_json, _nothing_more)


async def _play(url: str, story: Story, number: str | None, customer: str | None, show: bool) -> dict[str, Any]:
    import aiohttp

    from panier_cli.play.phone import Message, pick_up

    console = console_for_people()
    titles: dict[str, str] = {}

    def seen(message: Message) -> None:
        if show:
            console.print(chat.bubble(message["direction"] == "in", chat.lines(message["body"], titles)))

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_SECONDS + 10)) as session:
        phone, known = await pick_up(session, url, story.customer, number, customer, seen, _SECONDS)
        titles.update(known)
        for step in story.steps:
            await phone.play(step)
    return {
        "number": phone.number,
        "customer": phone.customer,
        "messages": [chat_document(message, titles) for message in phone.messages],
    }


def chat_document(message: dict[str, Any], titles: chat.Titles) -> dict[str, Any]:
    """One message of the chat as the command's documents have it."""
    words = "\n".join(chat.lines(message["body"], titles))
    return {name: message[name] for name in ("seq", "wamid", "direction", "kind")} | {"text": words}


def _nothing_more(_: dict[str, Any]) -> Iterable[Any]:
    return ()
