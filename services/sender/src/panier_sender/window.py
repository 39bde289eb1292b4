"""Whether a message may still be sent: the 24 hours after the customer's last message, and "stop". Pure."""

from datetime import datetime, timedelta

import msgspec
from panier_common.contracts import inbound as m
from panier_common.contracts.inbound import Content

# Free-form messages are allowed within 24 hours of the customer's last message (Meta's error 131047 after).
OPEN_FOR = timedelta(hours=24)
# What could not be sent for a day is no answer and no news any more.
GOOD_FOR = timedelta(hours=24)
ANSWER = "answer"
TEMPLATE = "template"

# What can be in the way.
STOPPED = "stopped"
TOO_OLD = "too_old"
CLOSED = "window_closed"


class Window(msgspec.Struct, frozen=True):
    """What a conversation's own messages say about writing to it."""

    last_message_at: datetime | None = None
    stopped: bool = False


def heard(window: Window, content: Content, at: datetime, *, stop: bool) -> Window:
    """After a message of the customer. Whatever they write after a stop, other than stop, starts again."""
    match content:
        case m.System():
            return window  # Meta speaks, not the customer
        case m.Reaction() | m.Edit() | m.Revoke():
            stopped = window.stopped
        case _:
            stopped = stop
    last = window.last_message_at
    return Window(at if last is None or at > last else last, stopped)


def obstacle(
    window: Window,
    *,
    kind: str,
    lane: str,
    requested_at: datetime,
    answers_at: datetime | None,
    now: datetime,
) -> str | None:
    """Why a message may not be sent now; None when it may. `answers_at` counts like a message heard."""
    if lane != ANSWER and window.stopped:
        return STOPPED
    if now - requested_at > GOOD_FOR:
        return TOO_OLD
    if kind == TEMPLATE:
        return None
    known = [at for at in (window.last_message_at, answers_at) if at is not None]
    return None if known and now - max(known) <= OPEN_FOR else CLOSED
