"""An order and the moves it may make. What a move causes outside is not decided here."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace
from panier_common.contracts.events import Customer, Fulfilment, Line

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
_PER_LETTER = 900


class Order(Struct, frozen=True):
    """`paid_by` is the notification that paid it; `total_minor` includes `fees_minor`."""

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
    note: str = ""
    paid_by: str | None = None


class Unlawful(Struct, frozen=True):
    """A refused move, with those that the order could make instead."""

    state: str
    lawful: tuple[str, ...]


def number_of(serial: int) -> str:
    """The shop's n-th order as people say it: A-100 … Z-999, then A2-100; unique for every serial."""
    rest, low = divmod(serial, _PER_LETTER)
    round_, letter = divmod(rest, len(_LETTERS))
    return f"{_LETTERS[letter]}{round_ + 1 if round_ else ''}-{100 + low}"


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
