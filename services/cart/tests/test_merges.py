"""A cart that goes on in another conversation: on a real broker and database, and its rules by property."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panier_cart.cart import Cart, CartLine
from panier_cart.db import find_cart
from panier_cart.loops import products
from panier_cart.merges import merging_conversations
from panier_cart.moving import joined, left_behind
from panier_common.contracts.events import ConversationMerged, Customer, MessageReceived, ProductChanged
from panier_common.event import OWNER, inbound_id
from panier_common.kafka import Kafka, Producer, apply_topics
from panier_common.postgres import Pool, create_pool
from panier_common.runner import Runner

from .story import NOON, NUMBER, SHOP, Shops, order, quantities

FIRST, SECOND, THIRD = "FR.900000077", "FR.500000077", "FR.100000077"
PHONE = "33600000078"


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("panier_cart"))
    yield pool
    pool.terminate()


@asynccontextmanager
async def running(pool: Pool, broker: str) -> AsyncIterator[Runner[Any]]:
    """What is yielded reads the catalogue."""
    runners: list[Runner[Any]] = [
        Runner(loop, pool, Kafka(broker)) for loop in (merging_conversations(Shops()), products())
    ]
    tasks = [asyncio.create_task(runner.run()) for runner in runners]
    try:
        yield runners[1]
    finally:
        for runner in runners:
            runner.stop()
        await asyncio.gather(*tasks)


class Customers:
    """Says things as a door would that knows, or does not know yet, which ids are one."""

    def __init__(self, producer: Producer, pool: Pool) -> None:
        self.producer = producer
        self.pool = pool

    async def says(self, n: int, user: str, key: str, sku: str, quantity: int) -> None:
        wamid, at = f"wamid.merges.{n}", NOON + timedelta(seconds=n)
        who = Customer(user_id=user, wa_id=PHONE)
        message = MessageReceived(f"{NUMBER}:{key}", NUMBER, who, wamid, at, order((sku, quantity)), shop=SHOP)
        await self.producer.publish(message, inbound_id(NUMBER, wamid), at, "ingest", {OWNER: "cart"})

    async def become_one(self, ended: str, into: str) -> None:
        merged = ConversationMerged(f"{NUMBER}:{ended}", f"{NUMBER}:{into}", NUMBER, Customer(ended, PHONE), NOON)
        await self.producer.publish(merged, f"{ended}{into}", NOON, "ingest")

    async def hold(self, customer: str, expected: dict[str, int]) -> Cart:
        end = asyncio.get_running_loop().time() + 30
        while True:
            async with self.pool.acquire() as connection:
                found = await find_cart(connection, NUMBER, customer)
            if found is not None and not found.waiting and quantities(found) == expected:
                return found
            assert asyncio.get_running_loop().time() < end, f"waited in vain for {expected}, not {found}"
            await asyncio.sleep(0.05)


async def test_a_merged_cart_keeps_every_line_whoever_is_late(kafka: str, pool: Pool) -> None:
    await apply_topics(kafka)
    producer = Producer(kafka, "test")
    who = Customers(producer, pool)
    async with running(pool, kafka) as catalogue:
        for sku, price in (("croissant", 140), ("tradition", 130)):
            await producer.publish(ProductChanged(SHOP, sku, 1, sku, price, "EUR", False), sku, NOON, "catalog")
        async with asyncio.timeout(60):
            while not catalogue.caught_up_since_start():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await who.says(1, FIRST, FIRST, "croissant", 2)
        await who.hold(FIRST, {"croissant": 2})
        for _ in range(3):
            await who.become_one(FIRST, SECOND)
        moved = await who.hold(SECOND, {"croissant": 2})
        assert moved.conversation == f"{NUMBER}:{SECOND}"
        # A door that does not know yet sends to the old home; Meta repeats to the new one what the old one took.
        await who.says(2, FIRST, FIRST, "tradition", 1)
        await who.hold(SECOND, {"croissant": 2, "tradition": 1})
        await who.says(1, FIRST, SECOND, "croissant", 2)
        await who.says(2, FIRST, SECOND, "tradition", 1)
        await who.says(3, SECOND, SECOND, "croissant", 1)
        await who.hold(SECOND, {"croissant": 3, "tradition": 1})
        # And on to a third, told in the wrong order: what is late goes the whole way.
        await who.become_one(FIRST, THIRD)
        await who.become_one(SECOND, THIRD)
        await who.become_one(FIRST, SECOND)
        await who.hold(THIRD, {"croissant": 3, "tradition": 1})
        await who.says(4, FIRST, FIRST, "tradition", 1)
        cart = await who.hold(PHONE, {"croissant": 3, "tradition": 2})
        assert cart.conversation == f"{NUMBER}:{THIRD}"
        assert (await who.hold(FIRST, {"croissant": 3, "tradition": 2})).conversation == cart.conversation
        async with pool.acquire() as connection:
            assert await connection.fetchval("SELECT count(*) FROM dead_letter") == 0
    await producer.stop()


LINES = st.lists(
    st.builds(CartLine, st.sampled_from("abc"), st.just("title"), st.integers(1, 60), st.just(100), st.integers(1, 5)),
    unique_by=lambda line: line.sku,
    max_size=3,
).map(tuple)
CARTS = st.builds(
    Cart,
    st.just("100:FR.2"),
    st.just("100"),
    st.just(SHOP),
    st.just(Customer("FR.2", "336")),
    st.just("EUR"),
    st.sampled_from(["one", "two"]),
    st.integers(5, 9),
    LINES,
)


@given(st.none() | CARTS, CARTS)
def test_no_line_is_lost_and_versions_only_grow(mine: Cart | None, theirs: Cart) -> None:
    after = joined(mine, theirs, "100:FR.1", NOON)
    for sku in "abc":
        wanted = sum(line.quantity for cart in (mine, theirs) if cart for line in cart.lines if line.sku == sku)
        assert sum(line.quantity for line in after.lines if line.sku == sku) == min(wanted, 99)
    assert after.version >= (mine.version if mine else 0)
    assert after.conversation == (mine.conversation if mine else "100:FR.1")
    if mine is None or not mine.lines:
        assert after.lines == theirs.lines
        assert after.cart_id == theirs.cart_id or not theirs.lines  # an order under way finds its lines
    assert left_behind(theirs, Customer("FR.2", "336")).lines == ()
