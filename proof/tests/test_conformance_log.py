"""The simulated Kafka does what the real one does: the same stories, told to both."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from panier_common.engines import Log, Reader
from panier_common.kafka import Kafka, Outgoing, apply_topics
from panier_common.topics import Topic
from panier_proof.simulated.log import Broker, SimulatedLog
from panier_proof.simulated.scheduler import SimulatedLoop

PARTITIONS = 2
Story = Callable[[Log, str], Awaitable[None]]
Play = Callable[[Story], Awaitable[None]]


@pytest.fixture(params=["kafka", "simulated"])
def log(request: pytest.FixtureRequest) -> Play:
    """Tells a story to one of the two logs, with a topic of its own."""
    servers = request.getfixturevalue("kafka") if request.param == "kafka" else ""

    async def play(story: Story) -> None:
        name = f"conformance.{secrets.token_hex(4)}"
        if servers:
            topic = Topic(name, "conversation", (), (), ())
            await apply_topics(servers, partitions=PARTITIONS, topics=[topic])
            await asyncio.wait_for(story(Kafka(servers), name), 30)
        else:
            await asyncio.to_thread(_simulated, story, name)

    return play


def _simulated(story: Story, name: str) -> None:
    loop = SimulatedLoop(Random(7))
    try:
        loop.run_until_complete(story(SimulatedLog(Broker(loop, [name], PARTITIONS)), name))
    finally:
        loop.bury()
        loop.close()


class _Assigned(ConsumerRebalanceListener):
    def __init__(self) -> None:
        self.came = asyncio.Event()

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self.came.clear()

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self.came.set()


async def _member(log: Log, topic: str) -> Reader:
    reader, listener = log.reader(f"group.{topic}", "conformance"), _Assigned()
    reader.subscribe([topic], listener=listener)
    await reader.start()
    await listener.came.wait()
    return reader


async def _send(log: Log, topic: str, partition: int, values: Sequence[bytes | None]) -> None:
    writer = log.writer("conformance")
    rows = [Outgoing(0, n, topic, f"key {n}", {"ce_type": "é", "n": str(n)}, v) for n, v in enumerate(values)]
    await writer.send_in_order(topic, partition, rows)
    await writer.stop()


async def _read(reader: Reader, at: TopicPartition, count: int) -> list[Any]:
    found: list[Any] = []
    while len(found) < count:
        found += (await reader.getmany(at, timeout_ms=250)).get(at, ())
    return found


async def _keeps_bytes_and_order(log: Log, topic: str) -> None:
    zero, one = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await _send(log, topic, 0, [b"a", None, b"", bytes(range(256))])
    await _send(log, topic, 0, [b"after"])
    reader = await _member(log, topic)
    reader.seek(zero, 0)
    reader.seek(one, 0)

    records = await _read(reader, zero, 5)

    assert [r.offset for r in records] == [0, 1, 2, 3, 4]
    assert [r.value for r in records] == [b"a", None, b"", bytes(range(256)), b"after"]
    assert [r.key for r in records] == [b"key 0", b"key 1", b"key 2", b"key 3", b"key 0"]
    assert list(records[1].headers) == [("ce_type", "é".encode()), ("n", b"1")]
    assert await reader.end_offsets([zero, one]) == {zero: 5, one: 0}
    assert await reader.beginning_offsets([zero, one]) == {zero: 0, one: 0}
    assert reader.partitions_for_topic(topic) == {0, 1}
    reader.seek(zero, 3)
    assert [r.offset for r in await _read(reader, zero, 2)] == [3, 4]
    await reader.stop()


async def _needs_a_position(log: Log, topic: str) -> None:
    await _send(log, topic, 0, [b"a"])
    reader = await _member(log, topic)
    with pytest.raises(NoOffsetForPartitionError):
        await _read(reader, TopicPartition(topic, 0), 1)
    await reader.stop()


async def _refuses_a_position_that_is_not_there(log: Log, topic: str) -> None:
    zero = TopicPartition(topic, 0)
    await _send(log, topic, 0, [b"a"])
    reader = await _member(log, topic)
    reader.seek(zero, 7)
    reader.seek(TopicPartition(topic, 1), 0)
    with pytest.raises(OffsetOutOfRangeError):
        await _read(reader, zero, 1)
    await reader.stop()


async def test_bytes_order_and_offsets_are_kept(log: Play):
    await log(_keeps_bytes_and_order)


async def test_without_a_position_nothing_is_read(log: Play):
    await log(_needs_a_position)


async def test_a_position_beyond_the_end_is_refused(log: Play):
    await log(_refuses_a_position_that_is_not_there)
