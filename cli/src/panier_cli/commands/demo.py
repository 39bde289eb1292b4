"""`panier demo`: the local stack with one purchase played through it, its trace and the sale."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.commands.sales import show_day
from panier_cli.commands.simulate import STORY, chat_document
from panier_cli.data_folder import DataFolder, data_path
from panier_cli.errors import USAGE, Refused
from panier_cli.internal_api import internal_api
from panier_cli.interrupt import until_stopped
from panier_cli.output import console_for_people, money, put, table
from panier_cli.play import chat, story
from panier_cli.stack.services import SERVICES

if TYPE_CHECKING:
    from panier_cli.play.demo import Played
    from panier_cli.stack.local import LocalStack

# Without a further service becoming ready; a stack that gets on is waited for. Twice as long, and the way down, are
# within the minute that CONTRACT.md gives a demonstration without one of its services.
READY_SECONDS = 25.0
# A service that dies is started again; one that stays away longer will not come back.
AWAY_SECONDS = 15.0
_BAR = 24


def demo(
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SERVICE", help="Leave this service out, to see the demo fail.", envvar="PANIER_DEMO_WITHOUT"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play a purchase through a stack of its own; exit 0 only if it ended paid and sales counted it."""
    if unknown := set(without or ()) - {service.name for service in SERVICES}:
        raise Refused("unknown_service", f"there is no service {', '.join(sorted(unknown))}", "", USAGE)
    if os.environ.get("PANIER_GRAPH_URL"):
        raise Refused("no_simulator", "the demo plays through the simulator", "unset PANIER_GRAPH_URL", USAGE)
    _prepare_environment()
    with _data_folder() as folder:
        if not asyncio.run(until_stopped(_run(folder, set(without or ()), as_json))):
            raise typer.Exit(130)


def _prepare_environment() -> None:
    """Ports that nobody uses, so that the demo runs beside another stack; every action traced. Set here, since
    the services inherit it; what the user has set stays."""
    from panier_common.ports import free_port

    for service in SERVICES:
        if service.port is not None:
            os.environ.setdefault(service.setting("PORT"), str(free_port()))
    os.environ.setdefault("OTEL_TRACES_SAMPLER", "always_on")


@contextmanager
def _data_folder() -> Iterator[Path]:
    """PANIER_DATA, which is kept; else a folder for this demo alone, kept only when the demo fails."""
    if os.environ.get("PANIER_DATA"):
        yield data_path()
        return
    folder = Path(tempfile.mkdtemp(prefix="panier-demo-"))
    os.environ["PANIER_DATA"] = str(folder)
    try:
        yield folder
    except Refused as error:
        error.hint = f"{error.hint}; the services' log is {folder / 'demo.log'}".removeprefix("; ")
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


class DemoScreen:
    """The stack's own words for people; what the services log goes to a file."""

    def __init__(self, out: IO[str], log: Path) -> None:
        from panier_cli.stack.screen import Screen

        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._screen = Screen(out)
        self._log = log.open("a", encoding="utf-8")

    def say(self, text: str) -> None:
        self._screen.say(text)

    def show(self, name: str, line: str) -> None:
        print(f"{name}: {line}", file=self._log, flush=True)

    def waiting(self, text: str) -> None:
        self._screen.waiting(text)


async def _run(folder: Path, without: set[str], as_json: bool) -> None:
    from panier_cli.stack.local import running, wait_until_ready, why_not_ready

    screen = DemoScreen(sys.stderr if as_json else sys.stdout, folder / "demo.log")
    script = story.read(STORY)
    async with running(DataFolder(folder), screen, without=without) as stack:
        await wait_until_ready(stack, READY_SECONDS)
        acts = asyncio.create_task(_acts(stack, script, as_json))
        watch = asyncio.create_task(_watch(stack))
        try:
            done, _ = await asyncio.wait({acts, watch}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Refused as error:
            away = [f"{name} is not ready: {why}" for name, why in (await why_not_ready(stack)).items()]
            error.hint = "; ".join(filter(None, [error.hint, *away]))
            raise
        finally:
            acts.cancel()
            watch.cancel()


async def _watch(stack: LocalStack) -> None:
    """Raises Refused once a service has been away for too long: what it is needed for may come much later."""
    from panier_cli.stack.local import why_not_ready

    since: dict[str, float] = {}
    while True:
        whys, now = await why_not_ready(stack), time.monotonic()
        since = {name: since.get(name, now) for name in whys}
        for name, why in whys.items():
            if now - since[name] > AWAY_SECONDS:
                raise Refused("not_ready", f"{name} stopped working during the demo: {why}")
        await asyncio.sleep(1)


async def _acts(stack: LocalStack, script: story.Story, as_json: bool) -> None:
    """The purchase, the trace and the sale, shown one after the other."""
    from panier_cli.play import demo as acts

    console = console_for_people(stderr=as_json)

    def show(message: dict[str, Any], titles: chat.Titles) -> None:
        console.print(chat.bubble(message["direction"] == "in", chat.lines(message["body"], titles)))

    # A service that is stopped takes requests and never answers: not to be waited for as long as by a command.
    api = replace(internal_api(), seconds=5.0)
    played, before = await acts.purchase(api, script, show)
    if stack.traces:
        played.trace = await acts.trace_of(stack.traces, played.order)
    played.sales = await acts.counted(api, played.order, before)
    put(_document(played), as_json, lambda _: _shown(played))


def _document(played: Played) -> dict[str, Any]:
    messages = [chat_document(message, played.titles) for message in played.messages]
    return {"chat": messages, "order": played.order, "trace": played.trace, "sales": played.sales}


def _shown(played: Played) -> Iterable[Any]:
    order = played.order
    yield "\nWhat pressing “confirm” set off, as one trace:\n"
    if played.trace is None:
        yield "no trace came: spans go where OTEL_… says, or nowhere"
    else:
        yield waterfall(played.trace)
    yield f"The order: {order['number']} is {order['state']}, {money(order['paid_minor'], order['currency'])} paid\n"
    yield "The sale:\n"
    yield from show_day(played.sales)


def waterfall(trace: dict[str, Any]) -> Any:
    """A trace as a table with a bar for each span; topics by their short names."""
    total = max(trace["duration_ms"], 0.001)
    rows = []
    for span in trace["waterfall"]:
        left = min(int(_BAR * span["offset_ms"] / total), _BAR - 1)
        width = max(1, min(round(_BAR * span["duration_ms"] / total), _BAR - left))
        name = span["name"].replace("panier.", "").removesuffix(".v1")
        indented = " " * span["depth"] + name
        rows.append((span["service"], indented, (" " * left + "█" * width).ljust(_BAR), f"{span['duration_ms']:.1f}"))
    return table(("service", "span", "", "#ms"), rows)
