"""The cart's rows on a real PostgreSQL, and how many statements a batch costs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from panier_cart.cart import CartLine, Product
from panier_cart.db import delete_products, find_cart, load_carts, load_products, save_carts, save_products
from panier_cart.loops import conversations, products
from panier_common.contracts.events import Customer, MessageReceived, ProductChanged
from panier_common.event import Gone, Received
from panier_common.postgres import Connection, Pool, create_pool

from .story import CONVERSATION, HELLO, NOON, NUMBER, SHOP, Shops, asks, new_cart, order

EUR = {SHOP: "EUR"}
FULL = replace(
    new_cart(),
    cart_id="c2d1",
    version=3,
    lines=(CartLine("croissant", "Croissant « pur beurre » 🥐", 2, 140, since=1),),
    note="Bien cuits\nشكرا",
    last_order="order-1",
    waiting=(asks(order(("brioche", 1, "6.00"), text="svp")), asks(HELLO)),
    shown_at=NOON,
    updated_at=NOON,
)


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("panier_cart"))
    yield pool
    pool.terminate()


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as connection:
        yield connection


def product(sku: str, version: int = 1, *, price: int = 140, shop: str = SHOP, currency: str = "EUR") -> ProductChanged:
    return ProductChanged(shop, sku, version, f"Le {sku}", price, currency, sold_out=False)


async def test_a_cart_comes_back_as_it_was(connection):
    await save_carts(connection, [FULL])
    assert await load_carts(connection, [CONVERSATION, "nobody"]) == {CONVERSATION: FULL}
    changed = replace(FULL, lines=(), version=4, waiting=(), customer=Customer(wa_id="33600000002"))
    await save_carts(connection, [changed])
    assert await load_carts(connection, [CONVERSATION]) == {CONVERSATION: changed}


async def test_a_cart_is_found_by_either_id(connection):
    await save_carts(connection, [FULL])
    assert await find_cart(connection, NUMBER, "FR.1000000001") == FULL
    assert await find_cart(connection, NUMBER, "33600000001") == FULL
    assert await find_cart(connection, "another number", "33600000001") is None
    assert await find_cart(connection, NUMBER, "nobody") is None


async def test_of_two_carts_of_one_customer_the_last_changed_is_found(connection):
    by_phone = replace(FULL, conversation=f"{NUMBER}:33600000001", updated_at=NOON + timedelta(hours=1))
    await save_carts(connection, [FULL, by_phone, replace(FULL, conversation="never changed", updated_at=None)])
    assert await find_cart(connection, NUMBER, "33600000001") == by_phone


async def test_an_older_version_of_a_product_is_ignored(connection):
    await save_products(connection, [product("croissant", 2, price=150)])
    await save_products(connection, [product("croissant", 1, price=140), replace(product("flan"), at_most=3)])
    shelf = (await load_products(connection, {(SHOP, "croissant"), (SHOP, "flan")}, EUR))[SHOP]
    assert shelf == {
        "croissant": Product("croissant", "Le croissant", 150, False),
        "flan": Product("flan", "Le flan", 140, False, 3),
    }


async def test_products_are_their_shops_and_in_its_currency(connection):
    await save_products(connection, [product("flan", shop="autre"), product("thé", currency="USD")])
    assert await load_products(connection, {(SHOP, "flan"), (SHOP, "thé")}, EUR) == {}


async def test_a_product_that_ended_is_forgotten(connection):
    await save_products(connection, [product("a+b", 9), product("flan", 9)])
    await delete_products(connection, {(SHOP, "a+b")})
    assert list((await load_products(connection, {(SHOP, "a+b"), (SHOP, "flan")}, EUR))[SHOP]) == ["flan"]


def record(event, n: int = 0, topic: str = "panier.product.v1") -> Received:
    return Received(topic, 0, n, f"id-{n}", datetime(2026, 11, 23, tzinfo=UTC), event, {})


async def test_within_a_batch_the_last_word_on_a_product_counts(connection):
    await save_products(connection, [product("flan", 9), product("tarte", 9)])
    loop = products()
    said = [product("flan", 10), Gone(f"{SHOP}+flan"), product("flan", 1), Gone(f"{SHOP}+tarte")]
    said += [product("croissant", 3, price=150), product("croissant", 2, price=140)]
    work = await loop.load(connection, [])
    for event in said:
        assert loop.decide(work, record(event)) == []
    await loop.save(connection, work)
    rows = await connection.fetch("SELECT sku, version, price_minor FROM product ORDER BY sku")
    assert [tuple(row) for row in rows] == [("croissant", 3, 150), ("flan", 1, 140)]


@pytest.mark.parametrize("records", [1, 50, 500])
async def test_a_batch_costs_the_same_statements_however_large(connection, records):
    await save_products(connection, [product("croissant"), product("tradition")])
    batch = [
        record(
            MessageReceived(
                f"{NUMBER}:FR.{n}",
                NUMBER,
                Customer(f"FR.{n}"),
                f"wamid.{n}",
                NOON,
                order(("croissant", 2), (f"sku-{n}", 1)) if n % 2 else order(("tradition", 1)),
                shop=SHOP,
            ),
            n,
            "panier.inbound.v1",
        )
        for n in range(records)
    ]
    loop = conversations(Shops())
    await save_carts(connection, [FULL])  # asyncpg asks a connection's types once, at their first use
    statements: list[Any] = []
    connection.add_query_logger(statements.append)
    work = await loop.load(connection, batch)
    effects = [effect for received in batch for effect in loop.decide(work, received)]
    await loop.save(connection, work)
    await asyncio.sleep(0)  # the logger is called once the statement's own task is through
    connection.remove_query_logger(statements.append)
    assert [str(logged.query).split()[0] for logged in statements] == ["SELECT", "SELECT", "INSERT"]
    assert len(effects) >= records
    assert await connection.fetchval("SELECT count(*) FROM cart") == records + 1
