"""What news of an order says outside the 24-hour window: a template that Meta has approved, by its name. Pure.

The names and their placeholders are those of `examples/bakery/templates.toml`; a shop that lacks one at Meta is told
so when it would have been sent.
"""

from collections.abc import Callable

from panier_common.contracts.events import Template

from panier_checkout.order import Order
from panier_checkout.voice import Voice

Texts = Callable[[Voice, Order], tuple[str, ...]]


def _number(voice: Voice, order: Order) -> tuple[str, ...]:
    return (order.number,)


def _with_paid(voice: Voice, order: Order) -> tuple[str, ...]:
    return order.number, voice.money(order.paid_minor, order.currency)


def _with_total(voice: Voice, order: Order) -> tuple[str, ...]:
    return order.number, voice.money(order.total_minor, order.currency)


PROBLEM = "order_payment_problem"
TEMPLATES: dict[str, Texts] = {
    "order_payment_due": _with_total,
    "order_paid": _with_paid,
    "order_accepted": _number,
    "order_ready": _number,
    "order_ready_to_deliver": _number,
    "order_on_the_way": _number,
    "order_completed": _number,
    "order_cancelled": _number,
    "order_expired": _number,
    "order_refunded": _with_paid,
    PROBLEM: _number,
}
"""By name, what fills the placeholders."""


def news(voice: Voice, order: Order) -> Template | None:
    """What says how the order stands now; None for a state that is only ever an answer."""
    match order.state:
        case "awaiting_payment":
            return named(voice, order, "order_payment_due")
        case "ready" if order.fulfilment.way == "deliver":
            return named(voice, order, "order_ready_to_deliver")
        case "refunded" if not order.paid_minor:
            return named(voice, order, "order_cancelled")
        case state:
            return named(voice, order, f"order_{state}") if f"order_{state}" in TEMPLATES else None


def named(voice: Voice, order: Order, name: str) -> Template:
    # Meta writes pt_BR where we write pt-BR.
    return Template(name, voice.language.replace("-", "_"), TEMPLATES[name](voice, order))
