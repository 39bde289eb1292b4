"""What the topics still hold of one customer: read from the broker, from the first record that is left to the last."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from panier_common.brokers import brokers
from panier_common.erasing import quoted
from panier_common.event import from_wire
from panier_common.kafka import partition_of
from panier_common.topics import PERSONAL, Topic

from panier_cli.customer import Found

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

STILL_SECONDS = 30.0

Progress = Callable[[str, int, int], None]
"""Told of a topic how many of its records were read, of how many."""


async def records_of(address: str, found: Found, orders: Iterable[str], progress: Progress) -> dict[str, list[Any]]:
    """topic → the customer's records, in order; topics without one are left out.

    Raises KafkaError, or TimeoutError when nothing could be read for STILL_SECONDS: a consumer waits for ever.
    """
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(**brokers(address), enable_auto_commit=False, auto_offset_reset="earliest")
    order_ids, last = frozenset(orders), ("", 0)
    try:
        async with asyncio.timeout(STILL_SECONDS) as patience:

            def moved(topic: str, done: int, total: int) -> None:
                nonlocal last
                if (topic, done) != last:
                    last = topic, done
                    patience.reschedule(asyncio.get_running_loop().time() + STILL_SECONDS)
                progress(topic, done, total)

            await consumer.start()
            read = {topic.name: await _read(consumer, topic, found, order_ids, moved) for topic in PERSONAL}
    finally:
        await consumer.stop()
    return {name: records for name, records in read.items() if records}


def keys_of(topic: Topic, found: Found, orders: frozenset[str]) -> frozenset[str]:
    """The keys under which the topic has the customer's records, as far as they are known beforehand."""
    known = {
        "conversation": frozenset(found.conversations),
        "phone_number_id": frozenset({found.number}),
        "order_id": orders,
    }
    return known.get(topic.key, frozenset())


def is_theirs(topic: Topic, found: Found, keys: frozenset[str], key: str, value: bytes) -> bool:
    """Whether a record is this customer's: by its key, or where keys are not of one customer, by what it says."""
    if topic.key in ("conversation", "order_id"):
        return key in keys
    if topic.key == "pair":
        nodes = {f"{found.number}:{one}" for one in found.ids} | found.ids
        return not nodes.isdisjoint(key.split("~"))
    return any(word in value for word in quoted({*found.conversations, *found.ids}))


async def _read(
    consumer: AIOKafkaConsumer, topic: Topic, found: Found, orders: frozenset[str], progress: Progress
) -> list[Any]:
    from aiokafka import TopicPartition
    from aiokafka.errors import KafkaError

    consumer._client.add_topic(topic.name)
    if not await consumer._client.force_metadata_update():
        raise KafkaError("no broker tells what is on its topics")  # to the consumer they are topics without partitions
    count = len(consumer.partitions_for_topic(topic.name) or ())
    keys = keys_of(topic, found, orders)
    if not count or (topic.key == "order_id" and not keys):
        return []
    numbers = {partition_of(key, count) for key in keys} if keys else range(count)
    partitions = [TopicPartition(topic.name, number) for number in numbers]
    consumer.assign(partitions)
    firsts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    await consumer.seek_to_beginning(*partitions)
    total, theirs = sum(ends[tp] - firsts[tp] for tp in partitions), []
    while left := await _left(consumer, ends):
        for records in (await consumer.getmany(*left, timeout_ms=500)).values():
            theirs += [
                _document(one)
                for one in records
                if is_theirs(topic, found, keys, (one.key or b"").decode("utf-8", "replace"), one.value or b"")
            ]
        progress(topic.name, total - sum([ends[tp] - await consumer.position(tp) for tp in left]), total)
    return sorted(theirs, key=lambda one: (one["at"], one["partition"], one["offset"]))


async def _left(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> list[TopicPartition]:
    """Partitions that were not read to the end that they had at first."""
    return [tp for tp, end in ends.items() if await consumer.position(tp) < end]


def _document(record: ConsumerRecord[bytes, bytes]) -> dict[str, Any]:
    text = record.value.decode("utf-8", "replace") if record.value is not None else "null"
    try:
        event = json.loads(text)
    except ValueError:
        event = text
    return {
        "partition": record.partition,
        "offset": record.offset,
        "at": datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat().replace("+00:00", "Z"),
        "type": from_wire(record.headers).get("ce_type", ""),
        "event": event,
    }
