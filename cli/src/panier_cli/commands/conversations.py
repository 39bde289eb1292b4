"""`panier carts`, `panier messages` and `panier conversations`: one customer's cart, messages, and who answers."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.internal_api import internal_api, path
from panier_cli.output import at, money, put, table

carts = typer.Typer(help="Customers' carts.", no_args_is_help=True)
messages = typer.Typer(help="Conversations with customers.", no_args_is_help=True)
conversations = typer.Typer(help="Who answers a customer: a person or the machine.", no_args_is_help=True)

Number = Annotated[
    str, typer.Option(metavar="PHONE_NUMBER_ID", help="The shop's number, as Meta names it.", show_default=False)
]
Customer = Annotated[str, typer.Option(metavar="ID", help="The customer's user id or WhatsApp id.", show_default=False)]


@carts.callback()
def _carts() -> None:
    """Keeps `show` a word of its own while it is the only command."""


@carts.command()
def show(number: Number, customer: Customer, as_json: AsJson = False) -> None:
    """Show a customer's open cart."""
    put(internal_api().get("cart", path("carts"), phone_number_id=number, customer=customer), as_json, _cart)


_FIELDS = ("id", "direction", "kind", "text", "at", "state")


@messages.command("list")
def list_messages(number: Number, customer: Customer, as_json: AsJson = False) -> None:
    """List a conversation, both directions, with the state of each message."""
    found = internal_api().get("console", path("messages"), phone_number_id=number, customer=customer)
    # Why a message failed is a sentence for people; programs rely on these six.
    put([{name: m[name] for name in _FIELDS} for m in found] if as_json else found, as_json, _conversation)


@messages.command()
def failed(number: Number, as_json: AsJson = False) -> None:
    """List the messages that did not reach their customers, and why: the newest first."""
    put(internal_api().get("console", path("messages", "failed"), phone_number_id=number), as_json, _failed)


@conversations.command()
def waiting(
    shop: Annotated[str, typer.Option(metavar="ID", help="The shop's id.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """List the conversations that a person of the shop is to answer, the longest waiting first."""
    put(internal_api().get("console", path("inbox"), shop=shop), as_json, _waiting)


@conversations.command("hand-back")
def hand_back(number: Number, customer: Customer, as_json: AsJson = False) -> None:
    """Hand a conversation back to the machine, which answers free text again; doing it again changes nothing."""
    talk = {"phone_number_id": number, "customer": customer}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    done = internal_api().send("console", "POST", path("conversations", "hand-back"), talk, key)
    put(done, as_json, lambda done: [f"{done['conversation']}: the machine answers again"])


def _failed(found: list[dict[str, Any]]) -> Iterable[Any]:
    if not found:
        yield "every message reached its customer, as far as WhatsApp told"
        return
    rows = (
        (at(one["at"]), one["customer"]["user_id"] or one["customer"]["wa_id"], one["kind"], one["text"], one["why"])
        for one in found
    )
    yield table(("when (UTC)", "customer", "kind", "text", "why"), rows)


def _waiting(found: list[dict[str, Any]]) -> Iterable[Any]:
    if not found:
        yield "no conversation waits for a person"
        return
    rows = (
        (
            at(one["unanswered_since"]),
            one["phone_number_id"],
            one["customer"]["user_id"] or one["customer"]["wa_id"],
        )
        for one in found
    )
    yield table(("waiting since (UTC)", "number", "customer"), rows)


def _cart(cart: dict[str, Any]) -> Iterable[Any]:
    currency = cart["currency"]
    lines = [
        (
            line["sku"],
            line["title"],
            line["quantity"],
            money(line["unit_minor"], currency),
            money(line["total_minor"], currency),
        )
        for line in cart["lines"]
    ]
    if not lines:
        yield "the cart is empty"
        return
    total = ("", "total", "", "", money(cart["total_minor"], currency))
    yield table(("sku", "title", "#quantity", "#price", "#amount"), [*lines, total])
    if cart["note"]:
        yield table(("note",), [(cart["note"],)])
    yield f"last changed {at(cart['updated_at'])} UTC"


def _conversation(found: list[dict[str, Any]]) -> Iterable[Any]:
    arrows = {"in": "→", "out": "←"}
    rows = [
        (at(m["at"]), arrows.get(m["direction"], ""), m["kind"], m["text"], m.get("why") or m["state"]) for m in found
    ]
    yield table(("when (UTC)", "", "kind", "text", "state"), rows)
