"""Three brokers as the long proof has them: what was acknowledged outlives any one of them."""

import asyncio
import signal
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from panier_cli import children
from panier_cli.engines import kafka, wait_until_answering
from panier_common.kafka import apply_topics
from panier_common.topics import ORDER


async def test_a_record_outlives_the_broker_that_took_it(tmp_path: Path) -> None:
    engine = kafka.prepare(tmp_path, print, "a test says so", brokers=3)
    assert len(engine.programs) == 3
    brokers = [await children.spawn(program) for program in engine.programs]
    try:
        await wait_until_answering(engine, 90)
        await apply_topics(engine.url, partitions=3, topics=[ORDER])
        async with asyncio.timeout(30):  # each broker is told by itself
            while await _copies(engine.url) != {(3, "2")}:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        producer = AIOKafkaProducer(bootstrap_servers=engine.url, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            for partition in range(3):
                await producer.send_and_wait(ORDER.name, b"kept", partition=partition)
            brokers[0].kill()
            await brokers[0].wait()
            for partition in range(3):  # two of three in sync are enough to go on
                await asyncio.wait_for(producer.send_and_wait(ORDER.name, b"more", partition=partition), 60)
        finally:
            await producer.stop()
        assert await _values(engine.url, 6) == [b"kept", b"kept", b"kept", b"more", b"more", b"more"]
    finally:
        for broker in brokers:
            await children.end(broker, signal.SIGKILL, 10)


async def _copies(servers: str) -> set[tuple[int, str]]:
    """Of each partition, with how many of them have to be in sync for a record to be acknowledged; as one broker
    knows it, which may not know the topic yet.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        [topic] = await admin.describe_topics([ORDER.name])
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, ORDER.name)])
        in_sync = "".join(entry[1] for entry in answer.resources[0][4] if entry[0] == "min.insync.replicas")
        return {(len(partition["replicas"]), in_sync) for partition in topic["partitions"]}
    finally:
        await admin.close()


async def _values(servers: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(ORDER.name, bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        records = [await asyncio.wait_for(consumer.getone(), 30) for _ in range(count)]
        return sorted(record.value for record in records)
    finally:
        await consumer.stop()
