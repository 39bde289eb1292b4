"""Following a compacted topic from its beginning for as long as a process lives. Knows nothing of what it holds."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from panier_common.kafka import FetchingEndedError, Producer, follower
from panier_common.topics import DAY_MS, Topic

# Daily: twice as long as a segment of these topics stays open (`topics.COMPACTED_SEGMENT_MS`).
MOVE_SECONDS = DAY_MS / 1000
NOBODY = b"~"

log = structlog.get_logger()

Take = Callable[["ConsumerRecord[bytes, bytes]"], None]


async def follow(bootstrap_servers: str, topic: Topic, take: Take, on_level: Callable[[], None]) -> None:
    """Give every record to `take`; `on_level` is called once the topic was read to the end it had at first.

    Begins anew whenever the broker was away, so `take` sees records again.
    """
    while True:
        consumer = follower(bootstrap_servers)
        try:
            await consumer.start()
            await _read(consumer, topic, take, on_level)
        except (KafkaError, OSError, FetchingEndedError) as error:
            log.warning("the broker does not answer", topic=topic.name, error=type(error).__name__)
            await asyncio.sleep(1)
        finally:
            with suppress(KafkaError, OSError):
                await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, topic: Topic, take: Take, on_level: Callable[[], None]) -> None:
    while not (numbers := consumer.partitions_for_topic(topic.name)):
        await consumer._client.force_metadata_update()
        consumer._client.add_topic(topic.name)
        await asyncio.sleep(0.5)
    partitions = [TopicPartition(topic.name, number) for number in numbers]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    ends = await consumer.end_offsets(partitions)
    level = False
    while True:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                take(record)
        if not level:
            level = all([await consumer.position(tp) >= ends[tp] for tp in partitions])
            if level:
                on_level()


async def keep_moving(producer: Producer, topic: Topic) -> None:
    """Append a key of nobody's to every partition, now and then.

    Kafka cleans only segments that are closed, and closes one only when something is appended: on a partition that
    nobody writes to, what a tombstone ended would stay for good.
    """
    while True:
        try:
            current = await producer.get()
            for partition in range(await producer.partitions(topic.name)):
                await current.send_and_wait(topic.name, None, key=NOBODY, partition=partition)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("a compacted topic cannot be moved on", topic=topic.name, error=type(error).__name__)
            await asyncio.sleep(60)
        else:
            await asyncio.sleep(MOVE_SECONDS)
