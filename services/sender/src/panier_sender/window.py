"""Whether a message may still be sent: the 24 hours after the customer's last message, "stop", no offers. Pure."""

from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace
from panier_common.contracts import inbound as m
from panier_common.contracts.inbound import Content

# Free-form messages are allowed within 24 hours of the customer's last message (Meta's error 131047 after).
OPEN_FOR = timedelta(hours=24)
# What could not be sent for a day is no answer and no news any more.
GOOD_FOR = timedelta(hours=24)
ANSWER = "answer"
REMINDER = "reminder"
TEMPLATE = "template"

_NEVER = datetime.min.replace(tzinfo=UTC)

# What can be in the way.
STOPPED = "stopped"
TOO_OLD = "too_old"
CLOSED = "window_closed"
NO_OFFERS = "stopped_marketing"  # as Meta calls it in 131050


class Window(msgspec.Struct, frozen=True):
    """What a conversation's own messages say about writing to it, and what Meta said of offers.

    `spoke_at` is when the customer last wrote something that stops or starts again: not every message does.
    """

    last_message_at: datetime | None = None
    stopped: bool = False
    spoke_at: datetime | None = None
    no_offers: bool = False


def heard(window: Window, content: Content, at: datetime, *, stop: bool) -> Window:
    """After a message of the customer. Whatever they write after a stop, other than stop, starts again."""
    if isinstance(content, m.System):
        return window  # Meta speaks, not the customer
    last = window.last_message_at
    window = replace(window, last_message_at=at if last is None or at > last else last)
    overtaken = window.spoke_at is not None and at < window.spoke_at
    if overtaken or isinstance(content, m.Reaction | m.Edit | m.Revoke):
        return window
    return replace(window, stopped=stop, spoke_at=at)


def joined(one: Window, other: Window) -> Window:
    """Two conversations turn out to be one customer's: what was said last holds, in doubt the stop."""
    known = [at for at in (one.last_message_at, other.last_message_at) if at is not None]
    spoke = max(one, other, key=lambda window: (window.spoke_at or _NEVER, window.stopped))
    return Window(max(known, default=None), spoke.stopped, spoke.spoke_at, one.no_offers or other.no_offers)


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
        return NO_OFFERS if lane == REMINDER and window.no_offers else None
    known = [at for at in (window.last_message_at, answers_at) if at is not None]
    return None if known and now - max(known) <= OPEN_FOR else CLOSED
