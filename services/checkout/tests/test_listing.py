"""On a real PostgreSQL: a shop's orders, page by page, whole and in order, with one page in memory at most."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
import pytest
from panier_checkout import db, listing
from panier_checkout.decision import Step
from panier_checkout.documents import order_document, order_with_steps
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


async def read(
    pool: Pool, since: datetime | None = None, accept: str = "*/*", history: bool = False
) -> tuple[bytes, int]:
    """The answer and in how many parts it came."""
    answer = await orders_answer(pool, "shop", since, accept, history)
    parts = [part async for part in answer.body_iterator]
    return b"".join([part for part in parts if isinstance(part, bytes)]), len(parts)


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, COUNT])
async def test_every_order_is_told_once_in_order(pool: Pool, count: int) -> None:
    documents = [order_document(one) for one in await fill(pool, count)]
    whole, parts = await read(pool)
    assert msgspec.json.decode(whole) == documents
    assert not [one for one in documents if "history" in one or one["provider"] != "simulated"]
    assert parts <= count // PAGE + 2
    lines, _ = await read(pool, accept=LINES)
    assert [msgspec.json.decode(line) for line in lines.splitlines()] == documents


async def test_since_holds_on_every_page(pool: Pool) -> None:
    orders = await fill(pool, COUNT)
    found, _ = await read(pool, orders[100].placed_at)
    assert [one["order_id"] for one in msgspec.json.decode(found)] == [one.order_id for one in orders[99:]]


async def test_with_their_history_orders_tell_what_they_tell_on_their_own(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 3)
    orders = await fill(pool, 7)
    steps = [Step(one.order_id, NOON + timedelta(minutes=n), what, "customer")
             for n, what in enumerate(["placed", "paid", "ready"]) for one in orders[1:]]  # fmt: skip
    async with pool.acquire() as connection:
        await db.add_history(connection, steps)
    expected = [order_with_steps(one, [step for step in steps if step.order_id == one.order_id]) for one in orders]
    whole, _ = await read(pool, history=True)
    told = msgspec.json.decode(whole)
    assert told == expected
    assert [[step["what"] for step in one["history"]] for one in told] == [[], *[["placed", "paid", "ready"]] * 6]
    lines, _ = await read(pool, accept=LINES, history=True)
    assert [msgspec.json.decode(line) for line in lines.splitlines()] == expected


async def test_a_page_with_its_history_is_two_statements(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 50)
    await fill(pool, 149)
    statements: list[str] = []

    class OfOne:
        @asynccontextmanager
        async def acquire(self) -> AsyncIterator[object]:
            yield connection

    async with pool.acquire() as connection:
        await connection.fetch("SELECT $1::text[]", ["asyncpg asks for the types of an array once a connection"])
        with connection.query_logger(lambda logged: statements.append(logged.query)):
            answer = await orders_answer(cast(Pool, OfOne()), "shop", None, LINES, history=True)
            async for _ in answer.body_iterator:
                pass
            await asyncio.sleep(0)  # the log is told in the loop's next turn
    assert len(statements) == 2 * 3


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
