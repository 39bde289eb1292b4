"""Publishing by micro-batches: all that waits at one moment goes in one request to each broker, then the next.

Nothing is sent twice by itself: what the broker does not acknowledge in time is told to the sender of the
webhook, who repeats it, and consumers know repeats by their ids. It must not know what it publishes.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Container, Sequence
from typing import Any, TypeAlias

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from panier_common.kafka import Producer, partition_of
from panier_common.topics import Topic

from panier_ingest import metrics
from panier_ingest.record import Record

RECONNECT_SECONDS = (0.1, 2.0)
PROBE_SECONDS = 2.0
# A broker that accepts connections and then says nothing.
CONNECT_SECONDS = 15.0
# How often what is overdue is looked for: one timer for all requests, for one each costs more than their hashing.
SWEEPS = 20

log = structlog.get_logger()


class NotAcknowledged(Exception):  # noqa: N818 - a condition of the broker, answered 503
    """The broker did not acknowledge in time; whether it has the records is unknown."""


Tell: TypeAlias = Callable[[str | None], None]
"""Called once: with None when all in-sync replicas have every record, else with why nobody knows."""


class _Waiting:
    """A request's records on their way: how many are left, since when, and who is to be told."""

    __slots__ = ("left", "since", "tell")

    def __init__(self, left: int, since: float, tell: Tell) -> None:
        self.left = left
        self.since = since
        self.tell = tell


_Item = tuple[Record, _Waiting]


class _Lane:
    """One topic-partition: what waits for it, in order."""

    __slots__ = ("at", "items")

    def __init__(self, at: TopicPartition) -> None:
        self.at = at
        self.items: deque[_Item] = deque()


class _Batch:
    """Records of one lane on their way to the broker that leads it."""

    __slots__ = ("broker", "lane", "producer", "since", "taken")

    def __init__(self, producer: Any, lane: _Lane, broker: int | None, since: float) -> None:
        self.producer = producer
        self.lane = lane
        self.broker = broker
        self.since = since
        self.taken: list[_Waiting] = []


class Publisher:
    """Records in, acknowledgements out. `run` keeps it going; it must run for as long as a request waits."""

    def __init__(self, source: Producer, topics: Sequence[Topic], acknowledge_seconds: float) -> None:
        self._source = source
        self._topics = topics
        self._seconds = acknowledge_seconds
        self._partitions: dict[str, int] = {}
        self._lanes: dict[tuple[str, int], _Lane] = {}
        # Lanes with something to send; requests not told and batches not done, the oldest first.
        self._ready: dict[_Lane, None] = {}
        self._waiting: dict[_Waiting, None] = {}
        self._batches: dict[_Batch, None] = {}
        self._busy: Counter[int | None] = Counter()
        self._ending: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._producer: Any = None  # an AIOKafkaProducer, which has no types, or None while there is none
        self._wake = asyncio.Event()
        self._lost = asyncio.Event()
        self._lost.set()
        self._trouble: str | None = "not yet connected to Kafka"

    def trouble(self) -> str | None:
        """Why nothing can be published now; None when all is well."""
        return self._trouble

    async def publish(self, records: Sequence[Record]) -> None:
        """Returns when all in-sync replicas have every record. Raises NotAcknowledged."""
        told: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.submit(records, lambda why: None if told.done() else told.set_result(why))
        why = await told
        if why is not None:
            raise NotAcknowledged(why)

    def submit(self, records: Sequence[Record], tell: Tell) -> None:
        """The same without a task that waits, for one record or more. Raises NotAcknowledged at once."""
        now = self._loop.time()
        if not self._partitions or self._is_slow(now):
            raise NotAcknowledged(self._trouble or "the broker is slow")
        waiting = _Waiting(len(records), now, tell)
        for record in records:
            lane = self._lane(record.topic, partition_of(record.key, self._partitions[record.topic]))
            lane.items.append((record, waiting))
            self._ready[lane] = None
        self._waiting[waiting] = None
        if not self._wake.is_set():
            self._wake.set()

    def _tell(self, waiting: _Waiting, why: str | None) -> None:
        if waiting in self._waiting:
            del self._waiting[waiting]
            waiting.tell(why)

    def _is_slow(self, now: float) -> bool:
        """Whether the oldest request has used half of its time: who comes now would only wait in vain.

        So a queue never grows beyond what arrives in half a request's time, however slow the broker is.
        """
        for waiting in self._waiting:
            return now - waiting.since > self._seconds / 2
        return False

    async def run(self) -> None:
        """Stay connected, send what waits, give up what is overdue; until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._stay_connected(), name="connection")
                group.create_task(self._pump(), name="pump")
                group.create_task(self._sweep(), name="sweep")
        finally:
            for ending in self._ending:
                ending.cancel()
            await asyncio.gather(*self._ending, return_exceptions=True)
            await self._source.stop()

    async def _stay_connected(self) -> None:
        """Connect anew whenever a producer was thrown away; notice a broker that is gone."""
        pause = RECONNECT_SECONDS[0]
        while True:
            try:
                if self._producer is None:
                    await self._connect()
                    pause = RECONNECT_SECONDS[0]
                await self._probe()
            except (KafkaError, OSError, TimeoutError) as error:
                self._say(f"Kafka does not answer: {type(error).__name__}")
                await asyncio.sleep(pause)
                pause = min(pause * 2, RECONNECT_SECONDS[1])

    async def _connect(self) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            producer = await self._source.get()
            for topic in self._topics:
                self._partitions[topic.name] = await self._source.partitions(topic.name)
        self._producer = producer
        self._lost.clear()
        self._wake.set()
        self._say(None)

    async def _probe(self) -> None:
        """Wait a while for the producer's loss; if it lives, ask the broker for a sign of life."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._lost.wait()
        except TimeoutError:
            if self._producer is not None:
                async with asyncio.timeout(CONNECT_SECONDS):
                    alive = await self._producer.client.force_metadata_update()
                self._say(None if alive else "Kafka does not answer")

    def _say(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("cannot publish", why=trouble) if trouble else log.info("publishing")

    def _lane(self, topic: str, partition: int) -> _Lane:
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(TopicPartition(topic, partition))
        return lane

    async def _pump(self) -> None:
        """Hand over what waits for every broker that has acknowledged what it was given before."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            producer = self._producer
            if producer is None:
                continue
            try:
                for batch, builder in self._fill(producer):
                    future = await producer.send_batch(builder, batch.lane.at.topic, partition=batch.lane.at.partition)
                    future.add_done_callback(lambda done, batch=batch: self._settle(batch, done))
            except Exception as error:  # whatever it was, nothing of these batches is known to be kept
                self._throw_away(producer, type(error).__name__)

    def _fill(self, producer: Any) -> list[tuple[_Batch, Any]]:
        """A batch for each lane that has something and whose broker is free."""
        now = self._loop.time()
        leader = producer.client.cluster.leader_for_partition
        brokers = {lane: leader(lane.at) for lane in self._ready}
        filled = []
        for lane, broker in brokers.items():
            if self._busy[broker]:
                continue
            batch, builder = _Batch(producer, lane, broker, now), producer.create_batch()
            _move(lane, self._waiting, batch.taken, builder)
            if not lane.items:
                del self._ready[lane]
            if batch.taken:
                filled.append((batch, builder))
                self._batches[batch] = None
        self._busy.update(batch.broker for batch, _ in filled)
        return filled

    def _settle(self, batch: _Batch, done: asyncio.Future[Any]) -> None:
        """The broker said yes or no to a batch; the answer to one that was given up comes too late to matter."""
        error = None if done.cancelled() else done.exception()
        if batch not in self._batches:
            return
        if done.cancelled() or error is not None:
            self._throw_away(batch.producer, type(error).__name__)
            return
        del self._batches[batch]
        metrics.published(batch.lane.at.topic, len(batch.taken), self._loop.time() - batch.since)
        for waiting in batch.taken:
            waiting.left -= 1
            if waiting.left == 0:
                self._tell(waiting, None)
        self._busy[batch.broker] -= 1
        if not self._busy[batch.broker] and self._ready:
            self._wake.set()

    async def _sweep(self) -> None:
        """Tell requests whose time is up; a batch whose time is up takes its producer with it."""
        while True:
            await asyncio.sleep(self._seconds / SWEEPS)
            overdue = self._loop.time() - self._seconds
            for batch in self._batches:
                if batch.since <= overdue:
                    self._throw_away(batch.producer, "no acknowledgement in time")
                break
            for waiting in list(self._waiting):
                if waiting.since > overdue:
                    break
                self._tell(waiting, "no acknowledgement in time")

    def _throw_away(self, producer: Any, why: str) -> None:
        """A producer that failed once cannot be trusted with order: all that waits is told, a new one made."""
        if producer is not self._producer:
            return
        self._producer = None
        # Before `_stay_connected` wakes up: what it is given next must not be this one again.
        ending = asyncio.create_task(self._source.throw_away(producer), name="throw producer away")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        self._lost.set()
        self._say(f"Kafka does not acknowledge: {why}")
        for waiting in list(self._waiting):
            self._tell(waiting, why)
        for lane in self._lanes.values():
            lane.items.clear()
        self._ready.clear()
        self._batches.clear()
        self._busy.clear()


def _move(lane: _Lane, waited_for: Container[_Waiting], taken: list[_Waiting], builder: Any) -> None:
    """What waits for the lane goes into the batch, as much as it takes; its first record always fits."""
    items, append = lane.items, builder.append
    while items:
        record, waiting = items[0]
        if waiting in waited_for:
            if append(timestamp=None, key=record.key.encode(), value=record.value, headers=record.headers) is None:
                break
            taken.append(waiting)
        items.popleft()
    builder.close()
