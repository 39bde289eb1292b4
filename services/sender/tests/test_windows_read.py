"""What customers wrote before a sender began is read by all senders together: until it is, none trusts the windows."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaConnectionError, UnknownTopicOrPartitionError
from panier_common.identity import conversation_of
from panier_common.kafka import Outgoing, Producer, apply_topics, consumer, partition_of
from panier_common.topics import COMMAND, DEFAULT_PARTITIONS, INBOUND, Topic
from panier_sender.db import WINDOWS
from panier_sender.windows_read import Ends, WindowsRead, ends_of

CUSTOMERS = [f"3360000{n:04}" for n in range(24)]


class Reluctant(ConsumerRebalanceListener):
    """Takes partitions and gives them up, and reads nothing of them."""

    async def on_partitions_revoked(self, revoked) -> None: ...
    async def on_partitions_assigned(self, assigned) -> None: ...


@pytest_asyncio.fixture
async def other(world) -> AsyncIterator[AIOKafkaConsumer]:
    """Another sender process, which has far to read: it has half of the windows' partitions, and no news of them."""
    found = consumer(world.kafka, f"panier.{WINDOWS}", "other")
    found.subscribe([INBOUND.name, COMMAND.name], listener=Reluctant())
    await found.start()
    yield found
    await found.stop()


async def decided(world, asked: list[str]) -> set[str | None]:
    """How these stand, None for sent, once there was room for all of them."""
    async with asyncio.timeout(40):
        while True:
            states = await world.states()
            found = {states.get(id) for id in asked}
            if "ready" not in found:
                return found
            await asyncio.sleep(0.02)


async def test_a_stop_that_another_process_has_still_to_read_is_obeyed(world, other, graph, until):
    for whom in CUSTOMERS:
        await world.hear(whom, "stop", "sender")
    async with world.sender():
        theirs = {at.partition for at in other.assignment()}
        assert 0 < len(theirs) < DEFAULT_PARTITIONS
        asked = {whom: await world.ask(whom, "prêt", lane="news") for whom in CUSTOMERS}
        unread = [whom for whom in CUSTOMERS if partition_of(conversation_of(world.number, whom), 12) in theirs]
        behind = await world.ask("33700000001", "bonjour")
        await until(lambda: world.results(behind))
        assert await decided(world, [asked[whom] for whom in unread]) == {"delayed"}
        await other.stop()
        await until(lambda: all(world.results(id) for id in asked.values()))
    assert {event.reason for id in asked.values() for event in world.results(id)} == {"stopped"}
    assert "prêt" not in [call.text for call in graph.calls]


class Looks:
    """A database that counts how often it was looked at, and is away the first few times."""

    def __init__(self, pool: asyncpg.Pool, away: int = 0) -> None:
        self.pool, self.away, self.count = pool, away, 0

    @asynccontextmanager
    async def acquire(self, *, timeout: float | None = None) -> AsyncIterator[Any]:
        self.count += 1
        if self.count <= self.away:
            raise ConnectionRefusedError
        async with self.pool.acquire(timeout=timeout) as connection:
            yield connection


@pytest_asyncio.fixture
async def pool(database, monkeypatch) -> AsyncIterator[asyncpg.Pool]:
    monkeypatch.setattr("panier_sender.windows_read.LOOK_SECONDS", 0.01)
    async with asyncpg.create_pool(await database("panier_sender"), min_size=0, max_size=2) as pool:
        yield pool


@asynccontextmanager
async def looking(looks: Looks, ends: Ends) -> AsyncIterator[WindowsRead]:
    read = WindowsRead(looks, ends)
    task = asyncio.create_task(read.run())
    yield read
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def written(*ends: int) -> Ends:
    """So far the partitions 0, 1, … of `inbound` are written."""

    async def tell() -> dict[tuple[str, int], int]:
        return {(INBOUND.name, partition): end for partition, end in enumerate(ends)}

    return tell


async def read_to(pool: asyncpg.Pool, partition: int, next_offset: int, loop: str = WINDOWS) -> None:
    await pool.execute(
        "INSERT INTO position (loop, topic, partition, next_offset) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (loop, topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
        loop,
        INBOUND.name,
        partition,
        next_offset,
    )


async def test_they_are_read_when_every_partition_is_whoever_reads_it(pool, until):
    looks = Looks(pool)
    await read_to(pool, 0, 7)
    await read_to(pool, 1, 4)
    await read_to(pool, 2, 9, "sender.numbers")
    async with looking(looks, written(7, 5, 9)) as read:
        for partition, next_offset in ((1, 6), (2, 9)):
            await until(lambda seen=looks.count + 3: looks.count > seen)
            assert not read()
            await read_to(pool, partition, next_offset)
        await until(read)
        seen = looks.count
        await asyncio.sleep(0.1)
        assert looks.count == seen, "from then on nobody asks"


async def test_what_cannot_be_asked_is_not_known(pool, until):
    asked: list[float] = []

    async def ends() -> dict[tuple[str, int], int]:
        asked.append(asyncio.get_running_loop().time())
        if len(asked) < 4:
            raise KafkaConnectionError("no broker answers")
        return {(INBOUND.name, 0): 0}

    looks = Looks(pool, away=4)
    await read_to(pool, 0, 0)
    async with looking(looks, ends) as read:
        while len(asked) < 4 or looks.count < 4:
            assert not read()
            await asyncio.sleep(0.001)
        await until(read)
    assert len(asked) == 4, "where it ends is asked once: what comes after the start is not waited for"


async def test_what_is_empty_has_no_end_to_be_read_to(kafka):
    """Nobody has a place on a partition that nothing was ever written to, or whose records were all deleted by age."""
    topic = Topic(f"panier.test-{uuid.uuid4()}", "id", (), (), ())
    with pytest.raises(UnknownTopicOrPartitionError):
        await ends_of(kafka, [topic])
    await apply_topics(kafka, topics=[topic], partitions=3)
    producer = Producer(kafka, "test")
    for partition in (0, 1):
        await producer.send_in_order(topic.name, partition, [Outgoing(partition, 1, topic.name, "key", {}, b"value")])
    await producer.stop()
    assert await ends_of(kafka, [topic]) == {(topic.name, 0): 1, (topic.name, 1): 1}
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_records({TopicPartition(topic.name, 1): RecordsToDelete(before_offset=1)})
    await admin.close()
    assert await ends_of(kafka, [topic]) == {(topic.name, 0): 1}
