"""The cart's loops on a real broker and a real database: repeats, a late catalogue, orders, the internal API."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from panier_cart.cart import Cart
from panier_cart.db import find_cart, load_shown
from panier_cart.loops import conversations, products, shown
from panier_common.contracts.events import (
    Button,
    CheckoutRequested,
    Customer,
    EnquiryRaised,
    Event,
    Fulfilment,
    MessageReceived,
    MessageRequested,
    MessageSent,
    OrderPlaced,
    ProductChanged,
)
from panier_common.contracts.inbound import Content, Context
from panier_common.contracts.outbound import unpacked
from panier_common.event import OWNER, decode, from_wire, inbound_id
from panier_common.kafka import Kafka, Producer, apply_topics
from panier_common.postgres import Pool, create_pool
from panier_common.runner import Runner
from panier_common.topics import CART, OUTBOUND

from .story import NOON, NUMBER, SHOP, Shops, order, press, quantities

WHO = Customer(user_id="FR.77", wa_id="33600000077")
CONVERSATION = f"{NUMBER}:FR.77"


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("panier_cart"))
    yield pool
    pool.terminate()


@asynccontextmanager
async def running(pool: Pool, broker: str) -> AsyncIterator[Runner[Any]]:
    """All loops, working; the one over products is given."""
    loops = (conversations(Shops()), products(), shown())
    runners: list[Runner[Any]] = [Runner(loop, pool, Kafka(broker)) for loop in loops]
    tasks = [asyncio.create_task(runner.run()) for runner in runners]
    try:
        yield runners[1]
    finally:
        for runner in runners:
            runner.stop()
        await asyncio.gather(*tasks)


async def eventually(what: str, look: Callable[[], Awaitable[Any]]) -> Any:
    end = asyncio.get_running_loop().time() + 30
    while not (value := await look()):
        assert asyncio.get_running_loop().time() < end, f"waited in vain for {what}"
        await asyncio.sleep(0.05)
    return value


async def published(broker: str) -> list[Event]:
    """Everything on the cart's and the outbound topic, oldest first in each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic.name, p) for topic in (CART, OUTBOUND) for p in range(12)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        events: list[Event] = []
        while not all([await consumer.position(tp) >= ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                events += [decode(from_wire(r.headers)["ce_type"], r.value) for r in records if r.value]
        return events
    finally:
        await consumer.stop()


async def test_two_items_come_in_once_and_an_order_takes_them_out(kafka: str, pool: Pool) -> None:
    await apply_topics(kafka)
    producer = Producer(kafka, "test")
    sent = 0

    async def say(content: Content, *, times: int = 1, holder: str | None = None) -> str:
        nonlocal sent
        sent += 1
        wamid, at = f"wamid.running.{sent}", NOON + timedelta(seconds=sent)
        context = Context(holder) if holder is not None else None
        message = MessageReceived(CONVERSATION, NUMBER, WHO, wamid, at, content, shop=SHOP, context=context)
        for _ in range(times):
            await producer.publish(message, inbound_id(NUMBER, wamid), at, "ingest", {OWNER: "cart"})
        return wamid

    async def holds(expected: dict[str, int]) -> Cart:
        async def look() -> Cart | None:
            async with pool.acquire() as connection:
                found = await find_cart(connection, NUMBER, "33600000077")
            return found if found is not None and not found.waiting and quantities(found) == expected else None

        return await eventually(f"a cart of {expected}", look)

    async with AsyncExitStack() as stack:
        stack.push_async_callback(producer.stop)
        catalogue = await stack.enter_async_context(running(pool, kafka))
        for sku, price in (("croissant", 140), ("tradition", 130)):
            changed = ProductChanged(SHOP, sku, 1, sku.title(), price, "EUR", sold_out=False)
            await producer.publish(changed, f"product-{sku}", NOON, "catalog")

        async def level() -> bool:
            return catalogue.caught_up_since_start()

        await eventually("the catalogue to be read", level)
        await say(order(("croissant", 4), ("tradition", 2)), times=3)
        first = await holds({"croissant": 4, "tradition": 2})
        assert first.version == 1

        # A button of the day before yesterday, and one of now.
        for wamid, sent_at in (("wamid.old", NOON - timedelta(hours=25)), ("wamid.new", NOON)):
            told = MessageSent(
                CONVERSATION, NUMBER, wamid, wamid, "buttons", sent_at, (Button("cart:fewer:tradition", "Moins"),)
            )
            await producer.publish(told, f"sent-{wamid}", sent_at, "sender")

        async def remembered() -> bool:
            async with pool.acquire() as connection:
                return len((await load_shown(connection, [CONVERSATION])).get(CONVERSATION, b"")) == 24

        await eventually("both messages to be remembered", remembered)
        old = await say(press("cart:fewer:tradition"), holder="wamid.old")
        new = await say(press("cart:fewer:tradition"), holder="wamid.new")
        await holds({"croissant": 4, "tradition": 1})
        again = await say(press("cart:add:tradition"))
        await holds({"croissant": 4, "tradition": 2})

        # A product that is on its way: what comes behind the put-off message waits for it.
        put_off = await say(order(("brioche", 1)))
        behind = await say(press("cart:show"))
        brioche = ProductChanged(SHOP, "brioche", 1, "Brioche", 600, "EUR", sold_out=False)
        await producer.publish(brioche, "product-brioche", NOON, "catalog")
        await holds({"croissant": 4, "tradition": 2, "brioche": 1})

        start = await say(press("checkout:start"))

        async def requested() -> bool:
            return any(isinstance(event, CheckoutRequested) for event in await published(kafka))

        await eventually("checkout to be asked", requested)
        enquiry = EnquiryRaised(
            CONVERSATION, NUMBER, SHOP, WHO, "cart", "Un de plus", "wamid.typed", NOON, "cart:more:croissant"
        )
        await producer.publish(enquiry, "typed-title", NOON, "checkout", {OWNER: "cart"})
        await holds({"croissant": 5, "tradition": 2, "brioche": 1})
        placed = OrderPlaced(
            CONVERSATION, NUMBER, SHOP, WHO, "order-1", "A-1", first.cart_id, 2,
            tuple(line.published() for line in first.lines), "EUR", 0, 820, Fulfilment("collect"),
            "awaiting_payment", "wamid.confirm", NOON,
        )  # fmt: skip
        for _ in range(2):
            await producer.publish(placed, "placed-1", NOON, "checkout")
        left = await holds({"croissant": 1, "brioche": 1})
        assert left.last_order == "order-1"

        async def answered() -> list[Event] | None:
            events = [e for e in await published(kafka) if getattr(e, "conversation", "") == CONVERSATION]
            changes = [e for e in events if type(e).__name__ == "CartChanged"]
            return events if len(changes) == left.version else None

        events = await eventually("every change to be published", answered)
        answers = [e for e in events if isinstance(e, MessageRequested)]
        order_of_answers = [e.answers for e in answers]
        assert order_of_answers == ["wamid.running.1", old, new, again, put_off, behind, "wamid.typed"]
        assert "8,20" in str(unpacked(answers[0].message))
        [request] = [e for e in events if isinstance(e, CheckoutRequested)]
        assert (request.wamid, request.total_minor, request.version) == (start, 1420, 4)
        assert [e.version for e in events if type(e).__name__ == "CartChanged"] == [1, 2, 3, 4, 5, 6]
