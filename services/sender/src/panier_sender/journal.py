"""The working set of a batch: lines of messages as loaded, as decided, and what may be claimed. No I/O."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

import msgspec
from panier_common.contracts.events import ShopConfigured
from panier_common.event import TRACEPARENT, Received
from panier_common.read_progress import Progress

from panier_sender.failing import Letter, sentence
from panier_sender.line import CLAIMED, READY, Entry, Line
from panier_sender.pacing import Budget
from panier_sender.schedule import NEWS, RANKS, rank_of
from panier_sender.window import TEMPLATE, Window, obstacle


class InDoubt(Enum):
    """What becomes of a message when all that Meta reported since does not tell whether it was sent."""

    RESEND = "resend"  # nothing is lost; a customer may get it twice
    GIVE_UP = "give_up"  # nothing comes twice; a person decides


class Sent(msgspec.Struct, frozen=True):
    """A message that Meta accepted, as far as a later status `failed` needs it."""

    id: str
    conversation: str
    phone_number_id: str
    kind: str
    origin: str
    wamid: str
    template: str = ""

    def as_template(self, received: Received) -> Entry:
        """What goes now that the window turned out to be closed."""
        return Entry(
            id=self.id,
            home=received.partition,
            conversation=self.conversation,
            phone_number_id=self.phone_number_id,
            kind=TEMPLATE,
            lane=NEWS,
            origin=self.origin,
            body=self.template,
            buttons="[]",
            requested_at=received.at,
            traceparent=received.headers.get(TRACEPARENT),
            rank=rank_of(NEWS),
            undelivered=self.wamid,
        )


@dataclass
class Journal:
    """What one batch knows and decides. `taken_at` is the claimer's monotonic clock before it read anything.

    `progress` is how far `delivery` was read, by home. `heard` is what answers told of windows, `no_offers` who
    stopped them, `erased` who is forgotten. `looked_at` are the numbers whose ready messages were searched for, with
    how many at most, `unseen` (number → home) those for which there was no room. Until `windows_known`, what
    customers wrote before the sender started is still to be read. `letters` are dead letters to keep, `files` (digest
    → type, content) what is to be uploaded. `more_to_forget`: of what was sent long ago some is left.
    """

    now: datetime
    taken_at: float
    budget: Budget
    doubt_after: timedelta
    lines: dict[str, Line] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    heard: dict[str, datetime] = field(default_factory=dict)
    no_offers: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    sent: dict[str, Sent] = field(default_factory=dict)
    conversation_of: dict[str, str] = field(default_factory=dict)
    progress: dict[int, Progress] = field(default_factory=dict)
    looked_at: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)
    loaded: dict[str, Entry] = field(default_factory=dict)
    behind: list[Entry] = field(default_factory=list)
    finished: dict[str, str] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    more_to_forget: bool = False
    claims: dict[str, Entry] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    resent: int = 0
    letters: list[Letter] = field(default_factory=list)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    in_doubt: InDoubt = InDoubt.RESEND
    windows_known: bool = True
    shops: Mapping[str, ShopConfigured] = field(default_factory=dict)
    # (home, rank) → number → conversations whose first message is ready, in order
    _ready: defaultdict[tuple[int, int], defaultdict[str, deque[str]]] = field(
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
            self._ready[head.home, head.rank][head.phone_number_id].append(conversation)

    def hear(self, conversation: str, at: datetime) -> None:
        """The customer wrote then, as what answers them says: `inbound` may be read elsewhere, or later."""
        window = self.windows.get(conversation) or Window()
        if window.last_message_at is None or at > window.last_message_at:
            self.windows[conversation] = msgspec.structs.replace(window, last_message_at=at)
            self.heard[conversation] = at

    def forget(self, conversation: str) -> None:
        """Nothing of what the customer was still to be sent is kept."""
        self.erased.add(conversation)
        self.lines[conversation] = Line()
        self.behind = [entry for entry in self.behind if entry.conversation != conversation]
        self.sent |= {
            id: msgspec.structs.replace(sent, template="")
            for id, sent in self.sent.items()
            if sent.conversation == conversation
        }

    def stop_offers(self, conversation: str) -> None:
        """Meta says that the customer wants none any more."""
        window = self.windows.get(conversation) or Window()
        self.windows[conversation] = msgspec.structs.replace(window, no_offers=True)
        self.no_offers.add(conversation)

    def finish(self, entry: Entry, wamid: str = "") -> None:
        """The first message of its line is done with, sent if there is a wamid; the next one may go."""
        self.finished[entry.id] = wamid
        if wamid:  # its status `failed` may be in this very batch
            self.sent[entry.id] = Sent(
                entry.id, entry.conversation, entry.phone_number_id, entry.kind, entry.origin, wamid, entry.template
            )
        self.put(entry.conversation, self.line(entry.conversation).advanced())

    def head(self, conversation: str, message_id: str) -> Entry | None:
        """The message, if it is the first of its line."""
        head = self.line(conversation).head
        return head if head is not None and head.id == message_id else None

    def next_ready(self, home: int) -> Entry | None:
        """The next message of the home that there is room for: who waits for an answer first, numbers in turn."""
        if self.budget.room <= 0 or home in self.budget.closed:
            return None
        for rank in range(len(RANKS)):
            numbers = self._ready[home, rank]
            for number in list(numbers):
                ready = numbers[number]
                while ready and self.budget.room_of(number, self.now) > 0:
                    entry = self.line(ready.popleft()).head
                    if entry is not None and entry.state == READY and entry.rank == rank:
                        numbers[number] = numbers.pop(number)  # to the end: the others are next
                        return entry
                if not ready:
                    del numbers[number]
        return None

    def obstacle(self, entry: Entry) -> str | None:
        """Why the message may not be sent now; None when it may."""
        return obstacle(
            self.windows.get(entry.conversation) or Window(),
            kind=entry.kind,
            lane=entry.lane,
            requested_at=entry.requested_at,
            answers_at=entry.answers_at,
            now=self.now,
        )

    def sentence(self, number: str, reason: str, code: int) -> str:
        """Why something of this number failed, for people of its shop."""
        return sentence(self.shops.get(number), reason, code)

    def claim(self, entry: Entry) -> None:
        """Hand the message to be called once this batch is committed."""
        line = self.line(entry.conversation).with_head(CLAIMED, attempt=entry.attempt + 1, claimed_at=self.now)
        self.lines[entry.conversation] = line
        self.claims[entry.id] = line.entries[0]
        self.budget.claim(entry.phone_number_id, entry.id, entry.conversation, self.now)

    def added(self) -> list[Entry]:
        """Entries that the journal does not hold yet."""
        return [e for e in self._kept() if not self._is_held(e.id)] + self.behind

    def changed(self) -> list[Entry]:
        return [e for e in self._kept() if self._is_held(e.id) and self.loaded[e.id] != e]

    def left_ready(self) -> dict[str, int]:
        """Numbers with messages that may go but were not claimed, and their homes."""
        heads = (line.head for line in self.lines.values() if line.is_ready)
        return {head.phone_number_id: head.home for head in heads if head is not None}

    def _is_held(self, message_id: str) -> bool:
        """Whether the journal still has it: a template has the id of what was finished, maybe in this very batch."""
        return message_id in self.loaded and message_id not in self.finished

    def _kept(self) -> Iterator[Entry]:
        for line in self.lines.values():
            yield from line.entries
