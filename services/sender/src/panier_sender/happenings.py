"""What happens inside the sender: events that enter its loop through timers and results, never a topic.

`phone_number_id` says whose they are: the runner brings each to the home of its number.
"""

from datetime import datetime

from panier_common.contracts.events import Event

from panier_sender.line import Entry


class CallFinished(Event, frozen=True):
    """A call ended, or never began. `outcome` is a value of `errors.Class`; `attempt` says of which claim."""

    ce_type = "panier.sender.call-finished.v1"
    conversation: str
    phone_number_id: str
    message_id: str
    attempt: int
    outcome: str
    at: datetime
    wamid: str = ""
    code: int = 0
    reason: str = ""
    delay_seconds: float = 0.0
    traceparent: str | None = None
    person: bool = False


class DoubtDue(Event, frozen=True):
    """Time to look whether a message in doubt was sent."""

    ce_type = "panier.sender.doubt-due.v1"
    conversation: str
    phone_number_id: str
    message_id: str


class DelayDue(Event, frozen=True):
    """A message that was to wait may go again."""

    ce_type = "panier.sender.delay-due.v1"
    conversation: str
    phone_number_id: str
    message_id: str


class WorkDue(Event, frozen=True):
    """Messages of this number may be claimed; with `conversation`, that line has to be looked at again."""

    ce_type = "panier.sender.work-due.v1"
    phone_number_id: str
    at: datetime
    conversation: str = ""


class SweepDue(Event, frozen=True):
    """Time to forget messages sent so long ago that no status of theirs can come any more."""

    ce_type = "panier.sender.sweep-due.v1"
    phone_number_id: str = ""


class MessageReturned(Event, frozen=True):
    """A person has a message sent that was given up: it was a dead letter until then."""

    ce_type = "panier.sender.message-returned.v1"
    phone_number_id: str
    conversation: str
    entry: Entry


class NumberReleased(Event, frozen=True):
    """A person says that a number may send again: what Meta stopped it for is mended."""

    ce_type = "panier.sender.number-released.v1"
    phone_number_id: str


HAPPENINGS = (CallFinished, DoubtDue, DelayDue, WorkDue, SweepDue, MessageReturned, NumberReleased)
