"""What people of the shop ask of an order. Every command leaves a result under its idempotency key."""

from msgspec.structs import replace
from panier_common.contracts.events import Event, OrderStatusChanged

from panier_checkout import order_answers, sessions
from panier_checkout.answers import Messages
from panier_checkout.decision import Case, Decision, Result, events
from panier_checkout.order import ADVANCES, LAWFUL, Order, Unlawful, cancellation, moved, refund
from panier_checkout.paying import no_more_waits

SHOP = "shop"
# What only money and time bring about, whoever asks.
_BY_THEMSELVES = {"paid": "with the payment", "expired": "with time"}


def advance_order(case: Case, order: Order, state: str, key: str) -> Decision:
    """Move the order on; to be cancelled or refunded counts as asking for just that."""
    if state == "cancelled":
        return cancel_for_shop(case, order, key)
    if state == "refunded":
        return refund_order(case, order, key)
    if state not in ADVANCES:
        return _refused(case, order, Unlawful(order.state, LAWFUL[order.state]), state, key)
    on = moved(order, state)
    if isinstance(on, Unlawful):
        return _refused(case, order, on, state, key)
    changed = OrderStatusChanged(on.conversation, on.shop, on.order_id, on.state, case.at)
    return _done(case, on, changed, order_answers.advanced(case.voice, on), key)


def cancel_for_shop(case: Case, order: Order, key: str) -> Decision:
    gone = moved(order, "cancelled")
    if isinstance(gone, Unlawful):
        return _refused(case, order, gone, "cancelled", key)
    cancelled = cancellation(order, SHOP, case.at)
    told = order_answers.cancelled(case.voice, gone, "cancelled_by_shop")
    return sessions.cancelled(case, gone, _done(case, gone, cancelled, told, key))


def refund_order(case: Case, order: Order, key: str) -> Decision:
    """Give back all that was paid; the providers here refund at once."""
    back = moved(order, "refunded")
    if isinstance(back, Unlawful):
        return _refused(case, order, back, "refunded", key)
    return _done(case, back, refund(order, case.at), order_answers.refunded(case.voice, back), key)


def _done(case: Case, order: Order, happened: Event, told: Messages, key: str) -> Decision:
    decision = Decision(
        (*events(happened), *case.tell(order, told)),
        order=order,
        history=(case.step(order, order.state, SHOP),),
        result=Result(key, order.order_id, case.at),
    )
    if order.state != "cancelled":
        return decision
    return replace(decision, effects=(*decision.effects, *no_more_waits(order)))


def _refused(case: Case, order: Order, why: Unlawful, wanted: str, key: str) -> Decision:
    lawful = ", ".join(why.lawful) or "none: it has come to its end"
    if wanted in why.lawful:
        lawful += f"; {wanted} comes by itself, {_BY_THEMSELVES[wanted]}"
    return Decision(
        result=Result(
            key,
            order.order_id,
            case.at,
            code="unlawful_move",
            detail=f"order {order.number} is {why.state} and cannot become {wanted}",
            hint=f"lawful moves from {why.state}: {lawful}",
        )
    )
