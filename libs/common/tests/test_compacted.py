"""What a tombstone ended leaves a compacted topic, also a partition that nobody writes to."""

import asyncio
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from panier_common import compacted, topics
from panier_common.compacted import NOBODY, keep_moving
from panier_common.kafka import Producer, apply_topics, partition_of
from panier_common.topics import FLOOR, Topic

KEY, WORDS = b"100:FR.900000077", b'{"conversation":"100:FR.900000077"}'


async def everything(address: str, topic: str) -> bytes:
    """All keys and values that can be read, from the beginning."""
    consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(2)]
        consumer.assign(partitions)
        ends, read = await consumer.end_offsets(partitions), b""
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                read += b"".join((record.key or b"") + (record.value or b"") for record in records)
        return read
    finally:
        await consumer.stop()


@pytest.mark.timeout(180)
async def test_value_and_key_are_gone_from_a_quiet_partition(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "DAY_MS", 2000)
    monkeypatch.setattr(topics, "COMPACTED_SEGMENT_MS", 1000)
    monkeypatch.setattr(compacted, "MOVE_SECONDS", 2.0)
    topic = Topic("panier.test-floor.v1", "conversation", (), (), FLOOR.events, cleanup="compact")
    await apply_topics(kafka, partitions=2, topics=[topic])
    producer = Producer(kafka, "test")
    current = await producer.get()
    for value in (WORDS, None):
        await current.send_and_wait(topic.name, value, key=KEY, partition=partition_of(KEY.decode(), 2))
    assert WORDS in await everything(kafka, topic.name)
    moving = asyncio.create_task(keep_moving(producer, topic))
    try:
        async with asyncio.timeout(150):
            while KEY in (left := await everything(kafka, topic.name)):  # noqa: ASYNC110
                await asyncio.sleep(1)
    finally:
        moving.cancel()
        with suppress(asyncio.CancelledError):
            await moving
        await producer.stop()
    assert NOBODY in left
