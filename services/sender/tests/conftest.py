"""A sender in this process on a real Kafka and PostgreSQL, and a Graph API of a few lines that obeys the test."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from panier_common.contracts.events import (
    Customer,
    DeliveryChanged,
    Event,
    MessageReceived,
    MessageRequested,
    Number,
    ShopConfigured,
)
from panier_common.contracts.inbound import Text
from panier_common.contracts.outbound import Message, TextMessage, packed
from panier_common.event import decode, from_wire, inbound_id
from panier_common.identity import conversation_of
from panier_common.kafka import Kafka, Producer, apply_topics
from panier_common.postgres import create_pool
from panier_common.runner import Runner
from panier_common.shops import ShopDirectory
from panier_sender.__main__ import build
from panier_sender.settings import SenderSettings

TOKEN = "EAAtest"
TIMEOUT = 40.0


async def until(condition: Callable[[], object], seconds: float = TIMEOUT) -> None:
    """Wait until the condition holds; fails when it never does."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what changes is on the other side of a socket)
            await asyncio.sleep(0.01)


@pytest.fixture(name="until")
def _until() -> Callable[[Callable[[], object], float], Awaitable[None]]:
    return until


@dataclass
class Call:
    """One request to the stand-in: `ended` is None while it is being answered."""

    number: str
    body: dict
    headers: dict
    began: float
    ended: float | None = None
    status: int = 0

    @property
    def whom(self) -> str:
        return self.body.get("to") or self.body.get("recipient") or ""

    @property
    def text(self) -> str:
        return self.body["text"]["body"] if "text" in self.body else ""


Answer = tuple[int, dict | None]


@dataclass
class FakeGraph:
    """Accepts every message unless `answer` says otherwise; `reads` are the messages marked read."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    reads: list[dict] = field(default_factory=list)
    uploads: list[tuple] = field(default_factory=list)
    refuse_files: list[Answer] = field(default_factory=list)
    answer: Callable[[Call], Awaitable[Answer | None]] | None = None
    serial: int = 0

    async def take_file(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self.uploads.append(
            (request.match_info["number"], form["messaging_product"], form["type"], form["file"].file.read())
        )
        if self.refuse_files:
            status, document = self.refuse_files.pop(0)
            return web.json_response(document, status=status)
        return web.json_response({"id": f"media{len(self.uploads)}"})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        number = request.match_info["number"]
        if body.get("status") == "read":
            self.reads.append(body)
            return web.json_response({"success": True})
        loop = asyncio.get_running_loop()
        call = Call(number, body, dict(request.headers), loop.time())
        self.calls.append(call)
        told = await self.answer(call) if self.answer else None
        self.serial += 1
        status, document = told or (200, {"messages": [{"id": f"wamid.OUT{self.serial}"}]})
        call.ended, call.status = loop.time(), status
        if document is None:
            return web.Response(status=status)
        return web.json_response(document, status=status)

    def to(self, whom: str) -> list[Call]:
        return [call for call in self.calls if call.whom == whom]


@pytest_asyncio.fixture
async def graph() -> AsyncIterator[FakeGraph]:
    fake = FakeGraph()
    app = web.Application()
    app.router.add_post("/v26.0/{number}/messages", fake.handle)
    app.router.add_post("/v26.0/{number}/media", fake.take_file)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    yield fake
    await runner.cleanup()


@pytest.fixture
def number() -> str:
    """A phone number id of this test alone: topics are shared by all tests of a session."""
    return str(uuid.uuid4().int)[:15]


class Harness:
    """Stands where the process stands: runs the loops and tasks that `build` adds, and can stop them."""

    def __init__(self, settings: SenderSettings, pool: asyncpg.Pool, shops: ShopDirectory) -> None:
        self.settings, self.pool, self._shops = settings, pool, shops
        self.runners: list[Runner] = []
        self._running: list[asyncio.Task] = []
        self._others: list[asyncio.Task] = []
        self._stopped = False

    def follow_shops(self) -> ShopDirectory:
        return self._shops

    def add_loop(self, loop):
        runner = Runner(loop, self.pool, Kafka(self.settings.kafka_bootstrap_servers))
        self.runners.append(runner)
        return runner

    def add_task(self, name, task) -> None:
        self._others.append(asyncio.create_task(task, name=name))

    def keep(self, *kept) -> None:
        """Rows of these tests are never old: test_keeping.py has those that are."""

    def add_router(self, router) -> None:
        """What people ask is tested where it is written."""

    def begin(self) -> None:
        self._running = [asyncio.create_task(runner.run()) for runner in self.runners]

    async def start(self) -> None:
        self.begin()
        await until(lambda: all(r.why_not_ready() is None and r.caught_up_since_start() for r in self.runners))

    def check(self) -> None:
        """Raises what ended a loop or a task before its time."""
        if self._stopped:
            return
        for task in (*self._running, *self._others):
            if task.done():
                task.result()

    async def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        for runner in self.runners:
            runner.stop()
        await asyncio.gather(*self._running)
        for task in self._others:
            task.cancel()
        await asyncio.gather(*self._others, return_exceptions=True)


@dataclass
class World:
    """What a test needs to speak with a sender."""

    kafka: str
    graph: FakeGraph
    number: str
    database_url: str
    producer: Producer
    sent: list[Event] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def display(self) -> str:
        return display(self.number)

    def customer(self, name: str) -> Customer:
        return Customer(wa_id=name)

    async def ask(
        self,
        whom: str,
        message: Message | str,
        *,
        event_id: str = "",
        answers_at: datetime | None = None,
        headers: dict | None = None,
        **more,
    ) -> str:
        """Request a message; its id."""
        event_id = event_id or str(uuid.uuid4())
        if isinstance(message, str):
            message = TextMessage(body=message)
        event = MessageRequested(
            phone_number_id=self.number,
            conversation=conversation_of(self.number, whom),
            shop="bakery",
            customer=self.customer(whom),
            message=packed(message),
            answers_at=answers_at or datetime.now(UTC),
            **more,
        )
        await self.publish(event, event_id, headers)
        return event_id

    async def publish(self, event: Event, event_id: str = "", headers: dict | None = None) -> None:
        await self.producer.publish(event, event_id or str(uuid.uuid4()), datetime.now(UTC), "cart", headers or {})

    async def report(self, message_id: str, status: str = "sent", wamid: str = "", **more) -> None:
        wamid = wamid or f"wamid.{message_id}"
        await self.publish(
            DeliveryChanged(self.number, wamid, status, datetime.now(UTC), message_id=message_id, **more)
        )

    async def configure(self) -> None:
        """Put the shop on its topic, for senders that are processes of their own."""
        await self.publish(shop(self.number))

    def results(self, message_id: str) -> list[Event]:
        return [event for event in self.sent if event.message_id == message_id]

    @asynccontextmanager
    async def sender(self, *, started: bool = True, **settings) -> AsyncIterator[Harness]:
        """A sender in this process; `started` waits until it has read what was there."""
        shops = ShopDirectory(self.kafka)
        shops.put(shop(self.number))
        shops.loaded = True
        configured = SenderSettings(
            PANIER_KAFKA_BOOTSTRAP_SERVERS=self.kafka,
            PANIER_ADMIN_TOKEN="admin",
            PANIER_GRAPH_URL=self.graph.url,
            database_url=self.database_url,
            **settings,
        )
        pool = await create_pool(self.database_url)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            harness = Harness(configured, pool, shops)
            build(harness, configured, session)
            if started:
                await harness.start()
            else:
                harness.begin()
            try:
                yield harness
                harness.check()
            finally:
                await harness.stop()
                pool.terminate()

    async def hear(self, whom: str, text: str, owner: str) -> None:
        """A customer's message, as ingest publishes it."""
        wamid = f"wamid.{uuid.uuid4()}"
        event = MessageReceived(
            conversation=conversation_of(self.number, whom),
            phone_number_id=self.number,
            customer=self.customer(whom),
            wamid=wamid,
            at=datetime.now(UTC),
            content=Text(text),
            shop=f"bakery-{self.number}",
        )
        await self.publish(event, inbound_id(self.number, wamid), {"panier_owner": owner})

    async def states(self) -> dict[str, str]:
        """Message id → state, of what the journal holds."""
        db = await asyncpg.connect(self.database_url)
        try:
            rows = await db.fetch("SELECT id, state FROM message WHERE phone_number_id = $1", self.number)
        finally:
            await db.close()
        return {row["id"]: row["state"] for row in rows}

    async def wait_for_state(self, message_id: str, state: str, attempts: int = 1) -> None:
        """Until the journal says so of a message that was claimed that often, at least."""
        db = await asyncpg.connect(self.database_url)
        try:
            async with asyncio.timeout(TIMEOUT):
                while state != await db.fetchval(  # noqa: ASYNC110 (rows cannot be awaited)
                    "SELECT state FROM message WHERE id = $1 AND attempt >= $2", message_id, attempts
                ):
                    await asyncio.sleep(0.02)
        finally:
            await db.close()

    def process(self, **environment: str) -> subprocess.Popen:
        """A sender as a process of its own; what it logs is shown where its test fails."""
        return subprocess.Popen(
            [sys.executable, "-m", "panier_sender"],
            env={
                **os.environ,
                "PANIER_KAFKA_BOOTSTRAP_SERVERS": self.kafka,
                "PANIER_SENDER_DATABASE_URL": self.database_url,
                "PANIER_SENDER_ADMIN_HOST": "127.0.0.1",
                "PANIER_SENDER_ADMIN_PORT": "0",
                "PANIER_ADMIN_TOKEN": "admin",
                "PANIER_GRAPH_URL": self.graph.url,
                **environment,
            },
        )


def display(number: str) -> str:
    return f"+33 {number[:9]}"


def shop(number: str) -> ShopConfigured:
    return ShopConfigured(
        shop=f"bakery-{number}",
        version=1,
        name="Bakery",
        languages=("fr", "en"),
        currency="EUR",
        timezone="Europe/Paris",
        catalog_id="1",
        numbers=(Number(number, display(number), "SENDER_TEST_TOKEN"),),
        collect=True,
        delivery=None,
        payment_provider="simulated",
        expires_after_seconds=1800,
    )


async def _follow(kafka: str, number: str, into: list[Event], ready: asyncio.Event) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="latest", enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition("panier.sent.v1", p) for p in range(12)]
        consumer.assign(partitions)
        await consumer.seek_to_end()
        for partition in partitions:
            await consumer.position(partition)
        ready.set()
        async for record in consumer:
            event = decode(from_wire(record.headers)["ce_type"], record.value)
            if event.phone_number_id == number:
                into.append(event)
    finally:
        await consumer.stop()


@pytest_asyncio.fixture
async def world(kafka, database, graph, number, monkeypatch) -> AsyncIterator[World]:
    monkeypatch.setenv("SENDER_TEST_TOKEN", TOKEN)
    await apply_topics(kafka)
    producer = Producer(kafka, "test")
    found = World(kafka, graph, number, await database("panier_sender"), producer)
    ready = asyncio.Event()
    following = asyncio.create_task(_follow(kafka, number, found.sent, ready))
    await ready.wait()
    yield found
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await producer.stop()


@pytest.fixture
def golden() -> Callable[[str], dict]:
    folder = Path(__file__).parent / "golden"
    return lambda name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
