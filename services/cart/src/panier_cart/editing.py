"""How a cart changes: its lines, its note, its version. Pure; prices are not decided here."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from panier_common.contracts.events import Line
from panier_common.contracts.outbound import clip
from panier_common.event import caused_id

from panier_cart.cart import Cart, CartLine
from panier_cart.pricing import Lines

NOTE_LIMIT = 1000


def with_quantity(lines: Lines, sku: str, quantity: int) -> Lines:
    """The lines with that many of one product; none takes its line out."""
    if quantity < 1:
        return tuple(line for line in lines if line.sku != sku)
    return tuple(_of_quantity(line, quantity) if line.sku == sku else line for line in lines)


def subtracted(lines: Lines, ordered: Iterable[Line], version: int) -> Lines:
    """The lines without what an order of that version of the cart holds: what came later stays.

    A line that was taken out and came in again after that version is not the one that was ordered.
    """
    less: dict[str, int] = {}
    for line in ordered:
        less[line.sku] = less.get(line.sku, 0) + line.quantity
    left = ((line, line.quantity - less.get(line.sku, 0) if line.since <= version else line.quantity) for line in lines)
    return tuple(_of_quantity(line, quantity) for line, quantity in left if quantity > 0)


def _of_quantity(line: CartLine, quantity: int) -> CartLine:
    if line.quantity == quantity:
        return line
    return CartLine(line.sku, line.title, quantity, line.unit_minor, line.since)


def joined_note(note: str, more: str) -> str:
    """The note with what the customer wrote this time below it, unless it says that already."""
    more = more.strip()
    if not more or more in note.split("\n"):
        return note
    return clip(f"{note}\n{more}" if note else more, NOTE_LIMIT)


def remaining_note(note: str, ordered: str) -> str:
    """What of the note did not go with the order."""
    return note[len(ordered) :].strip() if note.startswith(ordered) else note


def revised(cart: Cart, lines: Lines, note: str, at: datetime, cause: str) -> Cart:
    """The cart's next version; the cart as it was when nothing changed. An empty cart has no note."""
    note = note if lines else ""
    if lines == cart.lines and note == cart.note:
        return cart
    cart_id = cart.cart_id
    if not cart.lines or not cart_id:
        cart_id = caused_id("cart", f"{cart.conversation}\n{cause}", "cart", 0)
    return msgspec.structs.replace(
        cart, cart_id=cart_id, version=cart.version + 1, lines=lines, note=note, updated_at=at
    )
