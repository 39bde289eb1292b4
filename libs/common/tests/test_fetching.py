"""A consumer whose fetching ended says so: it would find nothing from then on, and its group take it for alive."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from panier_common.compacted import follow
from panier_common.kafka import FetchingEndedError, Kafka, Producer, apply_topics, partition_of
from panier_common.runner import Runner
from panier_common.topics import FLOOR, Topic

from .tally import Tally, conversation, eventually, say, texts_of

KEY = b"100:FR.900000078"

Break = Callable[[], None]


@pytest.fixture
def break_a_connection(monkeypatch: pytest.MonkeyPatch) -> Break:
    """From when it is called, once: a fetch finds its connection broken in this moment, as uvloop puts it."""
    send, armed = AIOKafkaClient.send, []

    def fetches_break(client: AIOKafkaClient, node: int, request: Any, **options: Any) -> Awaitable[Any]:
        if armed and type(request).__name__.startswith("Fetch"):
            armed.clear()
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")
        return send(client, node, request, **options)

    monkeypatch.setattr(AIOKafkaClient, "send", fetches_break)
    return lambda: armed.append(True)


async def test_a_loop_whose_consumer_fetches_no_more_ends(pool, broker, producer, name, break_a_connection):
    who = conversation()
    task = asyncio.create_task(Runner(Tally().loop(name), pool, Kafka(broker)).run())
    await say(producer, who, "one")
    await eventually("one", texts_of(pool, who, 1))
    break_a_connection()
    with pytest.raises(FetchingEndedError):
        await asyncio.wait_for(task, 30)


async def test_who_follows_a_topic_follows_it_with_another_consumer(kafka: str, break_a_connection: Break) -> None:
    topic = Topic("panier.test-followed.v1", "conversation", (), (), FLOOR.events, cleanup="compact")
    await apply_topics(kafka, partitions=2, topics=[topic])
    seen: list[bytes | None] = []
    level = asyncio.Event()
    following = asyncio.create_task(follow(kafka, topic, lambda record: seen.append(record.value), level.set))
    producer = Producer(kafka, "test")
    try:
        await asyncio.wait_for(level.wait(), 30)
        break_a_connection()
        await asyncio.sleep(1)
        current = await producer.get()
        await current.send_and_wait(topic.name, b"news", key=KEY, partition=partition_of(KEY.decode(), 2))
        async with asyncio.timeout(30):
            while b"news" not in seen:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await producer.stop()
