"""Payment sessions of providers that are reached over the network: what they are asked, and what follows.

A provider is never asked here: a `Call` is kept with the decision that wants it, made outside of any
transaction (`provider_calls.py`), and its answer comes back as one of the events below. Pure.
"""

from typing import ClassVar, Literal, TypeAlias

from msgspec.structs import replace
from panier_common.contracts.events import Event
from panier_common.effects import SetTimer

from panier_checkout import order_answers, paying
from panier_checkout.decision import NOTHING, Call, Case, Decision
from panier_checkout.order import Order
from panier_checkout.waits import PaymentOverdue, overdue_key

# Paid, says the provider, but has not notified us yet: how long until it is asked again.
ASK_AGAIN_SECONDS = 60.0


class SessionOpened(Event, frozen=True):
    """The provider's name for the session, and where the customer pays."""

    ce_type: ClassVar[str] = "panier.checkout.session-opened.v1"
    conversation: str
    order_id: str
    session_id: str
    url: str
    traceparent: str | None = None


class SessionEnded(Event, frozen=True):
    """The answer to closing it: `closed`, it cannot be paid any more and was not; `paid`, that was too late."""

    ce_type: ClassVar[str] = "panier.checkout.session-ended.v1"
    conversation: str
    order_id: str
    state: Literal["closed", "paid"]
    traceparent: str | None = None


class OpeningDelayed(Event, frozen=True):
    """The provider did not answer the first time; it is asked again until it does."""

    ce_type: ClassVar[str] = "panier.checkout.opening-delayed.v1"
    conversation: str
    order_id: str
    traceparent: str | None = None


Answer: TypeAlias = SessionOpened | SessionEnded | OpeningDelayed
ANSWERS: tuple[type[Event], ...] = (SessionOpened, SessionEnded, OpeningDelayed)


def answered(case: Case, order: Order, answer: Answer) -> Decision:
    match answer:
        case SessionOpened():
            return tell_link(case, order, answer)
        case SessionEnded(state="closed"):
            over = paying.expire_order(case, order)
            return replace(over, settled=((order.order_id, "close"),))
        case SessionEnded():
            return await_notification(case, order)
        case OpeningDelayed():
            return say_delayed(case, order)


def tell_link(case: Case, order: Order, opened: SessionOpened) -> Decision:
    """Where to pay, told once. A session for an order that came to its end meanwhile is closed again."""
    done = ((order.order_id, "open"),)
    if order.session_id:
        return Decision(settled=done)
    known = replace(order, session_id=opened.session_id, pay_url=opened.url)
    if order.state != "awaiting_payment":
        return Decision(order=known, settled=done, calls=(closing(case, known),))
    left = (case.due_at(order) - case.now).total_seconds()
    return Decision(
        case.reply_to(order, order_answers.placed_to_pay(case.voice, known, opened.url, left)),
        order=known,
        settled=done,
    )


def say_delayed(case: Case, order: Order) -> Decision:
    """The order is there, the link is not: better said than silence."""
    if order.session_id or order.state != "awaiting_payment":
        return NOTHING
    return Decision(
        case.reply_to(order, order_answers.link_delayed(case.voice, order)),
        history=(case.step(order, "payment_link_delayed", order.provider),),
    )


def close_overdue(case: Case, order: Order) -> Decision:
    """The time to pay is over. Only once the provider says "closed, unpaid" does the order expire.

    Without a session nobody can have paid: it expires at once, and a session that comes after all is closed.
    """
    if order.state != "awaiting_payment":
        return NOTHING
    if not order.session_id:
        return replace(paying.expire_order(case, order), settled=((order.order_id, "open"),))
    return Decision(calls=(closing(case, order),), history=(case.step(order, "payment_closing", "panier"),))


def await_notification(case: Case, order: Order) -> Decision:
    """Paid at the last moment: the sale is the notification's, which is on its way; if not, it is asked again."""
    done = ((order.order_id, "close"),)
    if order.state != "awaiting_payment":
        return Decision(settled=done)
    overdue = PaymentOverdue(order.conversation, order.order_id)
    return Decision((SetTimer(overdue_key(order.order_id), ASK_AGAIN_SECONDS, overdue),), settled=done)


def cancelled(case: Case, order: Order, decision: Decision) -> Decision:
    """The decision that cancels this order, and takes back its session or the wish for one."""
    if not case.is_remote(order):
        return decision
    if order.session_id:
        return replace(decision, calls=(closing(case, order),))
    return replace(decision, settled=((order.order_id, "open"),))


def opening(case: Case, order: Order) -> Call:
    return _call(case, order, "open")


def closing(case: Case, order: Order) -> Call:
    return _call(case, order, "close")


def _call(case: Case, order: Order, what: Literal["open", "close"]) -> Call:
    return Call(
        order.order_id,
        what,
        case.home,
        order.conversation,
        order.provider,
        order.session_id,
        order.total_minor,
        order.currency,
        case.traceparent,
    )
