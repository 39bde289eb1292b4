"""`panier sales`: what a shop sold, and whether the count is right."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import FAILED, USAGE, Refused
from panier_cli.internal_api import InternalApi, internal_api, path
from panier_cli.output import money, put, table

sales = typer.Typer(help="What shops sold.", no_args_is_help=True)

_AGAIN_SECONDS = 0.5


@sales.command()
def show(
    shop: Annotated[str, typer.Option(help="The shop's id.", show_default=False)],
    day: Annotated[
        str | None, typer.Option(metavar="D", help="A date; today in the shop's time zone otherwise.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a shop's sales of one day."""
    if day is not None:
        try:
            day = date.fromisoformat(day).isoformat()
        except ValueError:
            raise Refused("usage", f"{day!r} is no date", "give it like 2026-07-01", USAGE) from None
    put(internal_api().get("sales", path("sales"), shop=shop, day=day), as_json, show_day)


@sales.command()
def verify(
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="How long sales may take to catch up.")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Compare the sales of every shop and day with checkout's orders, to the cent; exit 1 when they differ."""
    found = settled_differences(internal_api(), wait)
    put({"equal": not found, "differences": found}, as_json, _verified)
    if found:
        raise typer.Exit(FAILED)


def settled_differences(api: InternalApi, wait: float) -> list[dict[str, Any]]:
    """What differs still after this time: what was sold a moment ago may be on its way to sales.

    A shop that sells meanwhile differs at every look; only what was the same at the last two of them is reported.
    """
    from panier_cli.sales_check import lasting

    until, found = time.monotonic() + wait, _differences(api)
    while found:
        time.sleep(_AGAIN_SECONDS)
        before, found = found, _differences(api)
        if time.monotonic() >= until:
            return lasting(before, found)
    return found


def _differences(api: InternalApi) -> list[dict[str, Any]]:
    from panier_cli import sales_check

    found: list[dict[str, Any]] = []
    for shop in api.get("catalog", path("shops")):
        counted = sales_check.sold_of_days(api.get("sales", path("sales", "days"), shop=shop["id"]))
        sold = sales_check.sold_of_orders(_with_history(api, shop["id"]), shop["timezone"])
        found += sales_check.differences(shop["id"], counted, sold)
    return found


def _with_history(api: InternalApi, shop: str) -> Iterator[dict[str, Any]]:
    """The shop's orders as one stream; only its history tells when an order was paid."""
    for order in api.items("checkout", path("orders"), shop=shop, history="true"):
        if "history" not in order:
            raise Refused("former_version", "checkout tells no history with its orders", "roll out this version of it")
        yield order


def show_day(sold: dict[str, Any]) -> Iterable[Any]:
    """A day's sales as people see them."""
    yield f"{sold['shop']} on {sold['day']} ({sold['timezone']})"
    rows = (
        (
            money(one["revenue_minor"], one["currency"]),
            one["orders"],
            one["items"],
            money(one["average_minor"], one["currency"]),
        )
        for one in sold["currencies"]
    )
    yield table(("#revenue", "#orders", "#items", "#average order"), rows)
    funnel = sold["funnel"]
    yield " → ".join(f"{funnel[step]} {step}" for step in ("carts", "checkouts", "placed", "paid"))


def _verified(result: dict[str, Any]) -> Iterable[Any]:
    if result["equal"]:
        yield "sales and orders are equal"
        return
    columns = ("shop", "day", "currency", "figure", "sales", "orders")
    rows = [[one[column] for column in columns] for one in result["differences"]]
    yield table(("shop", "day", "currency", "figure", "#sales", "#orders"), rows)
