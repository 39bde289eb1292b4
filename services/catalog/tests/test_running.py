"""The catalogue as a process of its own, on a real broker and a real database: from an empty shop to an answer."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession
from aiokafka import AIOKafkaConsumer, TopicPartition
from panier_common.contracts.events import (
    Event,
    MessageRequested,
    ProductChanged,
    ShopConfigured,
    StockRefused,
    StockReserved,
)
from panier_common.contracts.outbound import unpacked
from panier_common.event import OWNER, decode, from_wire, inbound_id
from panier_common.kafka import Producer, apply_topics
from panier_common.topics import OUTBOUND, PRODUCT, SHOP, STOCK

from .story import NOON, NUMBER, enquires, feed_text, request, row, says
from .story import SHOP as GARDEN

FILE = f"""
[[shop]]
id = "{GARDEN}"
name = "Le Jardin d'Ada"
languages = ["fr", "en"]
currency = "EUR"
timezone = "Europe/Paris"
catalog_id = "77"
catalogue = "catalogue.csv"
[[shop.number]]
phone_number_id = "{NUMBER}"
display = "+33 1 00 00 00 99"
access_token_env = "GARDEN_TOKEN"
"""


async def eventually(what: str, look: Callable[[], Awaitable[Any]]) -> Any:
    end = asyncio.get_running_loop().time() + 60
    while not (value := await look()):
        assert asyncio.get_running_loop().time() < end, f"waited in vain for {what}"
        await asyncio.sleep(0.05)
    return value


async def published(broker: str) -> list[Event]:
    """What was told of this test's shop: other tests use the same broker."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(t.name, p) for t in (OUTBOUND, PRODUCT, SHOP, STOCK) for p in range(12)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        events: dict[str, Event] = {}
        while not all([await consumer.position(tp) >= ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                for record in records:
                    headers = from_wire(record.headers)
                    # An outbox may publish twice, in order and under the same ids: readers drop the second.
                    if record.value and headers["ce_id"] not in events:
                        events[headers["ce_id"]] = decode(headers["ce_type"], record.value)
        return [event for event in events.values() if getattr(event, "shop", None) == GARDEN]
    finally:
        await consumer.stop()


@contextlib.asynccontextmanager
async def process(broker: str, database: str, shops: Path) -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
    """The service, started as people start it; its /readyz is given. It drains on SIGTERM."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": broker,
        "PANIER_CATALOG_DATABASE_URL": database,
        "PANIER_CATALOG_ADMIN_HOST": "127.0.0.1",
        "PANIER_CATALOG_ADMIN_PORT": str(port),
        "PANIER_ADMIN_TOKEN": "token",
        "PANIER_SHOPS": str(shops),
    }
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "panier_catalog", env=environment)

    async def readiness() -> dict[str, Any]:
        assert child.returncode is None, f"the catalogue ended with {child.returncode}"
        async with ClientSession() as session:
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                    document: dict[str, Any] = await response.json()
                    return document
            except ClientError:
                return {"ready": False, "why": "not listening"}

    try:
        yield readiness
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), 20) == 0


@pytest.mark.timeout(180)
async def test_from_a_shops_file_to_an_answer_and_a_reservation(
    kafka: str, database: Callable[[str], Awaitable[str]], tmp_path: Path
) -> None:
    await apply_topics(kafka)
    shops = tmp_path / "shops.toml"
    shops.write_text(FILE.replace("EUR", "EURO"))
    (tmp_path / "catalogue.csv").write_text(feed_text(row("spade", quantity="1"), row("rake", "Râteau", quantity="3")))
    producer = Producer(kafka, "test")
    async with process(kafka, await database("panier_catalog"), shops) as readiness:

        async def says_the_fault() -> bool:
            return "shop[0].currency" in ((await readiness()).get("why") or "")

        await eventually("the fault to be told", says_the_fault)
        shops.write_text(FILE)

        async def ready() -> bool:
            return bool((await readiness())["ready"])

        await eventually("the catalogue to be ready", ready)
        told = await published(kafka)
        assert {e.sku for e in told if isinstance(e, ProductChanged)} == {"spade", "rake"}, "ready before others know"
        assert [e.shop for e in told if isinstance(e, ShopConfigured)] == [GARDEN]
        hello, search = says("menu"), enquires("des rateaux ?")
        await producer.publish(hello, inbound_id(NUMBER, hello.wamid), NOON, "ingest", {OWNER: "catalog"})
        await producer.publish(hello, inbound_id(NUMBER, hello.wamid), NOON, "ingest", {OWNER: "catalog"})
        await producer.publish(says("panier"), inbound_id(NUMBER, "w-cart"), NOON, "ingest", {OWNER: "cart"})
        await producer.publish(search, "enquiry-1", NOON, "checkout", {OWNER: "catalog"})
        for order in ("o1", "o2"):
            await producer.publish(request(order, ("spade", 1)), f"request-{order}", NOON, "checkout")

        async def answered() -> list[Event] | None:
            events = await published(kafka)
            told = [e for e in events if isinstance(e, ProductChanged) and e.sku == "spade"]
            sent = [e for e in events if isinstance(e, MessageRequested)]
            configured = [e for e in events if isinstance(e, ShopConfigured)]
            return events if len(sent) >= 3 and len(told) >= 2 and configured else None

        events = await eventually("answers, stock and the sold out spade", answered)
    await producer.stop()
    events = await published(kafka)
    kinds = [unpacked(e.message).kind for e in events if isinstance(e, MessageRequested)]
    assert sorted(kinds) == ["buttons", "catalogue", "product_list"]
    assert [e.shop for e in events if isinstance(e, ShopConfigured)] == [GARDEN]
    assert [type(e) for e in events if isinstance(e, StockReserved | StockRefused)] == [StockReserved, StockRefused]
    spade = [(e.version, e.sold_out) for e in events if isinstance(e, ProductChanged) and e.sku == "spade"]
    assert spade == [(1, False), (2, True)]
