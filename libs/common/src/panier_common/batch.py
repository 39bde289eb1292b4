"""One batch in one transaction: lock, load, decide, save, outbox. A constant number of SQL statements.

Knows nothing of Kafka's client: it takes items and gives back what to publish once the transaction is through.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from panier_common import already, dead_letters, homes, outbox, telemetry, timers
from panier_common.contracts.events import EnquiryRaised, Event, EventForwarded, StateMoved
from panier_common.effects import DropTimer, Effect, NotTaken, Publish, SetTimer, Tombstone
from panier_common.event import (
    LANGUAGE,
    OWNER,
    SEQUENCE,
    TRACEPARENT,
    Headers,
    Received,
    caused_id,
    cloud_headers,
    encode,
    second_of,
)
from panier_common.homes import Home, Reading
from panier_common.item import Item
from panier_common.kafka import MAX_RECORD_BYTES, Outgoing
from panier_common.memory import Memory, Seen
from panier_common.postgres import Connection
from panier_common.progress import write_progress
from panier_common.timers import NewTimer
from panier_common.topics import INBOUND, TOPIC_OF, Topic, key_of

W = TypeVar("W")

SPOKEN_SECONDS = 30 * 24 * 3600
_OWNED = (EnquiryRaised, StateMoved, EventForwarded)  # these say in a header who alone need read them


@dataclass(frozen=True)
class Loop(Generic[W]):
    """What one consumer group of a service does with its topics.

    `name` is `<service>.<what>`. `wants` sees topic and headers, before the body is parsed. `load` and `save` run a
    constant number of statements; `decide` puts into the working set W what pure handlers returned. `timer_events` are
    the service's own events that timers and `Runner.submit` bring back. With `remembers`, the runner keeps each
    conversation's language and the ids of its messages, and drops repeats. `on_commit` gets the working set of each
    batch after its commit; `on_take_over` runs in the transaction that takes homes over, `on_release` when they are
    given up. `gather_seconds` is for a loop whose work nobody waits for: so long it lets records come before it works
    them together, out of the way of those who are waited for.
    """

    name: str
    topics: tuple[Topic, ...]
    wants: Callable[[str, Headers], bool]
    load: Callable[[Connection, Sequence[Received]], Awaitable[W]]
    decide: Callable[[W, Received], Sequence[Effect]]
    save: Callable[[Connection, W], Awaitable[None]]
    timer_events: tuple[type[Event], ...] = ()
    remembers: bool = True
    on_commit: Callable[[W], None] | None = None
    on_take_over: Callable[[Connection, Sequence[int]], Awaitable[None]] | None = None
    on_release: Callable[[Sequence[int]], Awaitable[None]] | None = None
    gather_seconds: float = 0.0

    @property
    def service(self) -> str:
        return self.name.partition(".")[0]


class PoisonError(Exception):
    """Some record of the batch is to blame; `__cause__` says for what. `blamed` are those known to be."""

    def __init__(self, blamed: "Sequence[tuple[Item, Exception]]" = ()) -> None:
        super().__init__()
        self.blamed = blamed


class RecordTooLargeError(ValueError):
    """An event larger than a Kafka record may be."""


@dataclass
class Outcome(Generic[W]):
    """What a committed batch leaves to be done, how many events of each type it decided on, repeats by their kind."""

    world: W
    publish: list[Outgoing]
    readings: dict[tuple[str, int], Reading]
    seqs: dict[int, int]
    deleted: dict[int, int]
    foreign: dict[int, int]
    decided: Counter[str]
    dead: int
    duplicates: Counter[str]


@dataclass
class Batch(Generic[W]):
    """The work on some items, in their order, for a loop that owns their homes.

    `on_decided` is called when all is decided, and is to begin what can be done while the database saves.
    """

    loop: Loop[W]
    homes: dict[int, Home]
    readings: dict[tuple[str, int], Reading]
    items: Sequence[Item]
    on_decided: Callable[[], None] | None = None
    _heard: dict[tuple[str, int, str], int] = field(default_factory=dict)
    _next: dict[tuple[str, int], int] = field(default_factory=dict)
    _out: list[Outgoing] = field(default_factory=list)
    _timers: dict[tuple[int, str], NewTimer | None] = field(default_factory=dict)
    _memories: dict[str, Memory] = field(default_factory=dict)
    _languages: dict[str, str | None] = field(default_factory=dict)
    _changed: set[str] = field(default_factory=set)
    _dead: list[Item] = field(default_factory=list)
    _decided: Counter[str] = field(default_factory=Counter)
    _duplicates: Counter[str] = field(default_factory=Counter)

    async def run(self, db: Connection) -> Outcome[W]:
        """The transaction's body. Raises PoisonError, HomeLostError, or what the database raises."""
        touched = sorted({item.home for item in self.items})
        seqs = await homes.lock(db, self.loop.name, [self.homes[p] for p in touched])
        live = await self._not_dropped(db, self._advance())
        if any(self.homes[p].is_restored for p in touched):
            live = await self._not_done(db, live)
        if self.loop.remembers:
            await self._remember(db, live)
            live = self._not_repeated(live)
        wanted = [item for item in live if item.received is not None and item.dead is None]
        try:
            world = await self.loop.load(db, [item.received for item in wanted if item.received is not None])
            new_seqs = self._decide(world, wanted, dict(seqs))
            if any(self.homes[p].is_restored for p in touched):
                self._out = await already.unpublished(db, self.loop.name, self._out)
            if self.on_decided is not None:
                self.on_decided()
            await self.loop.save(db, world)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError) as error:
            raise PoisonError from error
        if self._changed:
            await self._save_memories(db)
        deleted = await self._finish(db, new_seqs)
        return Outcome(
            world,
            self._out,
            self._read(),
            new_seqs,
            deleted,
            {p: self.homes[p].seq for p in touched if seqs[p] > self.homes[p].seq},
            self._decided,
            len(self._dead),
            self._duplicates,
        )

    def _advance(self) -> list[Item]:
        """Move the positions on; keep what was not published twice."""
        live = []
        for item in self.items:
            if item.is_record:
                at = (item.topic, item.partition)
                self._next[at] = item.offset + 1
                if self._is_heard(at, item.headers.get(SEQUENCE)):
                    self._duplicates["published_again"] += 1
                    continue
            live.append(item)
        return live

    async def _not_dropped(self, db: Connection, live: list[Item]) -> list[Item]:
        """Without the dead letters that a person dropped after they were read."""
        replays = [item.replays for item in live if item.replays is not None]
        if not replays:
            return live
        there = await dead_letters.still_there(db, replays)
        return [item for item in live if item.replays is None or item.replays in there]

    async def _not_done(self, db: Connection, live: list[Item]) -> list[Item]:
        """Without records whose work outside was done after the backup that this home was restored from."""
        ids = [item.received.id for item in live if item.is_record and item.received is not None]
        done = await already.known(db, self.loop.name, "done", ids)
        return [item for item in live if item.received is None or item.received.id not in done]

    def _is_heard(self, at: tuple[str, int], sequence: str | None) -> bool:
        if sequence is None:
            return False
        source, _, number = sequence.rpartition("/")
        n = int(number) if number.isdecimal() else 0
        known = self.readings[at].heard.get(source, 0) if at in self.readings else 0
        if n <= max(known, self._heard.get((*at, source), 0)):
            return True
        self._heard[(*at, source)] = n
        return False

    async def _remember(self, db: Connection, live: Sequence[Item]) -> None:
        """Load memories and languages, and give every item the language spoken at its place."""
        keys = {item.key for item in live if item.key}
        rows = await db.fetch(
            "SELECT conversation, language, memory FROM conversation WHERE loop = $1 AND conversation = ANY($2)",
            self.loop.name,
            sorted(keys),
        )
        for row in rows:
            self._languages[row["conversation"]] = row["language"]
            self._memories[row["conversation"]] = Memory.unpack(row["memory"])
        for item in live:
            if LANGUAGE in item.headers:
                self._note_language(item)
            if item.received is not None:
                item.received.language = self._languages.get(item.key)

    def _note_language(self, item: Item) -> None:
        """Noted when it is another one, and once in a while: it is kept for as long as the customer speaks."""
        language, memory = item.headers[LANGUAGE], self._memories.get(item.key) or Memory()
        second = second_of(item.headers)
        if language != self._languages.get(item.key) or second - memory.newest > SPOKEN_SECONDS:
            self._languages[item.key] = language
            self._memories[item.key] = memory.spoken(second)
            self._changed.add(item.key)

    def _not_repeated(self, live: Sequence[Item]) -> list[Item]:
        """Without the customers' messages that were sent again from outside."""
        kept = []
        for item in live:
            if item.received is None or item.topic != INBOUND.name or item.dead is not None:
                kept.append(item)  # what nobody digested is remembered when its replay is
                continue
            memory = self._memories.get(item.key) or Memory()
            try:
                seen = memory.look(item.received.id, item.received.at)
            except ValueError as error:
                item.dead = dead_letters.reason_of(error)
                kept.append(item)
                continue
            if seen is Seen.DOUBTFUL and item.replays is None:
                item.dead = "older than what is remembered of this conversation: it may have been taken before"
                kept.append(item)
                continue
            if seen is Seen.REPEAT:
                self._duplicates["sent_again"] += 1
                continue
            self._memories[item.key] = memory.taken(item.received.id, item.received.at)
            self._changed.add(item.key)
            kept.append(item)
        return kept

    def _decide(self, world: W, wanted: Sequence[Item], seqs: dict[int, int]) -> dict[int, int]:
        """Decide on the items in order and number what follows; the homes' new sequences.

        After one that raises the others are still decided on, to find all that are to blame at once.
        """
        blamed: list[tuple[Item, Exception]] = []
        for item in wanted:
            received = item.received
            if received is None or (item.timer is not None and not self._still_due(item)):
                continue
            if item.timer is not None:
                self._timers[item.home, item.timer.key] = None
            try:
                effects = self.loop.decide(world, received)
            except Exception as error:
                blamed.append((item, error))
                continue
            self._decided[received.event.ce_type] += 1
            for ordinal, effect in enumerate(effects):
                self._take(item, received, ordinal, effect, seqs)
        if blamed:
            raise PoisonError(blamed) from blamed[0][1]
        return seqs

    def _still_due(self, item: Item) -> bool:
        """Not dropped or set anew by something earlier in this batch."""
        return item.timer is not None and (item.home, item.timer.key) not in self._timers

    def _take(self, item: Item, received: Received, ordinal: int, effect: Effect, seqs: dict[int, int]) -> None:
        trace = item.headers.get(TRACEPARENT)
        match effect:
            case Publish(event=event):  # first: by far the most
                seqs[item.home] += 1
                self._out.append(self._published(item, received, ordinal, event, seqs))
            case SetTimer(key=key, after_seconds=seconds, event=event):
                self._timers[item.home, key] = NewTimer(
                    item.home, key, seconds, event.ce_type, encode(event), trace, self._cause_of(item, received)
                )
            case DropTimer(key=key):
                self._timers[item.home, key] = None
            case NotTaken():
                if (memory := self._memories.get(item.key)) is not None:
                    self._memories[item.key] = memory.without(received.id)
            case Tombstone(topic=topic, key=key):
                seqs[item.home] += 1
                self._out.append(
                    Outgoing(item.home, seqs[item.home], topic.name, key, self._numbered(item, seqs, {}), None)
                )

    def _cause_of(self, item: Item, received: Received) -> str | None:
        """What a timer's id follows from; nothing where it would not be the same, were it decided again."""
        is_same_again = item.is_record or (item.timer is not None and item.timer.cause is not None)
        return received.id if is_same_again and received.id else None

    def _numbered(self, item: Item, seqs: dict[int, int], headers: Headers) -> Headers:
        headers[SEQUENCE] = outbox.sequence_header(self.loop.name, item.home, seqs[item.home])
        return headers

    def _published(self, item: Item, received: Received, ordinal: int, event: Event, seqs: dict[int, int]) -> Outgoing:
        event_id = caused_id(self.loop.service, received.id, event.ce_type, ordinal)
        at = item.headers.get("ce_time") or received.at
        headers = self._numbered(item, seqs, cloud_headers(event, event_id, self.loop.service, at))
        if isinstance(event, _OWNED):
            headers[OWNER] = event.owner
        topic = TOPIC_OF[type(event)].name
        value = encode(event)
        if len(value) > MAX_RECORD_BYTES - 4096:
            raise RecordTooLargeError(f"{event.ce_type} of {len(value)} bytes")
        record = Outgoing(item.home, seqs[item.home], topic, key_of(event), headers, value)
        trace = item.headers.get(TRACEPARENT)
        if trace is not None and telemetry.is_sampled(trace):
            if telemetry.tracing():
                record.span = telemetry.start_send(topic, event.ce_type, event_id, item.span or trace)
                trace = telemetry.traceparent_of(record.span)
            headers[TRACEPARENT] = trace
        return record

    async def _save_memories(self, db: Connection) -> None:
        keys = sorted(self._changed)
        await db.execute(
            "INSERT INTO conversation (loop, conversation, language, memory) "
            "SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bytea[]) "
            "ON CONFLICT (loop, conversation) DO UPDATE SET language = excluded.language, memory = excluded.memory",
            self.loop.name,
            keys,
            [self._languages.get(key) for key in keys],
            [(self._memories.get(key) or Memory()).pack() for key in keys],
        )

    async def _finish(self, db: Connection, seqs: dict[int, int]) -> dict[int, int]:
        for item in self.items:
            if item.dead is not None and item.timer is not None:  # its letter has it now, and must have it alone
                self._timers.setdefault((item.home, item.timer.key), None)
        await timers.change(db, self.loop.name, self._timers)
        self._dead = [item for item in self.items if item.dead is not None]
        if self._dead:
            await dead_letters.keep(db, [self._letter(item) for item in self._dead])
        replayed = [item.replays for item in self.items if item.replays is not None and item.dead is None]
        if replayed:
            await dead_letters.forget(db, replayed)
        return await write_progress(db, self.loop.name, self._next, self._heard, self._out, seqs, self.homes)

    def _letter(self, item: Item) -> dead_letters.DeadLetter:
        return dead_letters.DeadLetter(
            self.loop.name,
            item.home,
            item.topic,
            item.partition,
            item.offset,
            item.key,
            msgspec.json.encode(item.headers),
            item.value,
            item.dead or "",
            telemetry.trace_id_of(item.headers.get(TRACEPARENT)),
            item.replays,
        )

    def _read(self) -> dict[tuple[str, int], Reading]:
        """The readings as they are once this batch is committed."""
        read = {}
        for at, offset in self._next.items():
            old = self.readings.get(at)
            read[at] = Reading(offset, dict(old.heard) if old else {})
        for (topic, partition, source), n in self._heard.items():
            read[topic, partition].heard[source] = n
        return read
