"""The worker as its own process over a real broker: what it counts, also when it is killed on the way."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from panier_common.contracts import events as e
from panier_common.event import SEQUENCE, caused_id, cloud_headers, decode, encode, to_wire
from panier_common.kafka import apply_topics, partition_of
from panier_common.topics import CHANGELOGS, DEFAULT_PARTITIONS, SALES, TOPIC_OF, key_of

pytestmark = pytest.mark.timeout(400)

SHOP = f"boulangerie-{uuid4().hex[:8]}"  # the broker may be shared with other tests
DAY = "2026-11-23"
AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LATER = AT + timedelta(days=14)
NUMBER = "106540352242922"
PURCHASES = 500
ALL = 3000
SESSION_SECONDS = 10
TOKEN = "a-token-for-tests"
LINES = (e.Line("CRO-1", "Croissant", 3, 160),)


class Journal:
    """Publishes as the runner does: `panier_seq` per loop and home, counted per producer."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._last: dict[tuple[str, int], int] = {}
        self.sent: list[tuple[str, bytes, bytes, list[tuple[str, bytes]], int]] = []

    async def publish(self, loop: str, *events: e.Event) -> None:
        for event in events:
            key = key_of(event)
            home = partition_of(key, DEFAULT_PARTITIONS)
            n = self._last[loop, home] = self._last.get((loop, home), 0) + 1
            headers = cloud_headers(event, caused_id("test", f"{home}/{n}", event.ce_type, 0), loop, AT)
            headers[SEQUENCE] = f"{loop}/{home}/{n}"
            record = (TOPIC_OF[type(event)].name, key.encode(), encode(event), to_wire(headers), home)
            self.sent.append(record)
            await self._send(*record)
        await self._producer.flush()

    async def publish_late(self, number: int) -> None:
        """What a former owner still held: records published before, once more."""
        for record in random.Random(7).sample(self.sent, number):
            await self._send(*record)
        await self._producer.flush()

    async def _send(self, topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]], home: int) -> None:
        await self._producer.send(topic, value, key=key, headers=headers, partition=home)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def journal(kafka: str) -> AsyncIterator[Journal]:
    await apply_topics(kafka)
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    journal = Journal(producer)
    await journal.publish("catalog.shops", _shop())
    yield journal
    await producer.stop()


def _shop() -> e.ShopConfigured:
    return e.ShopConfigured(
        shop=SHOP,
        version=1,
        name="Boulangerie du Port",
        languages=("fr", "en"),
        currency="EUR",
        timezone="Europe/Paris",
        catalog_id="194836987003835",
        numbers=(e.Number(NUMBER, "+33 6 12 34 56 78", "TOKEN"),),
        collect=True,
        delivery=None,
        payment_provider="simulated",
        expires_after_seconds=1800,
    )


class Sales:
    """The service's process."""

    def __init__(self, kafka: str, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._environment = {
            **os.environ,
            "PANIER_KAFKA_BOOTSTRAP_SERVERS": kafka,
            "PANIER_ADMIN_TOKEN": TOKEN,
            "PANIER_SALES_ADMIN_HOST": "127.0.0.1",
            "PANIER_SALES_ADMIN_PORT": str(self.port),
            "PANIER_SALES_STALL_SECONDS": "15",
        }
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "panier_sales"], env=self._environment, stdout=log, stderr=log
            )

    def keep(self) -> None:
        """As whoever keeps it does: start it anew when it found itself standing still, and for nothing else."""
        if self.process is not None and self.process.poll() is not None:
            assert "StandsStillError" in self.log.read_text(), "it ended by itself"
            self.start()

    def tell(self, sign: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(sign)

    def end(self, sign: signal.Signals, seconds: float = 20) -> int:
        assert self.process is not None
        self.process.send_signal(sign)
        return self.process.wait(seconds)

    async def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
                return await answer.json()
        except aiohttp.ClientConnectionError:
            return {}

    async def sales(self) -> dict[str, Any]:
        document: dict[str, Any] = await self.get(f"/internal/sales?shop={SHOP}&day={DAY}")
        return document

    async def paid(self) -> int:
        return int((await self.sales()).get("funnel", {}).get("paid", -1))

    async def is_ready(self) -> bool:
        return bool((await self.get("/readyz")).get("ready", False))


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 150) -> None:
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 (another process is asked)
            await asyncio.sleep(0.1)


@pytest.fixture
def sales(kafka: str, tmp_path: Path) -> Iterator[Sales]:
    service = Sales(kafka, tmp_path / "sales.log")
    yield service
    if service.process is not None and service.process.poll() is None:
        service.process.kill()
        service.process.wait()


def purchase(n: int) -> tuple[list[e.Event], list[e.Event]]:
    """One customer's events: (the cart's, checkout's). What they come to is `minor(n)`."""
    conversation, customer = f"{NUMBER}:FR.{n}", e.Customer(user_id=f"FR.{n}")
    cart = e.CartChanged(conversation, NUMBER, SHOP, customer, f"c{n}", 1, LINES, "EUR", minor(n), AT)
    request = e.CheckoutRequested(
        conversation, NUMBER, SHOP, customer, f"c{n}", 1, LINES, "EUR", minor(n), AT, f"wamid.{n}"
    )
    placed = e.OrderPlaced(
        conversation=conversation,
        phone_number_id=NUMBER,
        shop=SHOP,
        customer=customer,
        order_id=f"o{n}",
        number=f"B-{n}",
        cart_id=f"c{n}",
        cart_version=1,
        lines=LINES,
        currency="EUR",
        fees_minor=0,
        total_minor=minor(n),
        fulfilment=e.Fulfilment("collect"),
        state="awaiting_payment",
        caused_by=f"wamid.{n}",
        placed_at=AT,
    )
    paid = e.OrderPaid(conversation, SHOP, f"o{n}", "EUR", minor(n), LINES, AT)
    return [cart, request], [placed, paid]


def minor(n: int) -> int:
    return 480 + n % 97


def document(count: int) -> dict[str, Any]:
    revenue = sum(map(minor, range(count)))
    return {
        "shop": SHOP,
        "day": DAY,
        "timezone": "Europe/Paris",
        "currencies": [
            {
                "currency": "EUR",
                "revenue_minor": revenue,
                "orders": count,
                "items": 3 * count,
                "average_minor": (2 * revenue + count) // (2 * count),
            }
        ],
        "funnel": {"carts": count, "checkouts": count, "placed": count, "paid": count},
    }


@asynccontextmanager
async def shopping(journal: Journal, start: int, end: int) -> AsyncIterator[None]:
    """Customers buy while the body runs; it ends when all have."""

    async def buy() -> None:
        for n in range(start, end):
            carts, orders = purchase(n)
            await journal.publish("cart.conversations", *carts)
            await journal.publish("checkout.conversations", *orders)

    task = asyncio.create_task(buy())
    yield
    await task


async def test_counts_to_the_cent_through_a_kill(kafka: str, journal: Journal, sales: Sales) -> None:
    sales.start()
    await until(sales.is_ready)
    async with shopping(journal, 0, PURCHASES):
        await until(lambda: _has_counted(sales, 100))
        counted = await sales.paid()
        sales.end(signal.SIGKILL)
    assert 0 < counted < PURCHASES, "the kill was to come in the middle of the work"
    sales.start()
    await until(sales.is_ready)
    await journal.publish_late(300)
    await until(lambda: _is_level(sales))
    assert await sales.sales() == document(PURCHASES)
    await until(lambda: _is_published(kafka))
    assert sales.end(signal.SIGTERM) == 0
    _only_json(sales.log)


async def test_what_was_counted_is_there_after_a_restart(journal: Journal, sales: Sales) -> None:
    sales.start()
    await until(sales.is_ready)
    before = await sales.sales()
    assert before == document(PURCHASES)
    everything = await sales.get(f"/internal/sales/days?shop={SHOP}")
    assert everything == [before]


async def test_counts_to_the_cent_through_a_stop_longer_than_its_session(journal: Journal, sales: Sales) -> None:
    """Woken up, it works on what it has until it learns that others have its partitions, and takes them over anew."""
    sales.start()
    await until(sales.is_ready)
    async with shopping(journal, PURCHASES, ALL):
        await until(lambda: _has_counted(sales, PURCHASES + 100))
        sales.tell(signal.SIGSTOP)
        await asyncio.sleep(SESSION_SECONDS + 2)
        sales.tell(signal.SIGCONT)
        await until(sales.is_ready)
    await until(lambda: _has_counted(sales, ALL))  # for a moment it tells how it stood before the stop
    await until(lambda: _is_level(sales))
    assert await sales.sales() == document(ALL)


async def test_a_closed_day_counts_nothing_twice_after_a_kill(kafka: str, journal: Journal, sales: Sales) -> None:
    sales.start()
    await until(sales.is_ready)
    later = [e.OrderPaid(f"{NUMBER}:FR.{n}", SHOP, f"p{n}", "EUR", 480, LINES, LATER) for n in range(100)]
    values: dict[bytes, bytes] = {}
    async with AIOKafkaConsumer(CHANGELOGS[0].name, bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:

        async def all_closed() -> bool:
            await journal.publish("checkout.conversations", *later)
            for records in (await consumer.getmany(timeout_ms=500)).values():
                values.update((r.key, r.value) for r in records if f"|{DAY}|{SHOP}".encode() in r.key)
            return len(values) == DEFAULT_PARTITIONS and not any(b"seen" in value for value in values.values())

        await until(all_closed)
    sales.end(signal.SIGKILL)
    sales.start()
    await until(sales.is_ready)
    await journal.publish_late(300)
    await until(lambda: _is_level(sales))
    assert await sales.sales() == document(ALL)


async def test_an_unknown_shop_is_refused_with_those_there_are(journal: Journal, sales: Sales) -> None:
    sales.start()
    await until(sales.is_ready)
    problem = await sales.get("/internal/sales?shop=boulangerei")
    assert (problem["status"], problem["code"]) == (404, "no_such_shop")
    assert SHOP in problem["hint"]


async def _has_counted(sales: Sales, paid: int) -> bool:
    sales.keep()
    return await sales.paid() >= paid


async def _is_published(kafka: str) -> bool:
    """The last snapshot on the topic says what the API says."""
    consumer = AIOKafkaConsumer(SALES.name, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        found = await consumer.getmany(timeout_ms=2000, max_records=10_000)
    finally:
        await consumer.stop()
    snapshots = [decode(e.SalesCounted.ce_type, r.value) for records in found.values() for r in records]
    ours = [s for s in snapshots if isinstance(s, e.SalesCounted) and s.shop == SHOP]
    sold = e.SalesOfCurrency("EUR", sum(map(minor, range(PURCHASES))), PURCHASES, 3 * PURCHASES)
    return bool(ours) and ours[-1].currencies == (sold,) and ours[-1].paid == PURCHASES


async def _is_level(sales: Sales) -> bool:
    """Every record was counted and committed, as the broker tells it."""
    sales.keep()
    status = await sales.get("/status")
    lag = status.get("lag", {})
    return bool(status.get("ready")) and len(lag) == 2 and not any(one["records"] for one in lag.values())


def _only_json(log: Path) -> None:
    lines = log.read_text("utf-8").splitlines()
    assert lines
    assert not [line for line in lines if not line.startswith("{")]
