"""Checkout's loops and internal API on a real broker and a real database, other services played by the test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer
from msgspec.structs import replace
from panier_checkout.api import routes
from panier_checkout.desk import Trade
from panier_checkout.loops import conversations_loop, payments_loop
from panier_common.contracts import events as e
from panier_common.contracts import inbound as m
from panier_common.event import OWNER, decode, from_wire, inbound_id
from panier_common.kafka import Producer, apply_topics
from panier_common.postgres import Pool, create_pool
from panier_common.runner import Runner
from panier_common.topics import COMMAND, ENQUIRY, ORDER, OUTBOUND
from panier_common.web import Server, admin_app
from panier_payments import Simulated

from .stage import CUSTOMER, LINES, NOON, NUMBER, SHOP, WORDS, FixedShops


@dataclass
class Counter:
    """One customer at the counter: says things, and reads what checkout published about them."""

    producer: Producer
    admin: str
    who: str = field(default_factory=lambda: f"FR.{uuid4().hex[:12]}")
    heard: list[e.Event] = field(default_factory=list)
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
    end = asyncio.get_running_loop().time() + 30
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
            if getattr(event, "conversation", "") == counter.conversation:
                counter.heard.append(event)
    finally:
        await consumer.stop()


@pytest.fixture
async def counter(kafka: str, database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Counter]:
    """Both loops and the admin port, running; the shop gives 5 s to pay."""
    await apply_topics(kafka)
    pool: Pool = await create_pool(await database("panier_checkout"))
    shops = FixedShops({SHOP.shop: replace(SHOP, expires_after_seconds=5.0)})
    trade = Trade(shops, WORDS, {"simulated": Simulated("http://localhost:8070/pay")})
    producer = Producer(kafka, "test-checkout")
    runners: list[Runner[Any]] = [Runner(x, pool, kafka) for x in (conversations_loop(trade), payments_loop())]
    app, internal = admin_app("checkout", "1", "secret", lambda: None, dict)
    internal.include_router(routes(pool, producer, shops))
    app.include_router(internal)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(app, "127.0.0.1", port)
    await server.start()
    one = Counter(producer, f"http://127.0.0.1:{port}")
    working = [asyncio.create_task(runner.run()) for runner in runners]
    listening = asyncio.create_task(listen(kafka, one))
    yield one
    listening.cancel()
    for runner in runners:
        runner.stop()
    await asyncio.gather(*working)
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


async def test_an_order_is_placed_paid_once_advanced_and_shown(counter: Counter) -> None:
    order = await placed(counter)
    await counter.pay(order.order_id, "n-wrong", minor=1)
    await counter.pay(order.order_id, "n-1", times=3)
    paid = await counter.hears(e.OrderPaid)
    assert paid.paid_minor == 820
    status, document = await counter.ask("GET", "/orders", params={"shop": SHOP.shop})
    assert status == 200
    (listed,) = document
    assert listed["caused_by"] == f"wamid.{counter.who}.2"
    assert (listed["state"], listed["payment_state"], listed["paid_minor"]) == ("paid", "paid", 820)
    assert listed["customer"] == {"user_id": counter.who, "wa_id": "33600000001"}
    assert listed["lines"][0]["total_minor"] == 560
    assert listed["fulfilment"] == {"way": "collect", "address": None}
    assert listed["placed_at"].endswith("Z")

    path = f"/orders/{order.number}/advance"
    for _ in range(2):
        status, shown = await counter.ask("POST", path, "key-1", json={"state": "ready"})
        assert (status, shown["state"]) == (200, "ready")
    assert [step["what"] for step in shown["history"]] == [
        "placed",
        "payment_problem: wrong_amount",
        "paid",
        "ready",
    ]
    assert shown["payment_problem"]["minor"] == 1
    status, problem = await counter.ask("POST", path, "key-2", json={"state": "accepted"})
    assert (status, problem["code"]) == (409, "unlawful_move")
    assert "completed" in problem["hint"]
    status, shown = await counter.ask("POST", f"/orders/{order.order_id}/refund", "key-3")
    assert (status, shown["state"], shown["payment_state"]) == (200, "refunded", "refunded")
    assert [type(event) for event in counter.heard].count(e.OrderPaid) == 1
    assert [type(event) for event in counter.heard].count(e.OrderPlaced) == 1


async def test_an_unpaid_order_expires_and_late_money_is_kept(counter: Counter) -> None:
    order = await placed(counter)
    expired = await counter.hears(e.OrderExpired)
    assert expired.order_id == order.order_id
    late, lost = f"late-{counter.who}", f"lost-{counter.who}"
    await counter.pay(order.order_id, late)
    await counter.pay("nobody's", lost)

    async def kept() -> Any:
        _, problems = await counter.ask("GET", "/payment-problems")
        reasons = {problem["notification_id"]: problem["reason"] for problem in problems}
        return (reasons[late], reasons[lost]) if {late, lost} <= reasons.keys() else None

    assert await eventually("both problems", kept) == ("expired", "unknown_order")
    _, shown = await counter.ask("GET", f"/orders/{order.order_id}")
    assert (shown["state"], shown["paid_minor"]) == ("expired", 0)
    assert shown["payment_problem"]["notification_id"] == late


async def test_refusals_are_problems_with_a_way_on(counter: Counter) -> None:
    for method, path, key, status, code in (
        ("GET", "/orders?shop=nobody", "", 404, "no_such_shop"),
        ("GET", "/orders", "", 400, "invalid"),
        ("GET", "/orders/nobody", "", 404, "no_such_order"),
        ("POST", "/orders/nobody/cancel", "k", 404, "no_such_order"),
        ("POST", "/orders/nobody/cancel", "", 400, "no_key"),
        ("POST", "/orders/nobody/explode", "k", 400, "invalid"),
    ):
        got, problem = await counter.ask(method, path, key)
        assert (got, problem["code"]) == (status, code)
        assert problem["hint"]
    order = await placed(counter)
    path = f"/orders/{order.order_id}/advance"
    status, problem = await counter.ask("POST", path, "k", json={"state": "eaten"})
    assert (status, problem["code"]) == (400, "no_such_state")
    assert "completed" in problem["hint"]
