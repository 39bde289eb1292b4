"""What a payment notification means for an order: it is paid at most once, and never for another amount."""

from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace
from panier_common.contracts.events import PaymentRecorded

from panier_checkout.order import Order


class Paid(Struct, frozen=True):
    order: Order


class Failed(Struct, frozen=True):
    """The customer may try again."""

    order: Order


class Problem(Struct, frozen=True):
    """Money that is not a sale: a person must look at it."""

    reason: str


class Nothing(Struct, frozen=True):
    """Known already, or of no consequence."""


Settled: TypeAlias = Paid | Failed | Problem | Nothing


def settle(order: Order, told: PaymentRecorded) -> Settled:
    notification = f"{told.provider}:{told.notification_id}"
    if order.paid_by == notification:
        return Nothing()
    if told.state == "failed":
        if order.state != "awaiting_payment":
            return Nothing()
        return Failed(replace(order, payment_state="failed"))
    reason = _problem(order, told)
    if reason is not None:
        return Problem(reason)
    paid = replace(order, state="paid", payment_state="paid", paid_minor=order.total_minor, paid_by=notification)
    return Paid(paid)


def _problem(order: Order, told: PaymentRecorded) -> str | None:
    match order.state:
        case "awaiting_payment":
            if told.provider != order.provider:
                return "wrong_provider"
            if told.currency != order.currency:
                return "wrong_currency"
            return "wrong_amount" if told.minor != order.total_minor else None
        case "cancelled" | "expired" | "refunded":
            return order.state
        case _:
            return "already_paid" if order.paid_by else "not_awaited"
