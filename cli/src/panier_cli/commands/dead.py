"""`panier dead`: records that a service could not digest, and what becomes of them."""

from __future__ import annotations

import getpass
import json
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import USAGE, Refused
from panier_cli.internal_api import WITH_DATABASE, InternalApi, internal_api, path
from panier_cli.output import at, put, table

dead = typer.Typer(help="Records that a service could not digest.", no_args_is_help=True)

Service = Annotated[str | None, typer.Option(help="Only this service; all are asked otherwise.")]
Letter = Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id.", show_default=False)]
Letters = Annotated[str | None, typer.Argument(metavar="ID", help="The dead letter's id.", show_default=False)]
By = Annotated[str | None, typer.Option(help="Who does it, as it is written down; your user name otherwise.")]
Like = Annotated[
    str | None, typer.Option(metavar="ID", help="Instead of one: all of its loop that failed for the same reason.")
]

NONE = "no_such_dead_letter"


@dead.command("list")
def list_letters(service: Service = None, as_json: AsJson = False) -> None:
    """List dead letters, the newest first: at most a thousand of each service."""
    api = internal_api()
    found = [letter for name in _chosen(service) for letter in api.get(name, path("dead-letters"))]
    put(sorted(found, key=lambda letter: letter["at"], reverse=True), as_json, _list)


@dead.command()
def count(service: Service = None, as_json: AsJson = False) -> None:
    """How many there are for each reason."""
    api = internal_api()
    found = [one for name in _chosen(service) for one in api.get(name, path("dead-letters", "counts"))]
    put(sorted(found, key=lambda one: one["letters"], reverse=True), as_json, _counts)


@dead.command()
def show(
    letter: Letter,
    whole: Annotated[bool, typer.Option("--whole", help="With a customer's words; that you looked is kept.")] = False,
    service: Service = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Show one with its headers and its shape, without the words in it."""
    wanted = "?whole=true" if whole else ""
    put(_first(internal_api(), service, "GET", letter, then=wanted, by=by), as_json, _one)


@dead.command()
def edit(
    letter: Letter,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The mended event as JSON; - reads standard input.")],
    service: Service = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Have its replay take this instead of what came, which is kept."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        document = json.loads(text)
    except (OSError, ValueError) as error:
        raise Refused("no_json", f"{file} cannot be read: {error}", "", USAGE) from error
    answer = _first(internal_api(), service, "PUT", letter, then="/value", by=by, document=document)
    put(answer, as_json, _done)


@dead.command()
def replay(
    letter: Letters = None, like: Like = None, service: Service = None, by: By = None, as_json: AsJson = False
) -> None:
    """Have its service try it again, as a late event."""
    if like is not None:
        put(_alike(internal_api(), service, like, "replay", by), as_json, _many)
        return
    put(_first(internal_api(), service, "POST", _named(letter), then="/replay", by=by), as_json, _done)


@dead.command()
def drop(
    letter: Letters = None, like: Like = None, service: Service = None, by: By = None, as_json: AsJson = False
) -> None:
    """Forget it for good. Who did so is kept."""
    if like is not None:
        put(_alike(internal_api(), service, like, "drop", by), as_json, _many)
        return
    put(_first(internal_api(), service, "DELETE", _named(letter), by=by), as_json, _done)


@dead.command()
def history(service: Service = None, as_json: AsJson = False) -> None:
    """Who read, edited, replayed and dropped what, the newest first."""
    api = internal_api()
    found = [act for name in _chosen(service) for act in api.get(name, path("dead-letters", "acts"))]
    put(sorted(found, key=lambda act: act["at"], reverse=True), as_json, _acts)


def _named(letter: str | None) -> str:
    if letter is None:
        raise Refused("usage", "no dead letter is named", "give its ID, or --like ID", USAGE)
    return letter


def _who(by: str | None) -> Mapping[str, str]:
    if by is None:
        try:
            by = f"{getpass.getuser()}@{socket.gethostname()}"
        except (OSError, KeyError):  # no user of that number, as in many containers
            by = socket.gethostname()
    return {"X-Panier-By": by.encode("ascii", "replace").decode()[:200]}


def _chosen(service: str | None) -> Sequence[str]:
    if service is None:
        return WITH_DATABASE
    if service not in WITH_DATABASE:
        known = ", ".join(WITH_DATABASE)
        raise Refused("unknown_service", f"{service} keeps no dead letters", f"those that do: {known}", USAGE)
    return (service,)


def _first(
    api: InternalApi,
    service: str | None,
    method: str,
    letter: str,
    *,
    then: str = "",
    by: str | None = None,
    document: Any = None,
) -> Any:
    """The answer of the service that has it."""
    for name in _chosen(service):
        try:
            return api.send(name, method, path("dead-letters", letter) + then, document, _who(by))
        except Refused as error:
            if error.code != NONE:
                raise
    raise Refused(NONE, f"there is no dead letter {letter}", "`panier dead list` names them")


def _alike(api: InternalApi, service: str | None, letter: str, act: str, by: str | None) -> dict[str, Any]:
    """Do it to all of the loop that failed as this one did, a thousand at a time."""
    from urllib.parse import urlencode

    one = _first(api, service, "GET", letter)
    where = path("dead-letters", "alike", act) + "?" + urlencode({"loop": one["loop"], "reason": one["reason"]})
    total = 0
    while True:
        done = api.send(one["service"], "POST", where, None, _who(by))
        total += done["letters"]
        if not done["more"]:
            state = "replaying" if act == "replay" else "dropped"
            return {"service": one["service"], "reason": one["reason"], "letters": total, "state": state}


def _list(letters: list[dict[str, Any]]) -> Iterable[Any]:
    rows = (
        (one["id"], one["service"], f"{one['topic']} {one['partition']}/{one['offset']}", at(one["at"]), one["reason"])
        for one in letters
    )
    yield table(("id", "service", "record", "since (UTC)", "why"), rows) if letters else "no dead letters"


def _counts(found: list[dict[str, Any]]) -> Iterable[Any]:
    rows = (
        (one["letters"], one["loop"], one["topic"], one["reason"], at(one["oldest"]), at(one["newest"]))
        for one in found
    )
    columns = ("#letters", "loop", "topic", "why", "oldest (UTC)", "newest (UTC)")
    yield table(columns, rows) if found else "no dead letters"


def _acts(found: list[dict[str, Any]]) -> Iterable[Any]:
    rows = ((at(one["at"]), one["act"], one["by"], one["service"], one["letter"], one["reason"]) for one in found)
    yield table(("when (UTC)", "what", "who", "service", "letter", "why it was one"), rows) if found else "nothing yet"


_APART = ("headers", "value", "edited", "acts")


def _one(letter: dict[str, Any]) -> Iterable[Any]:
    yield table(("", ""), [(name, value) for name, value in letter.items() if name not in _APART])
    yield table(("header", "value"), (letter.get("headers") or {}).items())
    for name in ("value", "edited"):
        if letter.get(name) is not None:
            yield table((name,), [(json.dumps(letter[name], ensure_ascii=False, indent=1),)])
    if letter.get("acts"):
        yield from _acts(letter["acts"])


def _done(answer: dict[str, Any]) -> Iterable[Any]:
    yield f"{answer['id']}: {answer['state']}"


def _many(answer: dict[str, Any]) -> Iterable[Any]:
    yield f"{answer['letters']} of {answer['service']}: {answer['state']}"
