"""A customer at the counter: checkout's loops on real engines, other services played by the test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec.structs import replace
from panier_checkout.api import routes
from panier_checkout.desk import Trade
from panier_checkout.loops import conversations_loop, payments_loop
from panier_checkout.merges import merging_dialogues
from panier_checkout.provider_calls import ProviderCalls
from panier_common.contracts import events as e
from panier_common.contracts import inbound as m
from panier_common.event import OWNER, decode, from_wire, inbound_id
from panier_common.kafka import Kafka, Producer, apply_topics
from panier_common.postgres import Pool, create_pool
from panier_common.runner import Runner
from panier_common.topics import COMMAND, DEFAULT_PARTITIONS, ENQUIRY, ORDER, OUTBOUND, TOPICS
from panier_common.web import Server, admin_app
from panier_payments import Provider, Simulated

from .stage import CUSTOMER, LINES, NOON, NUMBER, SHOP, WORDS, FixedShops

LOOPS = ("checkout.conversations", "checkout.payments")


@dataclass
class Counter:
    """One customer at the counter: says things, and reads what checkout published about them.

    `also` is another conversation of theirs.
    """

    producer: Producer
    admin: str
    kafka: str
    pool: Pool
    trade: Trade
    who: str = field(default_factory=lambda: f"FR.{uuid4().hex[:12]}")
    heard: list[e.Event] = field(default_factory=list)
    also: str = ""
    said: int = 0

    @property
    def conversation(self) -> str:
        return f"{NUMBER}:{self.who}"

    async def tell(self, event: e.Event, times: int = 1, owner: str = "") -> None:
        event_id = str(uuid4())
        for _ in range(times):
            await self.producer.publish(event, event_id, NOON, "test", {OWNER: owner} if owner else {})

    async def press(self, reply_id: str, times: int = 1) -> None:
        self.said += 1
        wamid = f"wamid.{self.who}.{self.said}"
        message = e.MessageReceived(
            self.conversation, NUMBER, replace(CUSTOMER, user_id=self.who), wamid, NOON, m.Reply(reply_id), SHOP.shop
        )
        for _ in range(times):
            await self.producer.publish(message, inbound_id(NUMBER, wamid), NOON, "ingest", {OWNER: "checkout"})

    async def checkout(self) -> None:
        customer = replace(CUSTOMER, user_id=self.who)
        await self.tell(
            e.CheckoutRequested(
                self.conversation, NUMBER, SHOP.shop, customer, "cart", 1, LINES, "EUR", 820, NOON, "wamid.start"
            )
        )

    async def pay(self, order_id: str, notification: str, times: int = 1, minor: int = 820) -> None:
        told = e.PaymentNotified("simulated", notification, order_id, "paid", minor, "EUR", NOON)
        await self.tell(told, times)

    def working(self, call_seconds: float = 1.0) -> AbstractAsyncContextManager[ProviderCalls]:
        return working(self.pool, self.kafka, self.trade, call_seconds)

    async def hears(self, kind: type[e.Event], count: int = 1) -> Any:
        """The count-th event of that kind about this customer."""

        async def look() -> Any:
            found = [event for event in self.heard if isinstance(event, kind)]
            return found[count - 1] if len(found) >= count else None

        return await eventually(f"{kind.__name__} number {count}", look)

    async def ask(self, method: str, path: str, key: str = "", **more: Any) -> tuple[int, Any]:
        headers = {"Authorization": "Bearer secret"} | ({"Idempotency-Key": key} if key else {})
        async with (
            aiohttp.ClientSession(headers=headers) as client,
            client.request(method, f"{self.admin}/internal{path}", **more) as response,
        ):
            return response.status, await response.json(content_type=None)


async def eventually(what: str, look: Callable[[], Awaitable[Any]]) -> Any:
    end = asyncio.get_running_loop().time() + 60
    while not (value := await look()):
        assert asyncio.get_running_loop().time() < end, f"waited in vain for {what}"
        await asyncio.sleep(0.02)
    return value


async def listen(broker: str, counter: Counter) -> None:
    consumer = AIOKafkaConsumer(
        ORDER.name,
        OUTBOUND.name,
        COMMAND.name,
        ENQUIRY.name,
        bootstrap_servers=broker,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        async for record in consumer:
            try:
                event = decode(from_wire(record.headers).get("ce_type", ""), record.value or b"")
            except ValueError:
                continue  # another test's poison: the broker is shared
            if getattr(event, "conversation", "") in (counter.conversation, counter.also):
                counter.heard.append(event)
    finally:
        await consumer.stop()


@asynccontextmanager
async def working(pool: Pool, kafka: str, trade: Trade, call_seconds: float) -> AsyncIterator[ProviderCalls]:
    """One process's loops and its calls of providers."""
    calls = ProviderCalls(pool, trade.providers, call_seconds)
    loops = (merging_dialogues(conversations_loop(trade, calls)), payments_loop())
    runners: list[Runner[Any]] = [Runner(loop, pool, Kafka(kafka)) for loop in loops]
    tasks = [asyncio.create_task(runner.run()) for runner in runners]
    calling = asyncio.create_task(calls.run(runners[0].submit))
    try:
        yield calls
    finally:
        for runner in runners:
            runner.stop()
        await asyncio.gather(*tasks)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)


async def read_on_from_now(pool: Pool, kafka: str) -> None:
    """The broker is shared: what other tests told is not this one's to decide on."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    try:
        await consumer.start()
        names = [topic.name for topic in TOPICS]
        places = [TopicPartition(name, p) for name in names for p in range(DEFAULT_PARTITIONS)]
        ends = await consumer.end_offsets(places)
    finally:
        await consumer.stop()
    async with pool.acquire() as connection:
        await connection.executemany(
            "INSERT INTO position (loop, topic, partition, next_offset) VALUES ($1, $2, $3, $4)",
            [(loop, *place, end) for place, end in ends.items() for loop in LOOPS],
        )


@asynccontextmanager
async def opened(
    kafka: str, url: str, *, seconds: float = 60.0, provider: Provider | None = None
) -> AsyncIterator[Counter]:
    """A counter with its listener and admin port; nothing works behind it until `working` is entered.

    The shop gives so many seconds to pay.
    """
    await apply_topics(kafka)
    pool = await create_pool(url)
    await read_on_from_now(pool, kafka)
    takes: Mapping[str, Provider] = {one.name: one for one in (provider or Simulated("http://localhost:8070/pay"),)}
    shop = replace(SHOP, expires_after_seconds=seconds, payment_provider=next(iter(takes)))
    trade = Trade(FixedShops({SHOP.shop: shop}), WORDS, takes)
    producer = Producer(kafka, "test-checkout")
    app, internal = admin_app("checkout", "1", "secret", lambda: None, dict)
    internal.include_router(routes(pool, producer, trade.shops))
    app.include_router(internal)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(app, "127.0.0.1", port)
    await server.start()
    one = Counter(producer, f"http://127.0.0.1:{port}", kafka, pool, trade)
    listening = asyncio.create_task(listen(kafka, one))
    try:
        yield one
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await server.stop()
        await producer.stop()
        pool.terminate()


async def placed(counter: Counter) -> e.OrderPlaced:
    await counter.checkout()
    await counter.hears(e.MessageRequested, 1)
    await counter.press("checkout:collect", times=2)
    await counter.hears(e.MessageRequested, 2)
    await counter.press("checkout:confirm", times=3)
    asked = await counter.hears(e.StockRequested)
    await counter.tell(e.StockReserved(counter.conversation, SHOP.shop, asked.order_id, NOON), times=2)
    order = await counter.hears(e.OrderPlaced)
    assert order.order_id == asked.order_id
    return order
