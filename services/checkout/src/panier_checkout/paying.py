"""Money: what providers report, the wait for it, its reminder and its end."""

from panier_common.contracts.events import OrderExpired, OrderPaid, PaymentRecorded
from panier_common.effects import DropTimer, Effect

from panier_checkout import order_answers, templates
from panier_checkout import payment as payments
from panier_checkout.decision import NOTHING, Case, Decision, ProblemKept, events
from panier_checkout.order import Order, Unlawful, moved
from panier_checkout.waits import halfway_key, overdue_key


def record_payment(case: Case, order: Order, told: PaymentRecorded) -> Decision:
    """Paid once and in full, or failed, or a problem for a person: never a sale in any other way."""
    match payments.settle(order, told):
        case payments.Paid(order=paid):
            sale = OrderPaid(
                paid.conversation, paid.shop, paid.order_id, paid.currency, paid.paid_minor, paid.lines, case.at
            )
            return Decision(
                (
                    *events(sale),
                    *no_more_waits(paid),
                    *case.tell(paid, order_answers.receipt(case.voice, paid)),
                ),
                order=paid,
                history=(case.step(paid, "paid", told.provider),),
            )
        case payments.Failed(order=failed):
            return Decision(
                case.tell(failed, order_answers.payment_failed(case.voice, failed)),
                order=failed,
                history=(case.step(failed, "payment_failed", told.provider),),
            )
        case payments.Problem(reason=reason):
            return Decision(
                case.tell(
                    order,
                    order_answers.payment_problem(case.voice, order, reason),
                    template=templates.named(case.voice, order, templates.PROBLEM),
                ),
                history=(case.step(order, f"payment_problem: {reason}", told.provider),),
                problem=problem_of(told, reason, case.conversation),
            )
        case _:
            return NOTHING


def problem_of(told: PaymentRecorded, reason: str, conversation: str | None) -> ProblemKept:
    return ProblemKept(
        order_id=told.order_id,
        conversation=conversation,
        provider=told.provider,
        notification_id=told.notification_id,
        reason=reason,
        minor=told.minor,
        currency=told.currency,
        at=told.at,
    )


def remind_of_payment(case: Case, order: Order) -> Decision:
    """Once, at half of the time. Not by who was away until its end: that is told right behind."""
    due_at = case.due_at(order)
    if order.state != "awaiting_payment" or not case.link(order) or case.now >= due_at:
        return NOTHING
    until = case.voice.when(due_at)
    reminder = order_answers.pay_link(case.voice, "payment.reminder", order, case.link(order), until=until)
    return Decision(case.tell(order, reminder, "reminder"), history=(case.step(order, "payment_reminded", "panier"),))


def expire_order(case: Case, order: Order) -> Decision:
    """The time is over, and nobody can pay any more."""
    gone = moved(order, "expired")
    if isinstance(gone, Unlawful):
        return NOTHING
    over = OrderExpired(gone.conversation, gone.shop, gone.order_id, case.at)
    return Decision(
        (*events(over), *no_more_waits(gone), *case.tell(gone, order_answers.expired(case.voice, gone))),
        order=gone,
        history=(case.step(gone, "expired", "panier"),),
    )


def no_more_waits(order: Order) -> tuple[Effect, ...]:
    return DropTimer(overdue_key(order.order_id)), DropTimer(halfway_key(order.order_id))
