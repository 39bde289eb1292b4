"""A simulated Kafka as a process has it: readers, and producers whose batches may come late.

A batch on its way is appended whether or not whoever sent it still lives; its acknowledgement may be lost on the way
back.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from panier_common.event import WireHeaders, to_wire
from panier_common.kafka import Outgoing

from panier_proof.simulated.broker import BATCH_RECORDS, Broker, settle
from panier_proof.simulated.reader import SimulatedReader
from panier_proof.simulated.scheduler import ACTOR, Actor

REQUEST_SECONDS = 10.0


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
        self._loop.of_world(delay, self._arrive, partition, batch, answer, ACTOR.get())
        self._loop.of_world(REQUEST_SECONDS, settle, answer, None, KafkaTimeoutError("no acknowledgement in time"))
        await answer

    def _arrive(
        self,
        partition: TopicPartition,
        batch: Sequence[tuple[bytes, bytes | None, WireHeaders]],
        answer: Any,
        actor: Actor | None,
    ) -> None:
        broker = self._broker
        if broker.away:
            self._loop.of_world(broker.travel(), settle, answer, None, KafkaConnectionError("the connection broke"))
            return
        broker.append(partition, batch)
        self._loop.passes(actor, f"appended {partition.topic}")
        if broker.lost_acknowledgements > 0 and self._loop.random.random() < broker.lost_acknowledgements:
            self._loop.of_world(broker.travel(), settle, answer, None, KafkaConnectionError("the connection broke"))
        else:
            self._loop.of_world(broker.travel(), settle, answer)

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


__all__ = ["Broker", "SimulatedLog", "SimulatedWriter"]
