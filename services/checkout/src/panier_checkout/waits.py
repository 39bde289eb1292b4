"""What checkout waits for, as timer events: each waiting state has one, and it comes back through `decide`."""

from typing import ClassVar

from panier_common.contracts.events import Event

# How long catalog may take to answer about an order's stock: longer than an engine is away for a restart.
STOCK_SECONDS = 180.0
# A wait for payment this long or longer is reminded of once, at half of it.
REMINDED_FROM_SECONDS = 600.0


class StockOverdue(Event, frozen=True):
    """Nobody answered about the stock of the order that the frozen draft would become."""

    ce_type: ClassVar[str] = "panier.checkout.stock-overdue.v1"
    conversation: str
    order_id: str


class PaymentHalfway(Event, frozen=True):
    """Half of the time to pay is over."""

    ce_type: ClassVar[str] = "panier.checkout.payment-halfway.v1"
    conversation: str
    order_id: str


class PaymentOverdue(Event, frozen=True):
    """The time to pay is over."""

    ce_type: ClassVar[str] = "panier.checkout.payment-overdue.v1"
    conversation: str
    order_id: str


TIMER_EVENTS: tuple[type[Event], ...] = (StockOverdue, PaymentHalfway, PaymentOverdue)


def stock_key(order_id: str) -> str:
    return f"stock:{order_id}"


def halfway_key(order_id: str) -> str:
    return f"halfway:{order_id}"


def overdue_key(order_id: str) -> str:
    return f"overdue:{order_id}"
