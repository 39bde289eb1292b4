"""Consumers of the simulated Kafka, and the groups that share partitions out among them.

Kept as meanly as the real ones: a member that is silent for its session is put out of the group and finds out when it
next runs; what it had fetched it may still work on.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from panier_proof.simulated.broker import BATCH_RECORDS, Broker, Record, settle
from panier_proof.simulated.scheduler import ACTOR
from panier_proof.simulated.values import shuffle

SESSION_SECONDS = 10.0
HEARTBEAT_SECONDS = 3.0


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
        self.broker = self._broker = broker
        self._loop = broker.loop
        self._group = broker.groups.setdefault(group, Group(broker, group))
        self._listener: ConsumerRebalanceListener | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}  # as the last fetch told them
        self._assignment: frozenset[TopicPartition] = frozenset()
        self.actor = self._actor = ACTOR.get()
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
                    self._ends = {p: end for p, end in self._ends.items() if p in assigned}
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
        fetch = Fetch(self, partitions or tuple(self._assignment), max_records or 500, timeout_ms / 1000)
        self._loop.of_world(self._broker.travel(), fetch.arrive)
        return await fetch.answer

    def fetched(self, wanted: Sequence[TopicPartition], most: int) -> dict[TopicPartition, Sequence[Record]]:
        """What is there of these from the positions on, in any order of partitions. Raises KafkaError."""
        behind = []
        for partition in wanted:
            if partition not in self._assignment:
                continue
            at = self._positions.get(partition)
            if at is None:
                raise NoOffsetForPartitionError(str(partition))
            end = self._ends[partition] = len(self._broker.logs[partition])
            if not 0 <= at <= end:
                raise OffsetOutOfRangeError({partition: at})
            if at < end:
                behind.append(partition)
        random = self._loop.random
        if len(behind) > 1:
            shuffle(behind, random)
        found: dict[TopicPartition, Sequence[Record]] = {}
        for partition in behind:
            if most > 0:
                at = self._positions[partition]
                size = min(most, 1 + int(random.random() * BATCH_RECORDS))
                records = found[partition] = self._broker.logs[partition][at : at + size]
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
        return self._ends.get(partition)

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assignment

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """For the eyes of those who watch lag: nothing reads it. Raises IllegalStateError, or KafkaError."""
        if not offsets.keys() <= self._assignment:
            raise IllegalStateError("not assigned")
        await self._broker.answered()
        if self.is_out:
            raise CommitFailedError("not a member any more")

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self._broker.partitions))


class Fetch:
    """One `getmany` at the broker: answered when there is something, or when its time is over."""

    def __init__(
        self, reader: SimulatedReader, wanted: Sequence[TopicPartition], most: int, patience_seconds: float
    ) -> None:
        self.wanted = wanted
        self._reader, self._most, self._patience_seconds = reader, most, patience_seconds
        self._broker, self._loop = reader.broker, reader.broker.loop
        self.answer: asyncio.Future[Mapping[TopicPartition, Sequence[Any]]] = self._loop.create_future()

    def arrive(self) -> None:
        if self._broker.away:
            settle(self.answer, error=KafkaConnectionError("no broker answers"))
        elif not self.look() and self._patience_seconds:
            self._broker.wait(self)
            self._loop.of_world(self._patience_seconds, self.give_up)
        elif not self.answer.done():
            self.answer.set_result({})

    def look(self) -> bool:
        """Whether it is answered by now."""
        if not self.answer.done():
            try:
                found = self._reader.fetched(self.wanted, self._most)
            except KafkaError as error:
                self.answer.set_exception(error)
            else:
                if found:
                    self.answer.set_result(found)
                    for partition in found:
                        self._loop.passes(self._reader.actor, f"fetched {partition.topic}")
        if self.answer.done():
            self._broker.forget(self)
        return self.answer.done()

    def give_up(self) -> None:
        self._broker.forget(self)
        settle(self.answer, {})


async def _awaited(maybe: Any) -> None:
    if maybe is not None:
        await maybe
