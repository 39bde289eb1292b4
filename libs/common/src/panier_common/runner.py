"""The loop that carries every service: fetch, one transaction, publish. DESIGN.md, section 4, says why so.

Records that nobody can digest are found by halving and become dead letters; whatever else goes wrong is waited
out, with readiness saying why. Losing a home ends the process.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Generic, NamedTuple

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from panier_common import dead_letters, homes, outbox, telemetry, timers
from panier_common.batch import (
    Batch,
    Loop,
    Outcome,
    PoisonError,
    W,
)
from panier_common.contracts.events import Event
from panier_common.dead_letters import reason_of
from panier_common.engines import Log, Reader, Store
from panier_common.event import LANGUAGE, TRACEPARENT
from panier_common.failpoints import fail_point
from panier_common.homes import Home, HomeLostError, Reading
from panier_common.item import Item, end_spans
from panier_common.items import Items
from panier_common.kafka import Outgoing, partition_of
from panier_common.outbox import Publisher
from panier_common.postgres import AWAY, Connection, is_caused_by_a_record
from panier_common.progress import write_progress
from panier_common.read_progress import Progress
from panier_common.replaying import in_order_of_time

BATCH_RECORDS = 500
POLL_SECONDS = 0.25
TICK_SECONDS = 0.5
COMMIT_SECONDS = 1.0
RELEASE_SECONDS = 5.0
DRAIN_SECONDS = 6.0
WAIT_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0)
END_SECONDS = 2.0
JOINING = "joining the consumer group"


class Read(NamedTuple):
    """What one fetch brought of one topic-partition; `written_at` is when its last record was appended."""

    topic: str
    partition: int
    written_at: float
    items: list[Item]


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
        self._taken_at: dict[int, float] = {}
        self._level_at: dict[tuple[str, int], float] = {}  # when nothing was missing, as far as anybody asked
        self._ends_at_start: dict[tuple[str, int], int] = {}
        self._unsaved: set[tuple[str, int]] = set()
        self._assigned: frozenset[int] = frozenset()  # partitions of which all the loop's topics are assigned here
        self._busy = asyncio.Lock()
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._ahead: asyncio.Task[list[Read]] | None = None
        self._replaying = False  # restored homes have the reader for themselves
        self._put_off: list[Item] = []
        self._publishing: asyncio.Task[None] | None = None
        self._submitted: list[tuple[Sequence[Event], asyncio.Future[None]]] = []
        self._items = Items(loop, self._group)
        self._waiting: str | None = "not started"
        self._deleted: str | None = None  # stays until the homes go: their other partitions are read on
        self._ticked = self._committed = 0.0

    # What others may ask.

    def why_not_ready(self) -> str | None:
        """Why this loop is not working, None when it is."""
        return self._deleted or self._waiting or self._publisher.failing

    def caught_up_since_start(self) -> bool:
        """Whether every home here has been read to the end that its topics had when it was taken over."""
        return (
            self._waiting is None
            and self._assigned <= self._homes.keys()
            and all(
                at in self._readings and self._readings[at].next_offset >= end
                for at, end in self._ends_at_start.items()
            )
        )

    async def progress(self, topics: Collection[str], homes: Collection[int]) -> dict[tuple[str, int], Progress]:
        """How far these topics were read in these homes; one question to the broker.

        Where the log ends is asked anew: what the last fetch told of it is as old as that fetch, and records may have
        come since. Where no broker answers, nothing counts as the end.
        """
        places = [TopicPartition(topic, home) for topic in topics for home in homes]
        ends: Mapping[TopicPartition, int] = {}
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                ends = await self._reader().end_offsets(places)
        return {(place.topic, place.partition): self._progress(place, ends.get(place)) for place in places}

    def _progress(self, place: TopicPartition, end: int | None) -> Progress:
        reading, read_at = self._readings.get(place), self._read_at.get(place)
        return Progress(
            datetime.fromtimestamp(read_at, UTC) if read_at is not None else None,
            reading is not None and end is not None and reading.next_offset >= end,
        )

    def lag(self) -> dict[str, tuple[int, float]]:
        """topic → (records not yet read, seconds since the last one read was written, or since none was missing).

        Of a partition that nothing was read of yet: since it was taken over.
        """
        now = time.time()
        behind: dict[str, tuple[int, float]] = {topic.name: (0, 0.0) for topic in self.loop.topics}
        for (topic, partition), reading in list(self._readings.items()):
            end = self._end_of(topic, partition)
            missing = max(0, (end or 0) - max(reading.next_offset, 0))
            since = self._read_at.get((topic, partition), self._taken_at.get(partition, now))
            if not missing:  # what comes next is not as old as what came last, be that days ago
                self._level_at[topic, partition] = now
            seconds = now - max(since, self._level_at.get((topic, partition), since)) if missing else 0.0
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
                async with asyncio.timeout(RELEASE_SECONDS):
                    await self._consumer.stop()
        await self._producer.stop()

    async def _step(self) -> None:
        await self._open_homes()
        await self._work_submitted(await self._poll())
        if time.monotonic() - self._ticked > TICK_SECONDS and self._homes:
            await self._tick()

    # Ownership.

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self._assigned = frozenset()  # until the next one: the consumer itself still shows the old
        if revoked:
            await self._released()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        shares = Counter(tp.partition for tp in assigned)
        self._assigned = frozenset(p for p, topics in shares.items() if topics == len(self.loop.topics))
        if self._waiting == JOINING and not assigned:
            self._waiting = None  # with nothing to do: others have all the partitions
        self._wake.set()

    async def _released(self) -> None:
        """Give up every home: the batch under way ends first, or is dropped where it waits for an engine."""
        if self._homes:  # from here on nobody reads for them: as long as until the other line, they stand still
            log.info("gives partitions up", loop=self.loop.name, partitions=sorted(self._homes))
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
                    await self._tidy(owned)
        except (TimeoutError, HomeLostError):
            log.warning("gave homes up while an engine was away", loop=self.loop.name)
        if given_up:
            await self._commit()
        # What was read and given up unworked is not known of: who asks how far `delivery` was read must not hear so.
        self._readings, self._read_at, self._taken_at, self._level_at = {}, {}, {}, {}
        self._unsaved, self._deleted = set(), None

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

    async def _open_homes(self) -> None:
        new = sorted(self._assigned - self._homes.keys())
        if not new:
            return
        async with self._busy:
            for attempt in range(1_000_000):
                try:
                    await self._take_over(new)
                except (*AWAY, KafkaError) as error:
                    await self._wait(f"taking partitions over ({type(error).__name__})", attempt)
                    if self._stop.is_set() or not self._assigned.issuperset(new):
                        return
                else:
                    self._waiting = None
                    break
        restored = [p for p in new if p in self._homes and self._homes[p].is_restored]
        if restored:
            self._replaying = True
            try:
                await self._replay(restored)
            finally:
                self._replaying = False

    async def _replay(self, restored: Sequence[int]) -> None:
        """Work what restored homes have before them in the order of its writing, whatever its topic."""
        while set(restored) <= self._homes.keys() and not self._stop.is_set():
            await self._forget_ahead()
            self._seek_to_work()
            stretches = {
                TopicPartition(*at): (reading.next_offset, self._ends_at_start[at])
                for at, reading in self._readings.items()
                if at[1] in restored
            }
            try:
                async for records in in_order_of_time(self._reader(), stretches, self.loop.topics, BATCH_RECORDS):
                    if self._stop.is_set() or not set(restored) <= self._homes.keys():
                        break
                    await self._work([self._items.of_record(tp, record) for tp, record in records])
                if not self._stop.is_set() and set(restored) <= self._homes.keys():
                    async with self._pool.acquire(timeout=5) as db:
                        await homes.replayed(db, self.loop.name, restored)
            except (*AWAY, KafkaError, IllegalStateError) as error:
                await self._wait(f"an engine does not answer ({type(error).__name__})", 2)
            else:
                break
        await self._forget_ahead()
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
        if self._publishing is not None:
            await asyncio.shield(self._publishing)  # of homes given up: one batch at a time is on its way
        await self._publisher.publish(left)
        for home in taken.values():
            home.published = home.seq
        consumer = self._reader()
        partitions = [TopicPartition(topic.name, p) for topic in self.loop.topics for p in new]
        first = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        await self._forget_ahead()
        if not self._assigned.issuperset(new):
            return
        for tp in partitions:
            at = (tp.topic, tp.partition)
            reading = readings.get(at) or Reading(-1)
            if reading.next_offset < 0:
                reading.next_offset = first[tp]
            self._readings[at] = reading
            self._ends_at_start[at] = ends[tp]
        self._homes.update(taken)
        self._taken_at.update(dict.fromkeys(taken, time.time()))
        self._seek_to_work()  # all of them: what was read ahead is read again
        log.info("took partitions over", loop=self.loop.name, partitions=new, left=len(left))

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
            self._ahead.add_done_callback(lambda _: self._wake.set())

    async def _read(self, partitions: Sequence[TopicPartition]) -> "list[Read]":
        fetched = await self._reader().getmany(
            *partitions, timeout_ms=int(POLL_SECONDS * 1000), max_records=BATCH_RECORDS
        )
        if self.loop.gather_seconds and 0 < sum(map(len, fetched.values())) < BATCH_RECORDS / 2:
            await asyncio.sleep(self.loop.gather_seconds)
        return [
            Read(tp.topic, tp.partition, records[-1].timestamp / 1000, [self._items.of_record(tp, r) for r in records])
            for tp, records in fetched.items()
            if records
        ]

    async def _forget_ahead(self) -> None:
        """Drop what was read ahead or put off: it must not outlive the homes it was read for, sought anew."""
        self._put_off = []
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
        if not ahead.done():
            await self._wake.wait()
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
            self._deleted = "records were deleted before they were read: see docs/runbooks"
            await self._wait(self._deleted, 4)
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

    # Working.

    async def _work(self, items: Sequence[Item], *, at_once: bool = False) -> None:
        """Work these, behind what was put off; records that only tell a language wait for others, or the tick."""
        items, self._put_off = [*self._put_off, *items], []
        if not any(item.received or item.dead for item in items):
            if not (self.loop.remembers and any(LANGUAGE in item.headers for item in items)):
                self._skip(items)
                return
            if not at_once and len(items) < BATCH_RECORDS:
                self._put_off = items
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
        fail_point("before_batch", self.loop.name, len(items))
        started = time.monotonic()
        # More is waiting behind a large batch; behind a small one, the longer it waits the more it becomes.
        ahead = self._read_ahead if 2 * len(items) > BATCH_RECORDS and not self._replaying else None
        batch = Batch(self.loop, self._homes, self._readings, items, ahead)
        decided = False
        try:
            async with self._transaction() as db:
                outcome = await batch.run(db)
                fail_point("before_commit", self.loop.name, len(items))
                decided = True
        except Exception as error:
            if decided:  # done, or not done: only who takes over reads which, and must not decide twice
                what = f"whether a batch of {self.loop.name} was committed is not known ({type(error).__name__})"
                raise HomeLostError(what) from error
            raise
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
        self._count(items, outcome)
        if self.loop.on_commit is not None:
            self.loop.on_commit(outcome.world)
        fail_point("before_publish", self.loop.name, len(publish))
        await self._publish_after(publish)

    def _count(self, items: Sequence[Item], outcome: Outcome[W]) -> None:
        """Once a batch: durations and labels of each event would cost a good part of its work."""
        name = self.loop.name
        telemetry.RECORDS.add(len(items), {"loop": name, "outcome": "taken"})
        for ce_type, decided in outcome.decided.items():
            telemetry.EVENTS[name, ce_type, "taken"] += decided
        for kind, repeats in outcome.duplicates.items():
            telemetry.DUPLICATES.add(repeats, {"loop": name, "kind": kind})
        if outcome.dead:
            telemetry.DEAD_LETTERS.add(outcome.dead, {"loop": name})
            telemetry.EVENTS.update(
                (name, self._items.type_of(item), "dead") for item in items if item.dead is not None
            )

    async def _with_foreign(self, own: Sequence[Outgoing], after: Mapping[int, int]) -> list[Outgoing]:
        """Our rows, and before them what others wrote into these homes' outboxes since we looked."""
        for attempt in range(1_000_000):  # nothing of ours may be published before it
            try:
                async with self._pool.acquire(timeout=5) as db:
                    rows = await outbox.load(db, self.loop.name, after)
                break
            except AWAY as error:
                if self._stop.is_set() and attempt > 3:
                    raise
                await self._wait(f"the database does not answer ({type(error).__name__})", attempt)
        mine = {(r.home, r.n): r for r in own}
        every = {(r.home, r.n): mine.get((r.home, r.n), r) for r in rows} | mine
        return [every[place] for place in sorted(every)]

    async def _publish_after(self, records: list[Outgoing]) -> None:
        """Publish once what was published before is acknowledged; the next batch may work meanwhile."""
        if self._publishing is not None:
            await asyncio.shield(self._publishing)  # who waits may be given up, never what is on its way
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
        items = [*map(self._items.of_timer, due), *map(self._items.of_dead_letter, replays)]
        if items or self._put_off:
            await self._work(items, at_once=True)
        if self._unsaved or any(seqs.get(p, 0) > h.seq or h.published > h.deleted for p, h in self._homes.items()):
            async with self._busy:
                if self._publishing is not None:
                    await self._publishing
                held = self._homes
                await self._publish_foreign(held, await self._tidy(held))

    async def _tidy(self, owned: Mapping[int, Home]) -> dict[int, int]:
        """Save positions not yet saved, delete what was published; each home's last number, or nothing."""
        try:
            async with self._transaction() as db:
                seqs = await homes.lock(db, self.loop.name, owned.values())
                positions = {at: self._readings[at].next_offset for at in self._unsaved if at in self._readings}
                deleted = await write_progress(db, self.loop.name, positions, {}, [], seqs, owned)
        except AWAY as error:
            await self._wait(f"the database does not answer ({type(error).__name__})", 0)
            return {}
        self._unsaved -= positions.keys()
        fail_point("after_delete", self.loop.name, len(deleted))
        for partition, upto in deleted.items():
            owned[partition].deleted = upto
        await self._commit_sometimes()
        return seqs

    async def _publish_foreign(self, owned: Mapping[int, Home], seqs: Mapping[int, int]) -> None:
        """Publish what others wrote, by what the lock showed: a row whose number is noted is never looked for."""
        foreign = {p: owned[p].seq for p, seq in seqs.items() if seq > owned[p].seq}
        if foreign:
            await self._publish_after(await self._with_foreign([], foreign))
        for partition in foreign:
            owned[partition].seq = seqs[partition]

    def _own_items(self, submitted: Sequence[tuple[Sequence[Event], "asyncio.Future[None]"]]) -> list[Item]:
        items = []
        for events, done in submitted:
            for event in events:
                home = partition_of(str(getattr(event, self.loop.topics[0].key)), self._partition_count())
                if home in self._homes:
                    items.append(self._items.of_submission(event, home))
                elif not done.done():
                    done.set_exception(HomeLostError(f"home {home} of {self.loop.name} is not here"))
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
                async with asyncio.timeout(2):
                    await self._consumer.commit(offsets)

    async def _wait(self, why: str, attempt: int) -> None:
        """Something is away: say so, and give it a moment."""
        if self._waiting != why:
            log.warning("waiting", loop=self.loop.name, why=why)
        self._waiting = why
        telemetry.WAITS.add(1, {"loop": self.loop.name})
        await _first(self._stop, WAIT_SECONDS[min(attempt, len(WAIT_SECONDS) - 1)])


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
        async with asyncio.timeout(seconds):
            await event.wait()


async def _cancelled(task: "asyncio.Task[object]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, KafkaError):
        await task
