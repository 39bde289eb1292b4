"""`panier dead`: records that a service could not digest, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import USAGE, Refused
from panier_cli.internal_api import WITH_DATABASE, InternalApi, internal_api, path
from panier_cli.output import at, put, table

dead = typer.Typer(help="Records that a service could not digest.", no_args_is_help=True)

Service = Annotated[str | None, typer.Option(help="Only this service; all are asked otherwise.")]
Letter = Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id.", show_default=False)]

NONE = "no_such_dead_letter"


@dead.command("list")
def list_letters(service: Service = None, as_json: AsJson = False) -> None:
    """List dead letters, the newest first."""
    api = internal_api()
    found = [letter for name in _chosen(service) for letter in api.get(name, path("dead-letters"))]
    put(sorted(found, key=lambda letter: letter["at"], reverse=True), as_json, _list)


@dead.command()
def show(letter: Letter, service: Service = None, as_json: AsJson = False) -> None:
    """Show one with its headers; a customer's words stay in the database."""
    put(_first(internal_api(), service, "GET", letter), as_json, _one)


@dead.command()
def replay(letter: Letter, service: Service = None, as_json: AsJson = False) -> None:
    """Have its service try it again, as a late event."""
    put(_first(internal_api(), service, "POST", letter, "replay"), as_json, _done)


@dead.command()
def drop(letter: Letter, service: Service = None, as_json: AsJson = False) -> None:
    """Forget it for good."""
    put(_first(internal_api(), service, "DELETE", letter), as_json, _done)


def _chosen(service: str | None) -> Sequence[str]:
    if service is None:
        return WITH_DATABASE
    if service not in WITH_DATABASE:
        known = ", ".join(WITH_DATABASE)
        raise Refused("unknown_service", f"{service} keeps no dead letters", f"those that do: {known}", USAGE)
    return (service,)


def _first(api: InternalApi, service: str | None, method: str, letter: str, *then: str) -> Any:
    """The answer of the service that has it."""
    for name in _chosen(service):
        try:
            return api.send(name, method, path("dead-letters", letter, *then))
        except Refused as error:
            if error.code != NONE:
                raise
    raise Refused(NONE, f"there is no dead letter {letter}", "`panier dead list` names them")


def _list(letters: list[dict[str, Any]]) -> Iterable[Any]:
    rows = (
        (one["id"], one["service"], f"{one['topic']} {one['partition']}/{one['offset']}", at(one["at"]), one["reason"])
        for one in letters
    )
    yield table(("id", "service", "record", "since (UTC)", "why"), rows) if letters else "no dead letters"


def _one(letter: dict[str, Any]) -> Iterable[Any]:
    headers = letter.get("headers") or {}
    yield table(("", ""), [(name, value) for name, value in {**letter, "headers": ""}.items() if name != "headers"])
    yield table(("header", "value"), headers.items())


def _done(answer: dict[str, Any]) -> Iterable[Any]:
    yield f"{answer['id']}: {answer['state']}"
