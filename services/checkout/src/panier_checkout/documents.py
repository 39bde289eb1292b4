"""Orders as people's tools read them: exactly CONTRACT.md's documents."""

from collections.abc import Sequence
from datetime import UTC, datetime

from panier_checkout.decision import ProblemKept, Step
from panier_checkout.order import Order

Document = dict[str, object]


def rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def order_document(order: Order) -> Document:
    """One order of the list."""
    address = order.fulfilment.address
    return {
        "order_id": order.order_id,
        "number": order.number,
        "shop": order.shop,
        "phone_number_id": order.phone_number_id,
        "conversation": order.conversation,
        "customer": {"user_id": order.customer.user_id, "wa_id": order.customer.wa_id},
        "state": order.state,
        "payment_state": order.payment_state,
        "currency": order.currency,
        "lines": [
            {
                "sku": line.sku,
                "title": line.title,
                "quantity": line.quantity,
                "unit_minor": line.unit_minor,
                "total_minor": line.total_minor,
            }
            for line in order.lines
        ],
        "fulfilment": {
            "way": order.fulfilment.way,
            "address": None
            if address is None
            else {"text": address.text, "latitude": address.latitude, "longitude": address.longitude},
        },
        "note": order.note,
        "fees_minor": order.fees_minor,
        "total_minor": order.total_minor,
        "paid_minor": order.paid_minor,
        "placed_at": rfc3339(order.placed_at),
        "caused_by": order.caused_by,
        "provider": order.provider,
    }


def order_with_steps(order: Order, steps: Sequence[Step]) -> Document:
    """An order of the list with what happened to it."""
    return {
        **order_document(order),
        "history": [{"at": rfc3339(step.at), "what": step.what, "by": step.by} for step in steps],
    }


def order_with_history(order: Order, steps: Sequence[Step], problem: ProblemKept | None) -> Document:
    """What `panier orders show` prints: also the latest payment that was no sale."""
    return {
        **order_with_steps(order, steps),
        "payment_problem": problem_document(problem) if problem is not None else None,
    }


def problem_of_order(problem: ProblemKept, order: Order | None) -> Document:
    """A problem of the list: what people call the order, and whose it is, when it is one of ours."""
    return {
        **problem_document(problem),
        "number": order.number if order is not None else None,
        "shop": order.shop if order is not None else None,
        "conversation": problem.conversation,
    }


def problem_document(problem: ProblemKept) -> Document:
    return {
        "order_id": problem.order_id,
        "reason": problem.reason,
        "provider": problem.provider,
        "notification_id": problem.notification_id,
        "minor": problem.minor,
        "currency": problem.currency,
        "at": rfc3339(problem.at),
    }
