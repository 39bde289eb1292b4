"""`panier payments`: money that is no sale, for a person to look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.internal_api import internal_api, path
from panier_cli.output import at, money, put, table

payments = typer.Typer(help="Payments that need a person.", no_args_is_help=True)


@payments.callback()
def _payments() -> None:
    """Keeps `problems` a word of its own while it is the only command."""


@payments.command()
def problems(
    shop: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only those of this shop's orders; an unknown order has no shop."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List payments that are no sale, the newest first: another amount, too late, of an unknown order."""
    put(internal_api().get("checkout", path("payment-problems"), shop=shop), as_json, _problems)


def _problems(found: list[dict[str, Any]]) -> Iterable[Any]:
    if not found:
        yield "no payment needs a person"
        return
    rows = (
        (
            at(one["at"]),
            one["reason"],
            money(one["minor"], one["currency"]),
            one["number"] or one["order_id"],
            one["shop"],
            one["provider"],
            one["notification_id"],
        )
        for one in found
    )
    yield table(("when (UTC)", "reason", "#amount", "order", "shop", "provider", "notification"), rows)
