"""Publishing by micro-batches: all that waits for a partition at one moment is one batch, then the next.

Nothing is sent twice by itself: what the broker does not acknowledge in time is told to the sender of the
webhook, who repeats it, and consumers know repeats by their ids. It must not know what it publishes.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from panier_common.kafka import Producer, partition_of
from panier_common.topics import Topic

from panier_ingest import metrics
from panier_ingest.record import Record

RECONNECT_SECONDS = (0.1, 2.0)
PROBE_SECONDS = 2.0
# A broker that accepts connections and then says nothing.
CONNECT_SECONDS = 15.0

log = structlog.get_logger()


class NotAcknowledged(Exception):  # noqa: N818 - a condition of the broker, answered 503
    """The broker did not acknowledge in time; whether it has the records is unknown."""


class _Waiting:
    """A request's records on their way: how many are left, and the future that its handler awaits."""

    __slots__ = ("done", "left")

    def __init__(self, left: int, done: asyncio.Future[None]) -> None:
        self.left = left
        self.done = done

    def acknowledged(self) -> None:
        self.left -= 1
        if self.left == 0 and not self.done.done():
            self.done.set_result(None)

    def failed(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(NotAcknowledged(type(error).__name__))


_Item = tuple[Record, _Waiting]


class _Lane:
    """One topic-partition: what waits for it, in order."""

    __slots__ = ("filled", "items", "partition", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.items: deque[_Item] = deque()
        self.filled = asyncio.Event()

    def put(self, item: _Item) -> None:
        self.items.append(item)
        self.filled.set()

    def drop_answered(self) -> None:
        """Forget what nobody waits for any more."""
        self.items = deque(item for item in self.items if not item[1].done.done())


class Publisher:
    """Records in, acknowledgements out. `run` keeps it connected; `stop` ends it once no request waits."""

    def __init__(self, source: Producer, topics: Sequence[Topic], acknowledge_seconds: float) -> None:
        self._source = source
        self._topics = topics
        self._seconds = acknowledge_seconds
        self._partitions: dict[str, int] = {}
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._producer: Any = None  # an AIOKafkaProducer, which has no types, or None while there is none
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._lost.set()
        self._trouble: str | None = "not yet connected to Kafka"

    def trouble(self) -> str | None:
        """Why nothing can be published now; None when all is well."""
        return self._trouble

    async def publish(self, records: Sequence[Record]) -> None:
        """Returns when all in-sync replicas have every record. Raises NotAcknowledged."""
        if not self._partitions:
            raise NotAcknowledged(self._trouble)
        waiting = _Waiting(len(records), asyncio.get_running_loop().create_future())
        for record in records:
            partition = partition_of(record.key, self._partitions[record.topic])
            self._lane(record.topic, partition).put((record, waiting))
        try:
            async with asyncio.timeout(self._seconds):
                await waiting.done
        except TimeoutError:
            raise NotAcknowledged("no acknowledgement in time") from None

    async def run(self) -> None:
        """Connect, and connect anew whenever a producer was thrown away; notice a broker that is gone."""
        pause = RECONNECT_SECONDS[0]
        while True:
            try:
                if self._producer is None:
                    await self._connect()
                    pause = RECONNECT_SECONDS[0]
                await self._probe()
            except (KafkaError, OSError, TimeoutError) as error:
                self._say(f"Kafka does not answer: {type(error).__name__}")
                for lane in self._lanes.values():
                    lane.drop_answered()
                await asyncio.sleep(pause)
                pause = min(pause * 2, RECONNECT_SECONDS[1])

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._source.stop()

    async def _connect(self) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            producer = await self._source.get()
            for topic in self._topics:
                self._partitions[topic.name] = await self._source.partitions(topic.name)
        self._producer = producer
        self._lost.clear()
        self._connected.set()
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
            lane = self._lanes[topic, partition] = _Lane(topic, partition)
            self._keep(asyncio.create_task(self._pump(lane), name=f"lane {topic} {partition}"))
        return lane

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pump(self, lane: _Lane) -> None:
        """One batch after the other, each of all that waits when the one before is acknowledged."""
        loop = asyncio.get_running_loop()
        while True:
            await lane.filled.wait()
            await self._connected.wait()
            producer = self._producer
            if producer is None:
                continue
            taken: list[_Item] = []
            began = loop.time()
            try:
                batch = producer.create_batch()
                _fill(batch, lane, taken)
                if not taken:
                    continue
                async with asyncio.timeout(self._seconds):
                    await (await producer.send_batch(batch, lane.topic, partition=lane.partition))
            except Exception as error:  # whatever it was, nothing of this batch is known to be kept
                self._throw_away(producer, error)
                for _, waiting in taken:
                    waiting.failed(error)
            else:
                metrics.published(lane.topic, len(taken), loop.time() - began)
                for _, waiting in taken:
                    waiting.acknowledged()

    def _throw_away(self, producer: Any, error: Exception) -> None:
        """A producer that failed once cannot be trusted with order: all that waits is told, a new one made."""
        if producer is not self._producer:
            return
        self._producer = None
        self._connected.clear()
        # Before `run` wakes up: what it is given next must not be this one again.
        self._keep(asyncio.create_task(self._source.throw_away(producer), name="throw producer away"))
        self._lost.set()
        self._say(f"Kafka does not acknowledge: {type(error).__name__}")
        for lane in self._lanes.values():
            for _, waiting in lane.items:
                waiting.failed(error)
            lane.drop_answered()


def _fill(batch: Any, lane: _Lane, taken: list[_Item]) -> None:
    """Move what waits into the batch, as much as it takes; its first record always fits."""
    while lane.items:
        record, waiting = lane.items[0]
        if not waiting.done.done():
            appended = batch.append(timestamp=None, key=record.key.encode(), value=record.value, headers=record.headers)
            if appended is None:
                break
            taken.append((record, waiting))
        lane.items.popleft()
    batch.close()
    if not lane.items:
        lane.filled.clear()
