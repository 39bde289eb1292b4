"""`panier load`: signed webhooks at a steady rate, and how the door answered them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import FAILED, USAGE, Refused
from panier_cli.load.customers import MOST, Writing
from panier_cli.load.sending import NO_ANSWER, TAKEN, Door, Loaded, paced, percentile
from panier_cli.load.webhooks import PATH
from panier_cli.output import console_for_people, put, table

MOST_MESSAGES = 1_000_000
SECRET = "PANIER_META_APP_SECRET"  # noqa: S105 - the name of a setting
_REASONS = {
    NO_ANSWER: "no answer in time: the door was gone, or too slow to take this much",
    401: f"the door does not know this secret: {SECRET} must be one of the door's",
    404: "nothing takes webhooks at this address",
    405: "nothing takes webhooks at this address",
    413: "something on the way takes no body of this size",
    429: "something on the way limits the rate",
    503: "the broker did not acknowledge in time, or more waited than the door holds; Meta would come again",
}


@dataclass(frozen=True)
class Target:
    """An address taken apart."""

    door: Door
    path: str
    host: str  # as the header says it


def load(
    rate: Annotated[float, typer.Option(min=0.1, max=5000, help="Webhooks a second.")] = 50.0,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="For how long.")] = 10.0,
    connections: Annotated[int, typer.Option(min=1, max=512, help="Connections that are kept open.")] = 32,
    customers: Annotated[
        int, typer.Option(min=1, max=MOST, help="Customers who write in turn; their phone numbers are nobody's.")
    ] = 1000,
    text: Annotated[str, typer.Option(metavar="WORDS", help="What each of them writes.")] = "Bonjour",
    number: Annotated[
        str | None, typer.Option(metavar="PHONE_NUMBER_ID", help="The shop's number; the first of PANIER_SHOPS.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The door; the running stack's, and /webhooks/whatsapp without a path.")
    ] = None,
    within: Annotated[
        float, typer.Option(min=0, max=600, metavar="SECONDS", help="How long the last answers are waited for.")
    ] = 10.0,
    yes_elsewhere: Annotated[
        bool, typer.Option("--yes-elsewhere", help="Load a door that is not on this machine.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send signed webhooks at a steady rate; exit 1 when one was refused or not answered.

    The services answer each message: where the Graph API is Meta's and not a simulator, so do not do this.
    The secret is read from PANIER_META_APP_SECRET (or its _FILE), or is the running stack's.
    """
    from panier_cli.doctor.view import deployment

    count = round(rate * seconds)
    if not 1 <= count <= MOST_MESSAGES:
        raise Refused("bad_load", f"{count:,} webhooks, but 1 to {MOST_MESSAGES:,} can be sent", "", USAGE)
    env = deployment(os.environ)
    target = target_of(url or _running(env), yes_elsewhere)
    writing = Writing(count, customers, number or _first_number(env), text, _secret(env), target.path, target.host)
    try:
        loaded = asyncio.run(_send(target.door, writing, rate, connections, within, shown=not as_json))
    except OSError as error:
        raise Refused(
            "unreachable",
            f"nothing takes connections at {target.host} ({error})",
            "`panier status` shows what runs here; another door is named by --url",
        ) from error
    document = document_of(loaded, f"{target.host}{target.path}", rate, seconds)
    put(document, as_json, _show)
    for status in sorted(loaded.statuses):
        if status != TAKEN:
            print(f"panier: {reason_of(status)}", file=sys.stderr)
    if document["accepted"] != document["due"]:
        raise typer.Exit(FAILED)


def target_of(url: str, elsewhere: bool) -> Target:
    """Refuses what is no address, and another machine unless that is meant."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (KeyError, ValueError):
        port = None
    if not parts.hostname or port is None:
        raise Refused("bad_address", f"{url} is no address of a door", "such as http://127.0.0.1:8080", USAGE)
    if not elsewhere and not _is_here(parts.hostname, port):
        raise Refused(
            "elsewhere",
            f"{parts.hostname} is not this machine, and somebody else's customers may wait behind its door",
            "if it is yours to load: --yes-elsewhere",
        )
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    return Target(Door(parts.hostname, port, tls), parts.path.rstrip("/") or PATH, parts.netloc.rpartition("@")[2])


def _is_here(host: str, port: int) -> bool:
    """Whether every address of this name is a loopback's."""
    import socket
    from ipaddress import ip_address

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Refused("unreachable", f"nobody knows an address of {host}", "look at the address") from error
    return all(ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def reason_of(status: int) -> str:
    """What an answer other than 200 means, for people."""
    return f"{status or 'no answer'}: {_REASONS.get(status, 'the door would not have it; its log says why')}"


def document_of(loaded: Loaded, to: str, rate: float, seconds: float) -> dict[str, Any]:
    """The command's document. Latencies are of what was accepted, in milliseconds, from when each request was due."""
    ordered = sorted(loaded.latencies)
    shares = {"p50_ms": 0.5, "p99_ms": 0.99, "most_ms": 1.0} if ordered else {}
    refused = {status: n for status, n in sorted(loaded.statuses.items()) if status not in (TAKEN, NO_ANSWER)}
    return {
        "to": to,
        "rate": rate,
        "seconds": seconds,
        "due": sum(loaded.statuses.values()),
        "sent": len(loaded.due),
        "accepted": loaded.statuses[TAKEN],
        "refused": {str(status): n for status, n in refused.items()},
        "unanswered": loaded.statuses[NO_ANSWER],
        "took_seconds": round(loaded.seconds, 2),
        "latency": {name: round(percentile(ordered, share) * 1000, 2) for name, share in shares.items()},
    }


def _running(env: Mapping[str, str]) -> str:
    from panier_cli.data_folder import DataFolder, data_path

    state = DataFolder(data_path(env)).state() or {}
    found: str | None = state.get("addresses", {}).get("ingest")
    if found is None:
        raise Refused("not_running", "no stack runs, and no door is named", "start one by `make run`, or name --url")
    return found


def _secret(env: Mapping[str, str]) -> str:
    """The first of those that sign webhooks. Never an option: others see a command's words."""
    from panier_cli.stack.environment import given, has

    secret = given(env, SECRET).partition(",")[0].strip() if has(env, SECRET) else ""
    if not secret:
        raise Refused("no_secret", "there is no secret to sign with", f"set {SECRET}, or {SECRET}_FILE", USAGE)
    return secret


def _first_number(env: Mapping[str, str]) -> str:
    """Of the shops file."""
    import tomllib

    from panier_cli.stack.local import EXAMPLE_SHOPS

    path = Path(env.get("PANIER_SHOPS") or EXAMPLE_SHOPS)
    try:
        document = tomllib.loads(path.read_text("utf-8"))
        return str(document["shop"][0]["number"][0]["phone_number_id"])
    except (OSError, ValueError, LookupError) as error:
        raise Refused("no_number", f"{path} names no number", "name one by --number", USAGE) from error


async def _send(door: Door, writing: Writing, rate: float, connections: int, within: float, *, shown: bool) -> Loaded:
    loaded = Loaded()
    with _progress(loaded, len(writing), shown) as watching:
        watcher = asyncio.create_task(watching())
        try:
            # More connections than requests would only be opened and closed.
            most = min(connections, len(writing))
            return await paced(door, writing, rate, connections=most, within=within, result=loaded)
        finally:
            watcher.cancel()


@contextlib.contextmanager
def _progress(loaded: Loaded, total: int, shown: bool) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
    """A bar on standard error, where a person looks, and what moves it."""
    console = console_for_people(stderr=True)
    if not shown or not console.is_terminal:
        yield lambda: asyncio.sleep(0)
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("sent", total=total)

        async def watch() -> None:
            while True:
                others = sum(loaded.statuses.values()) - loaded.statuses[TAKEN]
                told = f"accepted {loaded.statuses[TAKEN]}, not {others}"
                bar.update(task, completed=len(loaded.due), description=told)
                await asyncio.sleep(0.2)

        yield watch


def _show(found: dict[str, Any]) -> Iterable[Any]:
    rows: list[tuple[str, object]] = [("sent", f"{found['sent']} of {found['due']}"), ("accepted", found["accepted"])]
    rows += [(f"refused with {status}", count) for status, count in found["refused"].items()]
    rows += [("not answered", found["unanswered"])] if found["unanswered"] else []
    names = {"p50_ms": "median", "p99_ms": "99th of a hundred", "most_ms": "longest"}
    rows += [(names[name], f"{value} ms") for name, value in found["latency"].items()]
    yield table((f"{found['rate']:g}/s for {found['seconds']:g} s to {found['to']}", "#"), rows)
    yield "Waiting counts from the moment when a webhook was due."
