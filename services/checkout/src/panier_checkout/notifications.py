"""The loop over payments: a provider's notification is recorded once for good, then told to its order's home.

Ids are the provider's. What names no order of ours is a problem that a person can see.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from panier_common.contracts.events import PaymentNotified, PaymentRecorded
from panier_common.effects import Effect, Publish
from panier_common.event import Received

from panier_checkout.decision import ProblemKept


@dataclass
class Ledger:
    """The working set: ids that are known, the conversation of each order, and what is to be saved."""

    known: set[tuple[str, str]] = field(default_factory=set)
    conversations: dict[str, str] = field(default_factory=dict)
    recorded: list[PaymentNotified] = field(default_factory=list)
    problems: list[ProblemKept] = field(default_factory=list)


def record(ledger: Ledger, received: Received) -> Sequence[Effect]:
    told = received.event
    if not isinstance(told, PaymentNotified) or (told.provider, told.notification_id) in ledger.known:
        return ()
    ledger.known.add((told.provider, told.notification_id))
    ledger.recorded.append(told)
    order_id = told.order_id.lower()
    conversation = ledger.conversations.get(order_id)
    if conversation is None:
        ledger.problems.append(
            ProblemKept(
                order_id=told.order_id,
                conversation=None,
                provider=told.provider,
                notification_id=told.notification_id,
                reason="unknown_order",
                minor=told.minor,
                currency=told.currency,
                at=told.at,
            )
        )
        return ()
    recorded = PaymentRecorded(
        conversation=conversation,
        provider=told.provider,
        notification_id=told.notification_id,
        order_id=order_id,
        state=told.state,
        minor=told.minor,
        currency=told.currency,
        at=told.at,
    )
    return (Publish(recorded),)
