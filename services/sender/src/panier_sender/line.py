"""The queue of one customer at one number: strictly one message at a time, in the order they were asked for.

Only the first of a line may be ready, claimed, delayed or in doubt; those behind it are queued. Pure.
"""

from datetime import datetime
from typing import Any

import msgspec

QUEUED = "queued"  # behind another message to the same customer
READY = "ready"  # may go as soon as there is room
CLAIMED = "claimed"  # handed to be called now; without a result it becomes doubtful
DELAYED = "delayed"  # waits for its timer
DOUBT = "doubt"  # a call may have reached Meta; the log of statuses tells


class Entry(msgspec.Struct, frozen=True):
    """One message of the journal. `body` is the call's JSON, `buttons` what the message offers, as JSON.

    `attempt` counts claims, so that a late result is known as one; `failures` counts refusals. `proof` is the
    wamid that a status told before the call's own answer did. `rank` is that of the lane, or of a better one
    behind it: who waits for an answer does not wait for reminders of others. `template` is the JSON of the call
    that says the same outside the 24-hour window, empty without one. `undelivered` is the wamid under which Meta took
    the message that this template says again: what is told of that one says nothing of this one.
    """

    id: str
    home: int
    conversation: str
    phone_number_id: str
    kind: str
    lane: str
    origin: str
    body: str
    buttons: str
    requested_at: datetime
    answers_at: datetime | None = None
    traceparent: str | None = None
    state: str = QUEUED
    attempt: int = 0
    failures: int = 0
    claimed_at: datetime | None = None
    proof: str = ""
    rank: int = 0
    template: str = ""
    undelivered: str = ""


class Line(msgspec.Struct, frozen=True):
    """The first messages of the queue, in order; `more` says that the journal holds others behind them."""

    entries: tuple[Entry, ...] = ()
    more: bool = False

    @property
    def head(self) -> Entry | None:
        return self.entries[0] if self.entries else None

    @property
    def is_ready(self) -> bool:
        return bool(self.entries) and self.entries[0].state == READY

    def joined(self, entry: Entry) -> "Line":
        """With a new message at the end, ready when there is nobody before it; not for a line with `more`."""
        return Line((*self.entries, entry)).urged(entry.rank).woken()

    def urged(self, rank: int) -> "Line":
        """Its first message goes with what is behind it."""
        head = self.head
        if head is None or head.rank <= rank:
            return self
        return Line((msgspec.structs.replace(head, rank=rank), *self.entries[1:]), self.more)

    def with_head(self, state: str, **changes: Any) -> "Line":
        head = msgspec.structs.replace(self.entries[0], state=state, **changes)
        return Line((head, *self.entries[1:]), self.more)

    def advanced(self) -> "Line":
        """Without its first message; the next one may go, as urgently as any that is known behind it."""
        behind = self.entries[1:]
        # Of a long line only the beginning is known: its first message may have been urged by one further back.
        known = [entry.rank for entry in (self.entries if self.more else behind)]
        return Line(behind, self.more).urged(min(known, default=0)).woken()

    def woken(self) -> "Line":
        """Its first message may go, if it only waited for those before it."""
        return self.with_head(READY) if self.entries and self.entries[0].state == QUEUED else self
