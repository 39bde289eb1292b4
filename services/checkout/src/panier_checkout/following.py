"""What a customer does with orders that exist: pay, cancel, look, repeat. Only ever with their own."""

from collections.abc import Callable

from panier_common.contracts.events import OrderRepeated

from panier_checkout import order_answers, sessions
from panier_checkout.decision import Case, Decision, events
from panier_checkout.order import Order, Unlawful, cancellation, moved
from panier_checkout.paying import no_more_waits


def my_orders(case: Case) -> Decision:
    """The last ones, newest first."""
    latest = sorted(case.orders.values(), key=lambda order: (order.placed_at, order.order_id), reverse=True)
    return Decision(case.answer(*order_answers.my_orders(case.voice, latest)))


def with_order(act: Callable[[Case, Order], Decision]) -> Callable[[Case, str], Decision]:
    """`act` on the order that a reply id names; another customer's is not found."""

    def found(case: Case, reference: str) -> Decision:
        order = case.find(reference)
        if order is None:
            return Decision(case.answer(*order_answers.not_found(case.voice)))
        return act(case, order)

    return found


def show_order(case: Case, order: Order) -> Decision:
    return Decision(case.answer(*order_answers.detail(case.voice, order)))


def pay_order(case: Case, order: Order) -> Decision:
    if order.state != "awaiting_payment":
        return Decision(case.answer(*order_answers.nothing_to_pay(case.voice, order)))
    link = case.link(order)
    if not link:
        return Decision(case.answer(*order_answers.link_delayed(case.voice, order)))
    return Decision(case.answer(*order_answers.pay_link(case.voice, "payment.link", order, link)))


def cancel_order(case: Case, order: Order) -> Decision:
    """Allowed while nothing is paid and the shop has not begun."""
    gone = moved(order, "cancelled")
    if isinstance(gone, Unlawful):
        return Decision(case.answer(*order_answers.not_cancellable(case.voice, order)))
    cancelled = cancellation(order, "customer", case.at)
    decision = Decision(
        (
            *events(cancelled),
            *no_more_waits(gone),
            *case.answer(*order_answers.cancelled(case.voice, gone)),
        ),
        order=gone,
        history=(case.step(gone, "cancelled", "customer"),),
    )
    return sessions.cancelled(case, gone, decision)


def repeat_order(case: Case, order: Order) -> Decision:
    """The cart takes the lines in at today's prices, and answers."""
    to = case.to
    if to is None:
        raise ValueError("only a customer's message repeats an order")
    again = OrderRepeated(
        conversation=case.conversation,
        phone_number_id=to.phone_number_id,
        shop=case.shop.shop,
        customer=to.customer,
        order_id=order.order_id,
        lines=order.lines,
        at=case.at,
        wamid=to.answers or "",
    )
    return Decision(events(again))
