"""The simulated Kafka's own side: topics of partitions, and who waits at them. What it acknowledged it keeps."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from panier_common.event import WireHeaders

from panier_proof.simulated.scheduler import BEGAN, SimulatedLoop

if TYPE_CHECKING:
    from panier_proof.simulated.reader import Fetch, Group

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
        self._waiting: dict[TopicPartition, dict[Fetch, None]] = {}
        self.appended = 0

    def travel(self) -> float:
        return self.latency * (0.5 + self.loop.random.random())

    def append(self, partition: TopicPartition, records: Sequence[tuple[bytes, bytes | None, WireHeaders]]) -> None:
        log, at = self.logs[partition], int((BEGAN + self.loop.now) * 1000)
        for key, value, headers in records:
            log.append(Record(partition.topic, partition.partition, len(log), at, key, value, headers))
        self.appended += len(records)
        for fetch in tuple(self._waiting.get(partition, ())):
            fetch.look()

    def wait(self, fetch: "Fetch") -> None:
        for partition in fetch.wanted:
            self._waiting.setdefault(partition, {})[fetch] = None

    def forget(self, fetch: "Fetch") -> None:
        for partition in fetch.wanted:
            self._waiting.get(partition, {}).pop(fetch, None)

    async def answered(self) -> None:
        """One request and its answer. Raises while the broker is away."""
        await asyncio.sleep(self.travel())
        if self.away:
            raise KafkaConnectionError("no broker answers")

    def crash(self) -> None:
        self.away = True


def settle(answer: "asyncio.Future[Any]", result: Any = None, error: BaseException | None = None) -> None:
    if not answer.done():
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)
