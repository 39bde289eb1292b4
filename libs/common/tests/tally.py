"""What the runner's tests run: a service that tallies, and ways to talk to it and to look at what it did."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from panier_common.batch import Loop
from panier_common.contracts import inbound as m
from panier_common.contracts.events import Customer, EnquiryRaised, Event, MessageReceived
from panier_common.effects import DropTimer, Effect, Publish, SetTimer
from panier_common.event import Headers, Received, decode, from_wire, inbound_id
from panier_common.kafka import Kafka, Producer
from panier_common.postgres import Connection, Pool
from panier_common.runner import Runner
from panier_common.topics import ENQUIRY, INBOUND

NUMBER = "106540352242922"
START = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)


class Rang(Event, frozen=True):
    ce_type = "test.bell.rang.v1"
    conversation: str


class Tally:
    """A service that counts a conversation's messages and says each back as an enquiry."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.batches: list[int] = []

    async def load(self, db: Connection, events: Sequence[Received]) -> dict[str, list[str]]:
        self.batches.append(len(events))
        keys = sorted({e.event.conversation for e in events if isinstance(e.event, MessageReceived | Rang)})
        rows = await db.fetch("SELECT conversation, texts FROM tally WHERE conversation = ANY($1) FOR UPDATE", keys)
        return {row["conversation"]: list(row["texts"]) for row in rows}

    def decide(self, world: dict[str, list[str]], got: Received) -> Sequence[Effect]:
        match got.event:
            case MessageReceived(content=m.Text(body="poison")):
                raise ZeroDivisionError("cannot digest this")
            case MessageReceived(content=m.Text(body="alarm")) as message:
                return [SetTimer(f"bell:{message.conversation}", 0.2, Rang(message.conversation))]
            case MessageReceived(content=m.Text(body="never mind")) as message:
                return [DropTimer(f"bell:{message.conversation}")]
            case MessageReceived(content=m.Text(body=body)) as message:
                return self._say(world, message.conversation, body, got)
            case Rang(conversation=conversation):
                return self._say(world, conversation, "rang", got)
        return []

    def _say(self, world: dict[str, list[str]], conversation: str, text: str, got: Received) -> Sequence[Effect]:
        world.setdefault(conversation, []).append(text)
        said = f"{got.language or '-'}:{text}"
        return [Publish(EnquiryRaised(conversation, NUMBER, "shop", Customer("FR.1"), "catalog", said, "", got.at))]

    async def save(self, db: Connection, world: dict[str, list[str]]) -> None:
        await db.execute(
            "INSERT INTO tally (conversation, texts) SELECT c, string_to_array(t, '|') "
            "FROM unnest($1::text[], $2::text[]) AS new (c, t) "
            "ON CONFLICT (conversation) DO UPDATE SET texts = excluded.texts",
            list(world),
            ["|".join(texts) for texts in world.values()],
        )

    def loop(self, name: str) -> Loop[dict[str, list[str]]]:
        return Loop(
            name, (INBOUND,), lambda topic, headers: True, self.load, self.decide, self.save, timer_events=(Rang,)
        )


@asynccontextmanager
async def running(loop: Loop[Any], pool: Pool, broker: str) -> AsyncIterator[Runner[Any]]:
    runner = Runner(loop, pool, Kafka(broker))
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.stop()
        await task


def conversation() -> str:
    return f"{NUMBER}:FR.{uuid4().hex[:12]}"


_serial = itertools.count()


async def say(
    producer: Producer, who: str, text: str, wamid: str = "", headers: Headers | None = None, at: datetime = START
) -> str:
    wamid = wamid or f"wamid.{next(_serial)}"
    message = MessageReceived(who, NUMBER, Customer("FR.1"), wamid, at, m.Text(text), shop="shop")
    await producer.publish(message, inbound_id(NUMBER, who + wamid), at, "ingest", headers)
    return wamid


async def eventually(what: str, look: Callable[[], Awaitable[Any]], seconds: float = 60) -> Any:
    end = asyncio.get_running_loop().time() + seconds
    while not (value := await look()):
        if asyncio.get_running_loop().time() > end:
            pytest.fail(f"waited {seconds} s for {what}")
        await asyncio.sleep(0.05)
    return value


def texts_of(pool: Pool, who: str, count: int) -> Callable[[], Awaitable[list[str] | None]]:
    async def look() -> list[str] | None:
        texts = await pool.fetchval("SELECT texts FROM tally WHERE conversation = $1", who)
        return list(texts) if texts is not None and len(texts) >= count else None

    return look


async def heard_about(broker: str, who: str) -> list[tuple[str, str]]:
    """(what was said, panier_seq) on the enquiry topic for one conversation, in order."""
    return [(event.text, headers["panier_seq"]) for event, headers in await enquiries_of(broker, who)]


async def enquiries_of(broker: str, who: str) -> list[tuple[EnquiryRaised, dict[str, str]]]:
    """The events and their headers."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(ENQUIRY.name, p) for p in range(12)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        said = []
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                for record in records:
                    headers = from_wire(record.headers)
                    event = decode(headers["ce_type"], record.value)
                    if isinstance(event, EnquiryRaised) and event.conversation == who:
                        said.append((event, headers))
        return said
    finally:
        await consumer.stop()
