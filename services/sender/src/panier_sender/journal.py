"""The working set of a batch: lines of messages as loaded, as decided, and what may be claimed. No I/O."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

import msgspec

from panier_sender.line import CLAIMED, READY, Entry, Line
from panier_sender.pacing import Budget
from panier_sender.window import ANSWER, Window, obstacle


class Sent(msgspec.Struct, frozen=True):
    """A message that Meta accepted, as far as a later status `failed` needs it."""

    id: str
    conversation: str
    phone_number_id: str
    kind: str
    origin: str


class Progress(msgspec.Struct, frozen=True):
    """How far `delivery` was read for a home: to a time, and whether that was its end."""

    read_to: datetime | None = None
    at_end: bool = False

    def passed(self, moment: datetime, now: datetime) -> bool:
        """Whether a status reported before that moment would have been seen."""
        return (self.read_to is not None and self.read_to >= moment) or (self.at_end and now >= moment)


@dataclass
class Journal:
    """What one batch knows and decides. `taken_at` is the claimer's monotonic clock before it read anything.

    `looked_at` are the numbers whose ready messages were searched for, with how many at most.
    """

    now: datetime
    taken_at: float
    budget: Budget
    doubt_after: timedelta
    lines: dict[str, Line] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)
    conversation_of: dict[str, str] = field(default_factory=dict)
    progress: dict[int, Progress] = field(default_factory=dict)
    looked_at: dict[str, int] = field(default_factory=dict)
    loaded: dict[str, Entry] = field(default_factory=dict)
    behind: list[Entry] = field(default_factory=list)
    finished: dict[str, str] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    sweeps: set[int] = field(default_factory=set)
    claims: dict[str, Entry] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    resent: int = 0
    # (home, whether it answers somebody) → number → conversations whose first message is ready, in order
    _ready: defaultdict[tuple[int, bool], defaultdict[str, deque[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(deque))
    )

    def fill(self, entries: Iterable[Entry], limit: int) -> None:
        """Take in what was loaded, in order; a line of more than `limit` messages continues in the journal."""
        grouped: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            grouped[entry.conversation].append(entry)
        for conversation, found in grouped.items():
            self.loaded |= {entry.id: entry for entry in found[:limit]}
            self.conversation_of |= {entry.id: conversation for entry in found[:limit]}
            self.put(conversation, Line(tuple(found[:limit]), len(found) > limit))

    def line(self, conversation: str) -> Line:
        return self.lines.get(conversation) or Line()

    def put(self, conversation: str, line: Line) -> None:
        self.lines[conversation] = line
        head = line.head
        if head is not None and line.is_ready:
            self._ready[head.home, head.lane == ANSWER][head.phone_number_id].append(conversation)

    def finish(self, entry: Entry, wamid: str = "") -> None:
        """The first message of its line is done with, sent if there is a wamid; the next one may go."""
        self.finished[entry.id] = wamid
        self.put(entry.conversation, self.line(entry.conversation).advanced())

    def head(self, conversation: str, message_id: str) -> Entry | None:
        """The message, if it is the first of its line."""
        head = self.line(conversation).head
        return head if head is not None and head.id == message_id else None

    def next_claim(self, home: int) -> tuple[Entry, str | None] | None:
        """The next message of the home that may go, or may not any more, with what is in its way.

        Who waits for an answer comes first.
        """
        if self.budget.room <= 0 or home in self.budget.closed:
            return None
        for number, ready in chain(self._ready[home, True].items(), self._ready[home, False].items()):
            while ready and self.budget.room_of(number, self.now) > 0:
                entry = self.line(ready.popleft()).head
                if entry is not None and entry.state == READY:
                    return entry, self._obstacle(entry)
        return None

    def _obstacle(self, entry: Entry) -> str | None:
        return obstacle(
            self.windows.get(entry.conversation) or Window(),
            kind=entry.kind,
            lane=entry.lane,
            requested_at=entry.requested_at,
            answers_at=entry.answers_at,
            now=self.now,
        )

    def claim(self, entry: Entry) -> None:
        """Hand the message to be called once this batch is committed."""
        line = self.line(entry.conversation).with_head(CLAIMED, attempt=entry.attempt + 1, claimed_at=self.now)
        self.lines[entry.conversation] = line
        self.claims[entry.id] = line.entries[0]
        self.budget.claim(entry.phone_number_id, entry.id)

    def added(self) -> list[Entry]:
        """Entries that the journal does not hold yet."""
        return [e for e in self._kept() if e.id not in self.loaded] + self.behind

    def changed(self) -> list[Entry]:
        return [e for e in self._kept() if self.loaded.get(e.id, e) != e]

    def left_ready(self) -> dict[str, int]:
        """Numbers with messages that may go but were not claimed, and their homes."""
        heads = (line.head for line in self.lines.values() if line.is_ready)
        return {head.phone_number_id: head.home for head in heads if head is not None}

    def _kept(self) -> Iterator[Entry]:
        for line in self.lines.values():
            yield from line.entries
