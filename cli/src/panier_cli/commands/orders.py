"""`panier orders`: what customers ordered, and what the shop does about it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import USAGE, Refused
from panier_cli.internal_api import internal_api, path
from panier_cli.output import at, money, put, put_each, table

orders = typer.Typer(help="Orders of a shop.", no_args_is_help=True)

Order = Annotated[str, typer.Argument(metavar="ORDER", help="Its id or its number.", show_default=False)]
Key = Annotated[
    str | None, typer.Option(help="Idempotency key: the same key again has no second effect. Default: a new one.")
]

# After these nobody knows whether the command was taken: only the same key makes it safe to try again.
_UNDECIDED = ("unreachable", "not_decided_yet", "no_broker", "bad_answer", "refused")


@orders.command("list")
def list_orders(
    shop: Annotated[str, typer.Option(help="The shop's id.", show_default=False)],
    since: Annotated[str | None, typer.Option(metavar="T", help="Only those placed at this time or later.")] = None,
    as_json: AsJson = False,
) -> None:
    """List a shop's orders, the oldest first."""
    placed = internal_api().items("checkout", path("orders"), shop=shop, since=None if since is None else _time(since))
    put_each(placed, as_json, _list)


@orders.command()
def show(order: Order, as_json: AsJson = False) -> None:
    """Show one order with its lines and its history."""
    put(internal_api().get("checkout", path("orders", order)), as_json, _one)


@orders.command()
def advance(
    order: Order,
    state: Annotated[str, typer.Argument(help="accepted, ready, on_the_way or completed.", show_default=False)],
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Move an order on; the customer is told."""
    _command(order, "advance", {"state": state}, key, as_json)


@orders.command()
def cancel(order: Order, key: Key = None, as_json: AsJson = False) -> None:
    """Cancel an order that is not paid; its stock is free again."""
    _command(order, "cancel", {}, key, as_json)


@orders.command()
def refund(order: Order, key: Key = None, as_json: AsJson = False) -> None:
    """Give back what was paid for an order."""
    _command(order, "refund", {}, key, as_json)


def _command(order: str, what: str, document: dict[str, str], key: str | None, as_json: bool) -> None:
    key = key or str(uuid.uuid4())
    try:
        after = internal_api().send("checkout", "POST", path("orders", order, what), document, {"Idempotency-Key": key})
    except Refused as error:
        if error.code in _UNDECIDED:
            error.hint = f"{error.hint}; to try again without doing it twice, add --key {key}".removeprefix("; ")
        raise
    put(after, as_json, _one)


def _time(text: str) -> str:
    """A date or a time, in UTC when it says no zone, as RFC 3339."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            "usage", f"{text!r} is no time", "give it like 2026-07-01 or 2026-07-01T08:30:00Z", USAGE
        ) from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()


def _paid(order: dict[str, Any]) -> str:
    """What the state does not say by itself: the payment's own, where it is another word."""
    payment = str(order["payment_state"])
    return "" if payment in ("none", "pending", order["state"]) else payment


def _who(customer: dict[str, Any]) -> str:
    return customer.get("wa_id") or customer.get("user_id") or ""


def _list(orders: list[dict[str, Any]]) -> Iterable[Any]:
    rows = (
        (
            order["number"],
            at(order["placed_at"])[:16],
            order["state"],
            _paid(order),
            order["fulfilment"]["way"],
            money(order["total_minor"], order["currency"]),
            _who(order["customer"]),
        )
        for order in orders
    )
    yield table(("!number", "placed (UTC)", "!state", "paid", "way", "#total", "customer"), rows)


def _one(order: dict[str, Any]) -> Iterable[Any]:
    currency, address = order["currency"], order["fulfilment"]["address"]
    yield f"order {order['number']} of {order['shop']} ({order['order_id']}), placed {at(order['placed_at'])} UTC"
    yield f"state {order['state']}, payment {order['payment_state']}, {order['fulfilment']['way']}"
    if address:
        place = [address.get("text"), address.get("latitude"), address.get("longitude")]
        yield table(("address",), [(" ".join(str(part) for part in place if part not in (None, "")),)])
    lines = [
        (
            line["sku"],
            line["title"],
            line["quantity"],
            money(line["unit_minor"], currency),
            money(line["total_minor"], currency),
        )
        for line in order["lines"]
    ]
    fees = [("", "fees", "", "", money(order["fees_minor"], currency))] if order["fees_minor"] else []
    total = ("", "total", "", "", money(order["total_minor"], currency))
    yield table(("sku", "title", "#quantity", "#price", "#amount"), [*lines, *fees, total])
    if order["note"]:
        yield table(("note",), [(order["note"],)])
    yield table(("when (UTC)", "what", "by"), [(at(s["at"]), s["what"], s["by"]) for s in order.get("history", [])])
    if problem := order.get("payment_problem"):
        yield f"payment problem: {problem['reason']} ({money(problem['minor'], problem['currency'])})"
