"""An order and the moves it may make. What a move causes outside is not decided here."""

from datetime import datetime
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import replace
from panier_common.contracts.events import Customer, Fulfilment, Line, OrderCancelled, OrderRefunded

# CONTRACT's table of lawful moves: whatever is not in it is refused, with these named.
LAWFUL: dict[str, tuple[str, ...]] = {
    "awaiting_payment": ("paid", "cancelled", "expired"),
    "placed": ("accepted", "ready", "on_the_way", "completed", "cancelled"),
    "paid": ("accepted", "ready", "on_the_way", "completed", "refunded"),
    "accepted": ("ready", "on_the_way", "completed", "refunded"),
    "ready": ("on_the_way", "completed", "refunded"),
    "on_the_way": ("completed",),
    "completed": (),
    "cancelled": (),
    "expired": (),
    "refunded": (),
}
# What the shop does by hand; the other moves have causes of their own.
ADVANCES = ("accepted", "ready", "on_the_way", "completed")

# No I, L and O, which are misread.
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ"
_DIGITS = "23456789"
_FIRST = 100


class Order(Struct, frozen=True):
    """`provider` is asked for the money, `paid_by` the notification that paid; fees are in `total_minor`.

    `session_id` and `pay_url` are what a provider reached over the network told; else they are empty. `due_at` is when
    the time to pay is over: None where there is none, and in orders placed by former versions.
    """

    order_id: str
    number: str
    shop: str
    phone_number_id: str
    conversation: str
    customer: Customer
    state: str
    payment_state: str
    currency: str
    lines: tuple[Line, ...]
    fulfilment: Fulfilment
    fees_minor: int
    total_minor: int
    paid_minor: int
    placed_at: datetime
    caused_by: str
    provider: str
    note: str = ""
    paid_by: str | None = None
    session_id: str = ""
    pay_url: str = ""
    due_at: datetime | None = None


class Unlawful(Struct, frozen=True):
    """A refused move, with those that the order could make instead."""

    state: str
    lawful: tuple[str, ...]


def number_of(shop: str, serial: int) -> str:
    """The shop's n-th order as people say it, like K7-204.

    Unique for every serial of one shop; the sign before it follows from the shop's id, so that two shops
    rarely have the same.
    """
    sign = int.from_bytes(sha256(shop.encode()).digest()[:4], "big")
    letter, digit = _LETTERS[sign % len(_LETTERS)], _DIGITS[sign // len(_LETTERS) % len(_DIGITS)]
    return f"{letter}{digit}-{_FIRST + serial}"


def moved(order: Order, state: str) -> Order | Unlawful:
    """The order in that state, if the move is lawful."""
    lawful = LAWFUL[order.state]
    if state not in lawful:
        return Unlawful(order.state, lawful)
    match state:
        case "cancelled" | "expired":
            return replace(order, state=state, payment_state="none")
        case "refunded":
            return replace(order, state=state, payment_state="refunded" if order.paid_minor else "none")
        case _:
            return replace(order, state=state)


def cancellation(order: Order, by: str, at: datetime) -> OrderCancelled:
    """What the cancelling of this order, as it was before, tells others: one to be paid on collection was sold."""
    gone = OrderCancelled(order.conversation, order.shop, order.order_id, by, at)
    if order.state != "placed":
        return gone
    return replace(gone, currency=order.currency, sold_minor=order.total_minor, lines=order.lines)


def refund(order: Order, at: datetime) -> OrderRefunded:
    """What giving back all that was paid tells others. Where that is nothing, what had counted as sold never was."""
    back = OrderRefunded(order.conversation, order.shop, order.order_id, order.currency, order.paid_minor, at)
    if order.payment_state == "paid":
        return back
    return replace(back, sold_minor=order.total_minor, lines=order.lines)
