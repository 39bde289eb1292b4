"""A simulated Kafka: topics of partitions, consumer groups that share them out, producers whose batches may come late.

A batch on its way is appended whether or not whoever sent it still lives; its acknowledgement may be lost on the way
back. Kept as meanly as the real one: a member that is silent for its session is put out of the group and finds out
when it next asks; what it had fetched it may still work on.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    IllegalStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from panier_common.event import WireHeaders, to_wire
from panier_common.kafka import Outgoing

from panier_proof.simulated.scheduler import ACTOR, BEGAN, SimulatedLoop

SESSION_SECONDS = 10.0
HEARTBEAT_SECONDS = 3.0
REQUEST_SECONDS = 10.0
BATCH_RECORDS = 64


class Record(NamedTuple):
    """What a consumer gets, under the names of aiokafka's."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: WireHeaders


class Broker:
    """All topics and groups. While it is `away` nobody gets an answer; what it acknowledged it keeps."""

    def __init__(self, loop: SimulatedLoop, topics: Sequence[str], partitions: int, latency: float = 0.002) -> None:
        self.loop = loop
        self.partitions = partitions
        self.latency = latency
        self.logs: dict[TopicPartition, list[Record]] = {
            TopicPartition(topic, p): [] for topic in topics for p in range(partitions)
        }
        self.groups: dict[str, Group] = {}
        self.away = False
        self.lost_acknowledgements = 0.0
        self.late_batches = 0.0
        self._waiting: dict[TopicPartition, list[Callable[[], None]]] = {}
        self.appended = 0

    def travel(self) -> float:
        return self.latency * (0.5 + self.loop.random.random())

    def append(self, partition: TopicPartition, records: Sequence[tuple[bytes, bytes | None, WireHeaders]]) -> None:
        log, at = self.logs[partition], int((BEGAN + self.loop.now) * 1000)
        for key, value, headers in records:
            log.append(Record(partition.topic, partition.partition, len(log), at, key, value, headers))
        self.appended += len(records)
        for told in self._waiting.pop(partition, ()):
            told()

    def when_appended(self, partitions: Sequence[TopicPartition], told: Callable[[], None]) -> None:
        for partition in partitions:
            self._waiting.setdefault(partition, []).append(told)

    def forget_waiting(self, partitions: Sequence[TopicPartition], told: Callable[[], None]) -> None:
        for partition in partitions:
            waiting = self._waiting.get(partition)
            if waiting and told in waiting:
                waiting.remove(told)

    async def answered(self) -> None:
        """One request and its answer. Raises while the broker is away."""
        await asyncio.sleep(self.travel())
        if self.away:
            raise KafkaConnectionError("no broker answers")

    def crash(self) -> None:
        self.away = True


class Group:
    """Shares out co-partitioned topics by ranges. One rebalance after the other: all give up, then all get."""

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker = broker
        self.name = name
        self.members: list[SimulatedReader] = []
        self._rebalancing: asyncio.Task[None] | None = None
        self._again = False

    def join(self, reader: "SimulatedReader") -> None:
        if reader not in self.members:
            self.members.append(reader)
        self.rebalance()

    def leave(self, reader: "SimulatedReader") -> None:
        if reader in self.members:
            self.members.remove(reader)
            self.rebalance()

    def rebalance(self) -> None:
        self._again = True
        if self._rebalancing is None or self._rebalancing.done():
            self._rebalancing = self._broker.loop.start(self._broker.loop.world, self._rebalance())

    async def _rebalance(self) -> None:
        while self._again:
            self._again = False
            await asyncio.sleep(self._broker.travel())
            live = [one for one in self.members if not one.is_out]
            gives = [one.told_revoked() for one in live]
            if gives:
                await asyncio.wait(gives, timeout=SESSION_SECONDS)
            # Whoever did not answer within its session is put out, and finds out later.
            for one, given in zip(live, gives, strict=True):
                if not given.done():
                    one.put_out()
            if self._again:
                continue
            self._share()

    def _share(self) -> None:
        members = [one for one in self.members if not one.is_out]
        count = self._broker.partitions
        for n, one in enumerate(members):
            mine = range(n * count // len(members), (n + 1) * count // len(members))
            one.told_assigned(frozenset(TopicPartition(topic, p) for topic in one.topics for p in mine))


class SimulatedReader:
    """A consumer, as aiokafka shows it."""

    def __init__(self, broker: Broker, group: str) -> None:
        self._broker = broker
        self._loop = broker.loop
        self._group = broker.groups.setdefault(group, Group(broker, group))
        self._listener: ConsumerRebalanceListener | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._assignment: frozenset[TopicPartition] = frozenset()
        self._actor = ACTOR.get()
        self._calls: asyncio.Queue[tuple[str, Any, Any]] = asyncio.Queue()
        self._coordinator: asyncio.Task[None] | None = None
        self._heard = 0.0
        self._closed = False
        self.is_out = False
        self.topics: tuple[str, ...] = ()

    def subscribe(self, topics: Sequence[str], *, listener: ConsumerRebalanceListener) -> None:
        self.topics, self._listener = tuple(topics), listener

    async def start(self) -> None:
        await self._broker.answered()
        self._heard = self._loop.now
        self._coordinator = asyncio.ensure_future(self._coordinate())
        self._group.join(self)
        self._loop.of_world(HEARTBEAT_SECONDS, self._watch)

    def _watch(self) -> None:
        """The broker's side of heartbeats: only somebody who runs sends them."""
        if self._closed or self.is_out:
            return
        if self._actor is None or not (self._actor.dead or self._actor.stopped or self._broker.away):
            self._heard = self._loop.now
        if self._loop.now - self._heard >= SESSION_SECONDS and not self._broker.away:
            self.put_out()
            self._group.rebalance()
            return
        self._loop.of_world(HEARTBEAT_SECONDS, self._watch)

    def put_out(self) -> None:
        """Another one works its partitions from now on; it is told when it next runs, and joins anew."""
        if self.is_out:
            return
        self.is_out = True
        if self in self._group.members:
            self._group.members.remove(self)
        if self._actor is None or not self._actor.dead:
            self._calls.put_nowait(("out", None, None))

    def told_revoked(self) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = self._loop.create_future()
        self._calls.put_nowait(("revoked", None, done))
        return done

    def told_assigned(self, assigned: frozenset[TopicPartition]) -> None:
        self._calls.put_nowait(("assigned", assigned, None))

    async def _coordinate(self) -> None:
        """The member's own side: calls its listener, one thing after the other."""
        listener = self._listener
        if listener is None:
            raise IllegalStateError("nobody listens")
        while True:
            what, assigned, done = await self._calls.get()
            if what == "assigned":
                if not self.is_out:
                    self._assignment = assigned
                    self._positions = {p: at for p, at in self._positions.items() if p in assigned}
                    await _awaited(listener.on_partitions_assigned(sorted(assigned)))
                continue
            await _awaited(listener.on_partitions_revoked(sorted(self._assignment)))
            self._assignment = frozenset()
            if done is not None and not done.done():
                done.set_result(None)
            if what == "out":
                self.is_out = False
                self._heard = self._loop.now
                self._group.join(self)
                self._loop.of_world(HEARTBEAT_SECONDS, self._watch)

    async def stop(self) -> None:
        self._closed = True
        if self._coordinator is not None:
            self._coordinator.cancel()
        self._group.leave(self)

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Mapping[TopicPartition, Sequence[Any]]:
        wanted = [p for p in (partitions or tuple(self._assignment)) if p in self._assignment]
        await self._broker.answered()
        found = self._fetched(wanted, max_records or 500)
        if found or not timeout_ms:
            return found
        came: asyncio.Future[None] = self._loop.create_future()

        def told() -> None:
            if not came.done():
                came.set_result(None)

        self._broker.when_appended(wanted, told)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await came
        except TimeoutError:
            return {}
        finally:
            self._broker.forget_waiting(wanted, told)
        return self._fetched([p for p in wanted if p in self._assignment], max_records or 500)

    def _fetched(self, wanted: Sequence[TopicPartition], most: int) -> dict[TopicPartition, Sequence[Record]]:
        found: dict[TopicPartition, Sequence[Record]] = {}
        order = list(wanted)
        self._loop.random.shuffle(order)
        for partition in order:
            if partition not in self._positions:
                raise NoOffsetForPartitionError(str(partition))
            at, log = self._positions[partition], self._broker.logs[partition]
            if not 0 <= at <= len(log):
                raise OffsetOutOfRangeError({partition: at})
            if at < len(log) and most > 0:
                records = log[at : at + min(most, 1 + int(self._loop.random.random() * BATCH_RECORDS))]
                found[partition] = records
                self._positions[partition] = at + len(records)
                most -= len(records)
        return found

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition not in self._assignment:
            raise IllegalStateError("not assigned")
        self._positions[partition] = offset

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        await self._broker.answered()
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        await self._broker.answered()
        return {partition: len(self._broker.logs[partition]) for partition in partitions}

    def highwater(self, partition: TopicPartition) -> int | None:
        return len(self._broker.logs[partition])

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assignment

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """For the eyes of those who watch lag: nothing reads it."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self._broker.partitions))


class SimulatedWriter:
    """A producer, as `panier_common.kafka.Producer` shows it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._loop = broker.loop
        self._current: object | None = None

    async def get(self) -> object:
        if self._current is None:
            await self._broker.answered()
            self._current = object()
        return self._current

    async def throw_away(self, failed: object) -> None:
        if self._current is failed:
            self._current = None

    async def partitions(self, topic: str) -> int:
        return self._broker.partitions

    async def send_in_order(self, topic: str, partition: int, records: Sequence[Outgoing]) -> None:
        """Several batches, the next one after the acknowledgement of the last."""
        rows = [(record.key.encode(), record.value, to_wire(record.headers)) for record in records]
        while rows:
            size = 1 + int(self._loop.random.random() * BATCH_RECORDS * 2)
            batch, rows = rows[:size], rows[size:]
            await self.send(TopicPartition(topic, partition), batch)

    async def send(self, partition: TopicPartition, batch: Sequence[tuple[bytes, bytes | None, WireHeaders]]) -> None:
        """Raises KafkaError when no acknowledgement came: the batch may be there, may come later, or never."""
        broker, random = self._broker, self._loop.random
        answer: asyncio.Future[None] = self._loop.create_future()
        late = broker.late_batches > 0 and random.random() < broker.late_batches
        # A batch that is late on its way is given up by its sender, and appended all the same.
        delay = REQUEST_SECONDS * (1 + random.random()) if late else broker.travel()
        self._loop.of_world(delay, self._arrive, partition, batch, answer)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await answer
        except TimeoutError:
            raise KafkaTimeoutError("no acknowledgement in time") from None

    def _arrive(
        self, partition: TopicPartition, batch: Sequence[tuple[bytes, bytes | None, WireHeaders]], answer: Any
    ) -> None:
        broker = self._broker
        if broker.away:
            self._loop.of_world(broker.travel(), _refused, answer)
            return
        broker.append(partition, batch)
        if broker.lost_acknowledgements > 0 and self._loop.random.random() < broker.lost_acknowledgements:
            self._loop.of_world(broker.travel(), _refused, answer)
        else:
            self._loop.of_world(broker.travel(), _taken, answer)

    async def stop(self) -> None:
        self._current = None


class SimulatedLog:
    """The log of one process."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def reader(self, group: str, client_id: str) -> SimulatedReader:
        return SimulatedReader(self._broker, group)

    def writer(self, client_id: str) -> SimulatedWriter:
        return SimulatedWriter(self._broker)


def _taken(answer: "asyncio.Future[None]") -> None:
    if not answer.done():
        answer.set_result(None)


def _refused(answer: "asyncio.Future[None]") -> None:
    if not answer.done():
        answer.set_exception(KafkaConnectionError("the connection broke"))


async def _awaited(maybe: Any) -> None:
    if maybe is not None:
        await maybe


__all__ = ["Broker", "SimulatedLog"]
