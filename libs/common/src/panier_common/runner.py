"""The loop that carries every service: fetch, one transaction, publish. DESIGN.md, section 4, says why so.

Records that nobody can digest are found by halving and become dead letters; whatever else goes wrong is waited
out, with readiness saying why. Losing a home ends the process.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeAlias

import asyncpg
import msgspec
import structlog
from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from panier_common import dead_letters, homes, outbox, telemetry, timers
from panier_common.batch import (
    Batch,
    Item,
    Loop,
    Outcome,
    PoisonError,
    W,
    end_spans,
)
from panier_common.contracts.events import Event
from panier_common.dead_letters import reason_of
from panier_common.effects import DropTimer, Effect, Publish, SetTimer, Tombstone
from panier_common.engines import Log, Reader, Store
from panier_common.event import (
    EVENT_TYPES,
    LANGUAGE,
    TRACEPARENT,
    Gone,
    Headers,
    Received,
    UnknownEventError,
    caused_id,
    encode,
    from_wire,
    received,
)
from panier_common.failpoints import fail_point
from panier_common.homes import Home, HomeLostError, Reading
from panier_common.kafka import Outgoing, partition_of
from panier_common.outbox import Publisher
from panier_common.postgres import AWAY, Connection, is_caused_by_a_record
from panier_common.progress import write_progress
from panier_common.replaying import in_order_of_time
from panier_common.timers import TIMER_TOPIC, DueTimer

BATCH_RECORDS = 500
POLL_SECONDS = 0.25
TICK_SECONDS = 0.5
COMMIT_SECONDS = 1.0
RELEASE_SECONDS = 5.0
DRAIN_SECONDS = 6.0
WAIT_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0)
SUBMITTED_TOPIC = "submitted"
JOINING = "joining the consumer group"
OURS = "panier."  # how the types of all our events begin


class Read(NamedTuple):
    """What one fetch brought of one topic-partition; `written_at` is when its last record was appended."""

    topic: str
    partition: int
    written_at: float
    items: list[Item]


KafkaRecord: TypeAlias = "ConsumerRecord[bytes, bytes]"

log = structlog.get_logger()


class Runner(ConsumerRebalanceListener, Generic[W]):
    """Works one loop: the homes whose partitions of all its topics are assigned to this process."""

    def __init__(self, loop: Loop[W], store: Store, log: Log) -> None:
        self.loop = loop
        self._pool = store
        self._log = log
        self._group = f"panier.{loop.name}"
        self._consumer: Reader | None = None
        self._producer = log.writer(f"panier-{loop.name}")
        self._publisher = Publisher(loop.name, self._producer)
        self._homes: dict[int, Home] = {}
        self._readings: dict[tuple[str, int], Reading] = {}
        self._read_at: dict[tuple[str, int], float] = {}
        self._ends_at_start: dict[tuple[str, int], int] = {}
        self._unsaved: set[tuple[str, int]] = set()
        self._assignment: frozenset[TopicPartition] = frozenset()
        self._busy = asyncio.Lock()
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._ahead: asyncio.Task[list[Read]] | None = None
        self._publishing: asyncio.Task[None] | None = None
        self._submitted: list[tuple[Sequence[Event], asyncio.Future[None]]] = []
        self._events = {event.ce_type: event for event in loop.timer_events}
        self._waiting: str | None = "not started"
        self._ticked = self._committed = 0.0

    # What others may ask.

    def why_not_ready(self) -> str | None:
        """Why this loop is not working, None when it is."""
        return self._waiting or self._publisher.failing

    def caught_up_since_start(self) -> bool:
        """Whether every home here has been read to the end that its topics had when it was taken over."""
        return (
            self._waiting is None
            and self._assigned() <= self._homes.keys()
            and all(
                at in self._readings and self._readings[at].next_offset >= end
                for at, end in self._ends_at_start.items()
            )
        )

    def progress(self, topic: str, partition: int) -> tuple[datetime | None, bool]:
        """(append time of the last record read, whether that was the end) of one topic-partition."""
        reading = self._readings.get((topic, partition))
        read_at = self._read_at.get((topic, partition))
        end = self._end_of(topic, partition)
        at = datetime.fromtimestamp(read_at, UTC) if read_at is not None else None
        return at, reading is not None and end is not None and reading.next_offset >= end

    def lag(self) -> dict[str, tuple[int, float]]:
        """topic → (records not yet read, seconds since the last one read was written)."""
        behind: dict[str, tuple[int, float]] = {topic.name: (0, 0.0) for topic in self.loop.topics}
        for (topic, partition), reading in list(self._readings.items()):
            end = self._end_of(topic, partition)
            missing = max(0, (end or 0) - max(reading.next_offset, 0))
            seconds = time.time() - self._read_at.get((topic, partition), time.time()) if missing else 0.0
            records, longest = behind[topic]
            behind[topic] = records + missing, max(longest, seconds)
        return behind

    async def submit(self, events: Sequence[Event]) -> None:
        """Decide on results of the service's own work in the next batch; returns when that is committed.

        The home is that of the key of the loop's first topic. Raises HomeLostError when it is not here.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._submitted.append((events, done))
        self._wake.set()
        await done

    # The life of the loop.

    async def run(self) -> None:
        """Work until `stop`; raises when the process must end (a home lost, a bug in the runner)."""
        await self._start()
        try:
            while not self._stop.is_set():
                await self._step()
        finally:
            await self._close()

    def stop(self) -> None:
        """Stop fetching; `run` finishes the batch, publishes, leaves the group and returns."""
        self._stop.set()
        self._wake.set()

    async def _start(self) -> None:
        while not self._stop.is_set():
            self._consumer = self._log.reader(self._group, f"panier-{self.loop.name}")
            self._consumer.subscribe([topic.name for topic in self.loop.topics], listener=self)
            try:
                await self._consumer.start()
            except (KafkaError, OSError) as error:
                await self._consumer.stop()
                await self._wait(f"no broker answers ({type(error).__name__})", 3)
            else:
                self._waiting = JOINING
                return

    async def _close(self) -> None:
        await self._forget_ahead()
        with suppress(KafkaError, OSError, TimeoutError):
            await self._released()
        if self._consumer is not None:
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(self._consumer.stop(), RELEASE_SECONDS)
        await self._producer.stop()

    async def _step(self) -> None:
        await self._open_homes()
        await self._work_submitted(await self._poll())
        if time.monotonic() - self._ticked > TICK_SECONDS and self._homes:
            await self._tick()

    # Ownership.

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self._assignment = frozenset()  # until the next one: the consumer itself still shows the old
        if revoked:
            await self._released()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._assignment = frozenset(assigned)
        if self._waiting == JOINING and not assigned:
            self._waiting = None  # with nothing to do: others have all the partitions
        self._wake.set()

    async def _released(self) -> None:
        """Give up every home: the batch under way ends first, or is dropped where it waits for an engine."""
        await self._drain()
        owned, self._homes = self._homes, {}
        await self._forget_ahead()
        given_up = sorted(owned)
        self._ends_at_start = {}
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                async with self._busy:
                    if self._publishing is not None:
                        await asyncio.shield(self._publishing)
                    await self._tidy(owned, {})
        except (TimeoutError, HomeLostError):
            log.warning("gave homes up while an engine was away", loop=self.loop.name)
        if given_up:
            await self._commit()
        self._readings, self._unsaved = {}, set()

    async def _drain(self) -> None:
        """Have the service end what it began outside; its results are still decided on meanwhile."""
        if self.loop.on_release is None or not self._homes:
            return
        releasing = asyncio.ensure_future(self.loop.on_release(sorted(self._homes)))
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not releasing.done():
                    await asyncio.wait([releasing], timeout=0.02)
                    await self._work_submitted()
        except (TimeoutError, HomeLostError):
            log.warning("gave homes up before their work outside had ended", loop=self.loop.name)
        finally:
            await _cancelled(releasing)

    async def _work_submitted(self, items: Sequence[Item] = ()) -> None:
        """Work these, and what the service submitted behind them. Whoever submitted is told in any case."""
        submitted, self._submitted = self._submitted, []
        try:
            items = [*items, *self._own_items(submitted)]
            if items:
                await self._work(items)
        except BaseException:
            # Given up half-way, because the homes go or the process ends: nobody may wait for ever for that.
            _settle(submitted, HomeLostError(f"{self.loop.name} gave it up undecided"))
            raise
        _settle(submitted)

    def _assigned(self) -> set[int]:
        """Partitions of which all the loop's topics are assigned here."""
        return {
            tp.partition
            for tp in self._assignment
            if all(TopicPartition(topic.name, tp.partition) in self._assignment for topic in self.loop.topics)
        }

    async def _open_homes(self) -> None:
        new = sorted(self._assigned() - self._homes.keys())
        if not new:
            return
        async with self._busy:
            for attempt in range(1_000_000):
                try:
                    await self._take_over(new)
                except (*AWAY, KafkaError) as error:
                    await self._wait(f"taking partitions over ({type(error).__name__})", attempt)
                    if self._stop.is_set() or not set(new) <= self._assigned():
                        return
                else:
                    self._waiting = None
                    break
        await self._replay([p for p in new if p in self._homes and self._homes[p].is_restored])

    async def _replay(self, restored: Sequence[int]) -> None:
        """Work what restored homes have before them in the order of its writing, whatever its topic."""
        topics = [topic.name for topic in self.loop.topics]
        while restored and set(restored) <= self._homes.keys() and not self._stop.is_set():
            await self._forget_ahead()
            self._seek_to_work()
            stretches = {
                TopicPartition(*at): (reading.next_offset, self._ends_at_start[at])
                for at, reading in self._readings.items()
                if at[1] in restored
            }
            try:
                async for records in in_order_of_time(self._reader(), stretches, topics, BATCH_RECORDS):
                    if self._stop.is_set() or not set(restored) <= self._homes.keys():
                        break
                    await self._work([self._item(tp, record) for tp, record in records])
            except (KafkaError, OSError, IllegalStateError) as error:
                await self._wait(f"the broker does not answer ({type(error).__name__})", 2)
            else:
                break
        if restored:
            self._seek_to_work()

    def _seek_to_work(self) -> None:
        """Read on from where the work stands."""
        for tp in self._partitions():
            with suppress(IllegalStateError):
                self._reader().seek(tp, self._readings[tp.topic, tp.partition].next_offset)

    async def _take_over(self, new: Sequence[int]) -> None:
        """Fence the former owner out, publish what it left, go to where it stood."""
        async with self._pool.acquire() as db:
            async with db.transaction():
                taken = await homes.take_over(db, self.loop.name, new)
                if self.loop.on_take_over is not None:
                    await self.loop.on_take_over(db, new)
            readings = await homes.load_readings(db, self.loop.name, new)
            left = await outbox.load(db, self.loop.name, dict.fromkeys(new, 0))
        fail_point("after_take_over", self.loop.name, len(left))
        await self._publisher.publish(left)
        for home in taken.values():
            home.published = home.seq
        consumer = self._reader()
        partitions = [TopicPartition(topic.name, p) for topic in self.loop.topics for p in new]
        first = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        await self._forget_ahead()
        if not set(new) <= self._assigned():
            return
        for tp in partitions:
            at = (tp.topic, tp.partition)
            reading = readings.get(at) or Reading(-1)
            if reading.next_offset < 0:
                reading.next_offset = first[tp]
            self._readings[at] = reading
            self._ends_at_start[at] = ends[tp]
        self._homes.update(taken)
        self._seek_to_work()  # all of them: what was read ahead is read again
        log.info("took partitions over", loop=self.loop.name, partitions=len(new), left=len(left))

    # Reading.

    def _reader(self) -> Reader:
        if self._consumer is None:
            raise RuntimeError("the runner was not started")
        return self._consumer

    def _partitions(self) -> list[TopicPartition]:
        return [TopicPartition(topic.name, home) for topic in self.loop.topics for home in self._homes]

    def _read_ahead(self) -> None:
        """Begin to fetch and decode what comes next: at most one batch ahead of the one that is worked."""
        if self._ahead is None and self._homes:
            self._ahead = asyncio.create_task(self._read(self._partitions()))

    async def _read(self, partitions: Sequence[TopicPartition]) -> "list[Read]":
        fetched = await self._reader().getmany(
            *partitions, timeout_ms=int(POLL_SECONDS * 1000), max_records=BATCH_RECORDS
        )
        return [
            Read(tp.topic, tp.partition, records[-1].timestamp / 1000, [self._item(tp, r) for r in records])
            for tp, records in fetched.items()
            if records
        ]

    async def _forget_ahead(self) -> None:
        """Drop what was read ahead: it must not outlive the homes it was read for, which are sought anew."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            await _cancelled(ahead)

    async def _poll(self) -> list[Item]:
        """The next records of the homes worked here, or nothing after a moment or a submission."""
        self._read_ahead()
        ahead = self._ahead
        if ahead is None:
            await _first(self._wake, POLL_SECONDS)
            self._wake.clear()
            return []
        woken = asyncio.create_task(self._wake.wait())
        await asyncio.wait({ahead, woken}, return_when=asyncio.FIRST_COMPLETED)
        await _cancelled(woken)
        self._wake.clear()
        if self._ahead is not ahead or not ahead.done():
            return []
        self._ahead = None
        return await self._taken(ahead)

    async def _taken(self, ahead: "asyncio.Task[list[Read]]") -> list[Item]:
        """What was read, without what belongs to nobody here or was taken already."""
        try:
            fetched = ahead.result()
        except NoOffsetForPartitionError:
            return []  # the group has no offset, and needs none: positions are the database's
        except OffsetOutOfRangeError as error:
            log.error("records were deleted before they were read", loop=self.loop.name, where=str(error.args[0]))
            await self._wait("records were deleted before they were read: see docs/runbooks", 4)
            return []
        except (KafkaError, OSError) as error:
            await self._wait(f"the broker does not answer ({type(error).__name__})", 2)
            return []
        self._waiting = None
        items: list[Item] = []
        for read in fetched:
            at = (read.topic, read.partition)
            if read.partition in self._homes:
                self._read_at[at] = read.written_at
                items += [item for item in read.items if item.offset >= self._readings[at].next_offset]
        return items

    def _item(self, tp: TopicPartition, record: KafkaRecord) -> Item:
        headers = from_wire(record.headers)
        key = record.key.decode("utf-8", "replace") if record.key else ""
        item = Item(tp.partition, tp.topic, tp.partition, record.offset, key, headers, record.value)
        if self.loop.wants(tp.topic, headers):
            self._decode(item)
        return item

    def _decode(self, item: Item) -> None:
        if item.value is None:
            item.received = Received(item.topic, item.partition, item.offset, "", _EPOCH, Gone(item.key), item.headers)
            return
        try:
            item.received = received(item.topic, item.partition, item.offset, item.headers, item.value)
        except UnknownEventError as error:
            ce_type = item.headers.get("ce_type", "")
            if item.is_record and ce_type.startswith(OURS) and ce_type not in EVENT_TYPES:
                # A newer version's: whoever is to act on it was brought up before whoever says it.
                telemetry.RECORDS.add(1, {"loop": self.loop.name, "outcome": "unknown"})
                return
            item.dead = reason_of(error)
        except (ValueError, KeyError) as error:
            item.dead = reason_of(error)
        trace = item.headers.get(TRACEPARENT)
        if telemetry.tracing() and telemetry.is_sampled(trace):
            ce_type = item.headers.get("ce_type", "")
            item.begin_span(
                telemetry.start_process(item.topic, self._group, ce_type, trace, item.partition, item.offset, item.key)
            )

    # Working.

    async def _work(self, items: Sequence[Item]) -> None:
        if not any(i.received or i.dead or (self.loop.remembers and LANGUAGE in i.headers) for i in items):
            self._skip(items)
            return
        async with self._busy:
            await self._until_committed(items)
        await self._commit_sometimes()

    def _skip(self, items: Sequence[Item]) -> None:
        """Nothing here is this loop's: go on without a transaction; the next one carries the position."""
        for item in items:
            at = (item.topic, item.partition)
            self._readings[at].next_offset = item.offset + 1
            self._unsaved.add(at)

    async def _until_committed(self, items: Sequence[Item]) -> bool:
        """Whether it was: not when told to stop while the database is away. Nothing after it may be then."""
        attempt = 0
        while True:
            items = [item for item in items if item.home in self._homes]
            if not items:
                return True
            try:
                outcome = await self._transact(items)
            except HomeLostError:
                raise
            except Exception as error:
                if isinstance(error, PoisonError) and error.blamed:
                    for item, why in error.blamed:
                        self._bury(item, why)
                    continue
                cause = error.__cause__ if isinstance(error, PoisonError) else error
                if isinstance(error, PoisonError) or is_caused_by_a_record(error):
                    return await self._halve(items, cause or error)
                await self._wait(f"the database does not take the batch ({type(error).__name__})", attempt)
                attempt += 1
                if self._stop.is_set() and attempt > 3:
                    return False
            else:
                self._waiting = None
                await self._after_commit(items, outcome)
                return True

    async def _halve(self, items: Sequence[Item], error: BaseException) -> bool:
        """Do it again in halves until the record that is to blame stands alone."""
        suspects = [item for item in items if item.received is not None and item.dead is None]
        if len(suspects) == 1:
            self._bury(suspects[0], error)
            return await self._until_committed(items)
        if not suspects:
            raise error
        middle = items.index(suspects[len(suspects) // 2])
        return await self._until_committed(items[:middle]) and await self._until_committed(items[middle:])

    def _bury(self, item: Item, error: BaseException) -> None:
        item.dead = reason_of(error)
        log.error(
            "dead letter",
            loop=self.loop.name,
            topic=item.topic,
            partition=item.partition,
            offset=item.offset,
            reason=item.dead,
            traceparent=item.headers.get(TRACEPARENT),
        )

    async def _transact(self, items: Sequence[Item]) -> Outcome[W]:
        started = time.monotonic()
        # More is waiting behind a large batch; behind a small one, the longer it waits the more it becomes.
        ahead = self._read_ahead if 2 * len(items) > BATCH_RECORDS else None
        batch = Batch(self.loop, self._homes, self._readings, items, ahead)
        async with self._transaction() as db:
            outcome = await batch.run(db)
            fail_point("before_commit", self.loop.name, len(items))
        trace = next((item.headers[TRACEPARENT] for item in items if item.span is not None), None)
        telemetry.BATCH_SECONDS.record(time.monotonic() - started, {"loop": self.loop.name}, telemetry.during(trace))
        return outcome

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with self._pool.acquire(timeout=10) as db, db.transaction():
            yield db

    async def _after_commit(self, items: Sequence[Item], outcome: Outcome[W]) -> None:
        self._readings.update(outcome.readings)
        self._unsaved -= outcome.readings.keys()
        publish = outcome.publish
        if outcome.foreign:
            publish = await self._with_foreign(publish, outcome.foreign)
        for partition, seq in outcome.seqs.items():
            home = self._homes.get(partition)
            if home is not None:
                home.deleted, home.seq = outcome.deleted.get(partition, home.deleted), seq
        end_spans(items)
        telemetry.RECORDS.add(len(items), {"loop": self.loop.name, "outcome": "taken"})
        if outcome.dead:
            telemetry.DEAD_LETTERS.add(outcome.dead, {"loop": self.loop.name})
        if self.loop.on_commit is not None:
            self.loop.on_commit(outcome.world)
        fail_point("before_publish", self.loop.name, len(publish))
        await self._publish_after(publish)

    async def _with_foreign(self, own: Sequence[Outgoing], after: Mapping[int, int]) -> list[Outgoing]:
        """Our rows, and before them what others wrote into these homes' outboxes since we looked."""
        async with self._pool.acquire() as db:
            rows = await outbox.load(db, self.loop.name, after)
        mine = {(r.home, r.n): r for r in own}
        every = {(r.home, r.n): mine.get((r.home, r.n), r) for r in rows} | mine
        return [every[place] for place in sorted(every)]

    async def _publish_after(self, records: list[Outgoing]) -> None:
        """Publish once what was published before is acknowledged; the next batch may work meanwhile."""
        if self._publishing is not None:
            await self._publishing
        self._publishing = asyncio.create_task(self._publish(records)) if records else None

    async def _publish(self, records: Sequence[Outgoing]) -> None:
        owners = {p: self._homes.get(p) for p in {r.home for r in records}}
        await self._publisher.publish(records)
        fail_point("after_publish", self.loop.name, len(records))
        for record in records:
            home = owners[record.home]
            if home is not None:
                home.published = max(home.published, record.n)

    # Now and then.

    async def _tick(self) -> None:
        """Due timers, replays, others' outbox rows, and the end of what was published and not yet deleted."""
        self._ticked = time.monotonic()
        owned = sorted(self._homes)
        try:
            async with self._pool.acquire(timeout=5) as db:
                due = await timers.due(db, self.loop.name, owned, BATCH_RECORDS)
                replays = await dead_letters.to_replay(db, self.loop.name, owned)
                seqs = await homes.sequences(db, self.loop.name, owned)
        except AWAY as error:
            await self._wait(f"the database does not answer ({type(error).__name__})", 0)
            return
        self._waiting = None
        items = [self._timer_item(timer) for timer in due] + [self._replay_item(row) for row in replays]
        if items:
            await self._work(items)
        foreign = {p: h.seq for p, h in self._homes.items() if seqs.get(p, 0) > h.seq}
        tidy = [h for h in self._homes.values() if h.published > h.deleted]
        if foreign or tidy or self._unsaved:
            async with self._busy:
                if self._publishing is not None:
                    await self._publishing
                await self._tidy(dict(self._homes), foreign)

    async def _tidy(self, owned: Mapping[int, Home], foreign: Mapping[int, int]) -> None:
        """Save positions not yet saved, delete what was published, publish what others wrote."""
        try:
            async with self._transaction() as db:
                seqs = await homes.lock(db, self.loop.name, owned.values())
                positions = {at: self._readings[at].next_offset for at in self._unsaved if at in self._readings}
                deleted = await write_progress(db, self.loop.name, positions, {}, [], seqs, owned)
        except AWAY as error:
            await self._wait(f"the database does not answer ({type(error).__name__})", 0)
            return
        self._unsaved -= positions.keys()
        fail_point("after_delete", self.loop.name, len(deleted))
        for partition, upto in deleted.items():
            owned[partition].deleted = upto
        if foreign:
            await self._publish_after(await self._with_foreign([], foreign))
            for partition, seq in seqs.items():
                owned[partition].seq = seq
        await self._commit_sometimes()

    def _timer_item(self, timer: DueTimer) -> Item:
        event = msgspec.json.decode(timer.value, type=self._events[timer.ce_type])
        if timer.cause is None:
            which = f"{timer.home}/{timer.key}", timer.ce_type, int(timer.due_at.timestamp() * 1e6)
        else:
            which = f"{timer.home}/{timer.key}/{timer.cause}", timer.ce_type, 0
        cause = caused_id(self.loop.name, *which)
        # The type as well: should it become a dead letter, its replay must know what it is.
        headers = {"ce_type": timer.ce_type, **({TRACEPARENT: timer.traceparent} if timer.traceparent else {})}
        got = Received(TIMER_TOPIC, timer.home, -1, cause, timer.due_at, event, headers)
        key = str(getattr(event, "conversation", ""))
        item = Item(timer.home, TIMER_TOPIC, timer.home, -1, key, headers, timer.value, got, timer=timer)
        if telemetry.tracing() and telemetry.is_sampled(timer.traceparent):
            item.begin_span(
                telemetry.start_process(TIMER_TOPIC, self._group, timer.ce_type, timer.traceparent, timer.home, -1, key)
            )
        return item

    def _replay_item(self, row: asyncpg.Record) -> Item:
        headers: Headers = msgspec.json.decode(row["headers"], type=dict[str, str])
        item = Item(
            row["home"],
            row["topic"],
            row["partition"],
            row["offset"],
            row["key"],
            headers,
            row["value"],
            replays=row["id"],
        )
        if row["topic"] == TIMER_TOPIC or row["topic"] == SUBMITTED_TOPIC:
            try:
                event = msgspec.json.decode(row["value"], type=self._events[headers["ce_type"]])
            except (ValueError, KeyError) as error:
                item.dead = reason_of(error)
                return item
            item.received = Received(row["topic"], row["partition"], -1, str(row["id"]), row["at"], event, headers)
        else:
            self._decode(item)
        return item

    def _own_items(self, submitted: Sequence[tuple[Sequence[Event], "asyncio.Future[None]"]]) -> list[Item]:
        items = []
        for events, done in submitted:
            for event in events:
                key = str(getattr(event, self.loop.topics[0].key))
                home = partition_of(key, self._partition_count())
                if home not in self._homes:
                    if not done.done():
                        done.set_exception(HomeLostError(f"home {home} of {self.loop.name} is not here"))
                    continue
                value = encode(event)
                headers = {"ce_type": event.ce_type}
                trace = getattr(event, "traceparent", None)
                if trace:
                    headers[TRACEPARENT] = trace
                cause = caused_id(self.loop.name, value.decode(), event.ce_type, 0)
                got = Received(SUBMITTED_TOPIC, home, -1, cause, datetime.now(UTC), event, headers)
                items.append(Item(home, SUBMITTED_TOPIC, home, -1, key, headers, value, got))
        return items

    def _partition_count(self) -> int:
        return len(self._reader().partitions_for_topic(self.loop.topics[0].name) or ()) or 1

    def _end_of(self, topic: str, partition: int) -> int | None:
        if self._consumer is None or partition not in self._homes:
            return None
        with suppress(IllegalStateError, AssertionError, KeyError):
            end = self._consumer.highwater(TopicPartition(topic, partition))
            known = self._ends_at_start.get((topic, partition))
            return max(e for e in (end, known) if e is not None) if (end, known) != (None, None) else None
        return None

    async def _commit_sometimes(self) -> None:
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            await self._commit()

    async def _commit(self) -> None:
        """Tell the group how far we are: for the eyes of those who watch lag, nothing reads it."""
        self._committed = time.monotonic()
        if self._consumer is None:
            return
        assigned = self._consumer.assignment()
        offsets = {
            TopicPartition(*at): reading.next_offset
            for at, reading in self._readings.items()
            if TopicPartition(*at) in assigned and reading.next_offset >= 0
        }
        if offsets:
            with suppress(KafkaError, OSError, IllegalStateError, ValueError, TimeoutError):
                await asyncio.wait_for(self._consumer.commit(offsets), 2)

    async def _wait(self, why: str, attempt: int) -> None:
        """Something is away: say so, and give it a moment."""
        if self._waiting != why:
            log.warning("waiting", loop=self.loop.name, why=why)
        self._waiting = why
        telemetry.WAITS.add(1, {"loop": self.loop.name})
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), WAIT_SECONDS[min(attempt, len(WAIT_SECONDS) - 1)])


_EPOCH = datetime.fromtimestamp(0, UTC)


def _settle(
    submitted: "Sequence[tuple[Sequence[Event], asyncio.Future[None]]]", error: Exception | None = None
) -> None:
    """Tell those who submitted and were not told yet."""
    for done in (done for _, done in submitted if not done.done()):
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


async def _first(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def _cancelled(task: "asyncio.Task[object]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, KafkaError):
        await task


__all__ = [
    "DropTimer",
    "Effect",
    "Gone",
    "Loop",
    "Publish",
    "Received",
    "Runner",
    "SetTimer",
    "Tombstone",
]
