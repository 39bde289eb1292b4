"""The log: producers that publish in order, the consumer of a loop, keys to partitions, creating topics."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError, KafkaTimeoutError, TopicAlreadyExistsError
from aiokafka.partitioner import murmur2

from panier_common import topic_settings
from panier_common.brokers import brokers
from panier_common.contracts.events import Event
from panier_common.event import Headers, cloud_headers, encode, to_wire
from panier_common.spans import Span
from panier_common.topic_settings import Applied
from panier_common.topics import CHANGELOGS, DEFAULT_PARTITIONS, TOPIC_OF, TOPICS, Topic, key_of

# One webhook may hold 3 MB, and one message of it is one record.
COPIES = 3
MAX_RECORD_BYTES = 4 * 1024 * 1024
BATCH_BYTES = 512 * 1024
DRAIN_SECONDS = 5.0
PUBLISH_SECONDS = 10.0
ASK_SECONDS = 2.0
# Until a broker counts as away: it answers within milliseconds, on a busy machine within a second.
SILENT_SECONDS = 5.0
NAMED_SECONDS = 10.0


@lru_cache(maxsize=65536)
def partition_of(key: str, partitions: int) -> int:
    """The partition that every Kafka client's default partitioner (murmur2) gives the key."""
    return (int(murmur2(key.encode())) & 0x7FFFFFFF) % partitions


class Producer:
    """An idempotent producer that is thrown away whole on any error, so that order can be kept by its user."""

    def __init__(self, bootstrap_servers: str, client_id: str) -> None:
        self._servers = bootstrap_servers
        self._client_id = client_id
        self._lock = asyncio.Lock()
        self._current: AIOKafkaProducer | None = None

    async def get(self) -> AIOKafkaProducer:
        """The present producer, started; raises KafkaError when no broker answers."""
        async with self._lock:
            if self._current is None:
                producer = AIOKafkaProducer(
                    **brokers(self._servers),
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    max_request_size=MAX_RECORD_BYTES,
                    max_batch_size=BATCH_BYTES,
                    request_timeout_ms=10_000,
                    metadata_max_age_ms=60_000,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._current = producer
            return self._current

    async def throw_away(self, failed: AIOKafkaProducer) -> None:
        """Stop using this producer: what it still held may arrive late, and is then dropped as a repeat."""
        if self._current is failed:
            self._current = None  # before anything is awaited: nobody gets it again
        await _end(failed)

    async def partitions(self, topic: str) -> int:
        producer = await self.get()
        return len(await producer.partitions_for(topic))

    async def publish(
        self, event: Event, event_id: str, at: datetime, source: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """One event to its topic; returns when all in-sync replicas have it.

        Raises KafkaError, after `PUBLISH_SECONDS` at the latest: a producer that once had a broker would wait for it
        without end. What was given up may still arrive.
        """
        topic, key = TOPIC_OF[type(event)].name, key_of(event)
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                producer = await self.get()
                await producer.send_and_wait(
                    topic,
                    encode(event),
                    key=key.encode(),
                    partition=partition_of(key, await self.partitions(topic)),
                    headers=to_wire({**cloud_headers(event, event_id, source, at), **(headers or {})}),
                )
        except TimeoutError:
            raise KafkaTimeoutError(f"{topic} was not acknowledged in {PUBLISH_SECONDS:.0f} s") from None

    async def send_in_order(self, topic: str, partition: int, records: Sequence["Outgoing"]) -> None:
        """Records of one topic-partition, one batch in flight, none after a failure. Raises KafkaError."""
        producer = await self.get()
        batch = producer.create_batch()
        for record in records:
            if _append(batch, record) is None:
                await self._send(producer, batch, topic, partition)
                batch = producer.create_batch()
                _append(batch, record)
        await self._send(producer, batch, topic, partition)

    @staticmethod
    async def _send(producer: AIOKafkaProducer, batch: object, topic: str, partition: int) -> None:
        acknowledged = await producer.send_batch(batch, topic, partition=partition)
        await acknowledged

    async def stop(self) -> None:
        async with self._lock:
            if self._current is not None:
                await _stop(self._current)
                self._current = None


class Outgoing:
    """One record to be published: its place in the outbox and what goes on the wire."""

    __slots__ = ("headers", "home", "key", "n", "span", "topic", "value")

    def __init__(self, home: int, n: int, topic: str, key: str, headers: Headers, value: bytes | None) -> None:
        self.home, self.n, self.topic, self.key = home, n, topic, key
        self.headers, self.value = headers, value
        self.span: Span | None = None


def _append(batch: object, record: Outgoing) -> object | None:
    return batch.append(  # type: ignore[attr-defined,no-any-return]
        key=record.key.encode(), value=record.value, timestamp=None, headers=to_wire(record.headers)
    )


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await producer.stop()
    except (TimeoutError, KafkaError, OSError):
        await _end(producer)


async def _end(producer: AIOKafkaProducer) -> None:
    """End a producer without waiting for what it holds: its task and its connections."""
    producer._closed = True
    with suppress(KafkaError, OSError):
        if producer._sender is not None and producer._sender.sender_task is not None:
            await producer._sender.close()
        await producer.client.close()


class FetchingEndedError(RuntimeError):
    """The consumer has ended its fetching and would find nothing for ever; only another one reads on."""


class _Consumer(AIOKafkaConsumer):
    """A consumer that says so when it fetches no more.

    aiokafka's fetching ends at an error that is none of Kafka's, whatever comes after it, and is told to nobody. There
    is such an error: uvloop's RuntimeError for a connection that a broker's end has broken in this very moment.
    """

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None) -> Any:
        """As there. Raises FetchingEndedError."""
        fetching: asyncio.Task[None] = self._fetcher._fetch_task  # type: ignore[union-attr]
        if fetching.done() and not fetching.cancelled():
            raise FetchingEndedError("the consumer fetches no more") from fetching.exception()
        return await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)


def follower(bootstrap_servers: str) -> AIOKafkaConsumer:
    """The consumer of who reads a topic from its beginning, in no group."""
    options = {**brokers(bootstrap_servers), "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    return _Consumer(**options)  # type: ignore[no-untyped-call]


def consumer(bootstrap_servers: str, group: str, client_id: str) -> AIOKafkaConsumer:
    """The consumer of a loop: positions come from the database, the group only shares out partitions."""
    return _Consumer(  # type: ignore[no-untyped-call]
        **brokers(bootstrap_servers),
        group_id=group,
        client_id=client_id,
        enable_auto_commit=False,
        auto_offset_reset="none",
        partition_assignment_strategy=[RangePartitionAssignor],
        session_timeout_ms=10_000,
        heartbeat_interval_ms=3_000,
        max_poll_interval_ms=600_000,
        rebalance_timeout_ms=30_000,
        max_partition_fetch_bytes=MAX_RECORD_BYTES,
        metadata_max_age_ms=60_000,
    )


class Kafka:
    """The log behind a loop: its consumer and its producer."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers

    def reader(self, group: str, client_id: str) -> AIOKafkaConsumer:
        return consumer(self._servers, group, client_id)

    def writer(self, client_id: str) -> Producer:
        return Producer(self._servers, client_id)


async def _knows_the_topics(client: AIOKafkaClient) -> bool:
    """Whether a broker answered with what it has."""
    async with asyncio.timeout(SILENT_SECONDS):
        return bool(await client.force_metadata_update())


async def watch(bootstrap_servers: str, client_id: str, tell: Callable[[bool], None]) -> None:
    """Say again and again whether a broker answers; until cancelled.

    A consumer does not say so: to it, a broker that fell silent is one with nothing new.
    """
    while True:
        client = AIOKafkaClient(**brokers(bootstrap_servers), client_id=client_id)
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(SILENT_SECONDS):
                await client.bootstrap()
            while await _knows_the_topics(client):
                tell(True)
                await asyncio.sleep(ASK_SECONDS)
        tell(False)
        with suppress(KafkaError, OSError, TimeoutError):
            await client.close()
        await asyncio.sleep(1)


async def apply_topics(
    bootstrap_servers: str,
    *,
    partitions: int | None = None,
    replication: int | None = None,
    topics: Iterable[Topic] = (*TOPICS, *CHANGELOGS),
    dry_run: bool = False,
) -> Applied:
    """Create what is missing of the table, and set the settings of what is there to the table's; what was done.

    What is created has as many partitions as the table's other topics have (`DEFAULT_PARTITIONS` where there is none),
    and a copy on each broker, on three at most, unless told another. Never changes partitions or replicas in place.
    With `dry_run` nothing is done: what would be.
    """
    table = list(topics)
    admin = AIOKafkaAdminClient(**brokers(bootstrap_servers))
    await admin.start()
    try:
        there = {one["topic"]: one for one in await admin.describe_topics()}
        missing = [topic for topic in table if topic.name not in there]
        if missing and not dry_run:
            others = [len(there[topic.name]["partitions"]) for topic in table if topic.name in there]
            parts = partitions or max(others, default=DEFAULT_PARTITIONS)
            copies = replication or min(COPIES, len((await admin.describe_cluster())["brokers"]))
            await _create(admin, [_new_topic(topic, parts, copies) for topic in missing])
            await _named(admin, {topic.name for topic in missing})
        wanted = {
            topic.name: _settings(topic, min(len(one["replicas"]) for one in partitions_of))
            for topic in table
            if topic.name in there and (partitions_of := there[topic.name]["partitions"])
        }
        changed, hidden = await topic_settings.differing(admin, wanted)
        if changed and not dry_run:
            await topic_settings.alter(admin, changed)
        return Applied([topic.name for topic in missing], changed, hidden)
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, new: list[NewTopic]) -> None:
    try:
        answer = await admin.create_topics(new)
    except TopicAlreadyExistsError:
        return  # somebody else was faster
    for name, code, *message in answer.topic_errors:  # type: ignore[attr-defined]
        if code not in (0, 36):  # 36: the same, for one of them
            raise KafkaError(f"topic {name} could not be created: {message}")


async def _named(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Until the broker names them: it answers that they are created a moment before it knows of them itself."""
    with suppress(TimeoutError):
        async with asyncio.timeout(NAMED_SECONDS):
            while not names <= set(await admin.list_topics()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def _new_topic(topic: Topic, partitions: int, replication: int) -> NewTopic:
    return NewTopic(topic.name, partitions, replication, topic_configs=_settings(topic, replication))


def _settings(topic: Topic, replicas: int) -> dict[str, str]:
    return {
        **{name: str(value) for name, value in topic.settings.items()},
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "min.insync.replicas": str(max(1, replicas - 1)),
    }


__all__ = [
    "MAX_RECORD_BYTES",
    "FetchingEndedError",
    "Kafka",
    "Outgoing",
    "Producer",
    "apply_topics",
    "consumer",
    "follower",
    "partition_of",
]
