"""On a real PostgreSQL: a shop's orders, page by page, whole and in order, with one page in memory at most."""

import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from panier_checkout import db, listing
from panier_checkout.documents import order_document
from panier_checkout.listing import LINES, PAGE, orders_answer
from panier_checkout.order import Order
from panier_common.contracts.events import Customer, Fulfilment
from panier_common.postgres import Pool, create_pool

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
COUNT = 2 * PAGE + 7


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("panier_checkout"))
    yield pool
    pool.terminate()


def order(n: int, shop: str = "shop") -> Order:
    """Three at a time are placed at the same moment."""
    return Order(
        f"id-{n:05}-{shop}", f"N-{n}", shop, "100", "100:FR.1", Customer("FR.1"), "paid", "paid", "EUR", (),
        Fulfilment("collect"), 0, 220, 220, NOON + timedelta(minutes=n // 3), "wamid.1", "simulated",
    )  # fmt: skip


async def fill(pool: Pool, count: int) -> list[Order]:
    orders = [order(n) for n in range(count)]
    async with pool.acquire() as connection:
        await db.save_orders(connection, [*orders, order(1, "another shop")])
    return orders


async def read(pool: Pool, since: datetime | None = None, accept: str = "*/*") -> tuple[bytes, int]:
    """The answer and in how many parts it came."""
    answer = await orders_answer(pool, "shop", since, accept)
    parts = [part async for part in answer.body_iterator]
    return b"".join([part for part in parts if isinstance(part, bytes)]), len(parts)


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, COUNT])
async def test_every_order_is_told_once_in_order(pool: Pool, count: int) -> None:
    documents = [order_document(one) for one in await fill(pool, count)]
    whole, parts = await read(pool)
    assert msgspec.json.decode(whole) == documents
    assert parts <= count // PAGE + 2
    lines, _ = await read(pool, accept=LINES)
    assert [msgspec.json.decode(line) for line in lines.splitlines()] == documents


async def test_since_holds_on_every_page(pool: Pool) -> None:
    orders = await fill(pool, COUNT)
    found, _ = await read(pool, orders[100].placed_at)
    assert [one["order_id"] for one in msgspec.json.decode(found)] == [one.order_id for one in orders[99:]]


async def test_memory_does_not_grow_with_the_shop(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 50)
    peaks = []
    for count in (200, 2000):
        await fill(pool, count)
        tracemalloc.start()
        answer = await orders_answer(pool, "shop", None, LINES)
        async for _ in answer.body_iterator:
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5
    async with pool.acquire() as connection:
        await connection.execute("ANALYZE orders")
        plan = await connection.fetch(
            "EXPLAIN SELECT document FROM orders WHERE shop = 'shop' "
            f"AND placed_at >= '{NOON}' ORDER BY placed_at, order_id LIMIT 50"
        )
    assert "orders_of_shop" in "\n".join([row[0] for row in plan])
