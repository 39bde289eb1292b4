"""On a real PostgreSQL: carts that nobody looks at end; what was ordered from, and what waits, is not forgotten."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from panier_cart import db
from panier_cart.cart import CartLine
from panier_cart.keeping import kept
from panier_common.keeping import SILENT, forget
from panier_common.postgres import Connection, create_pool
from panier_common.shown import remembered

from .story import HELLO, asks, new_cart

NOW = datetime.now(UTC)
OLD, YOUNG = NOW - timedelta(days=91), NOW - timedelta(days=89)
LINE = CartLine("croissant", "Croissant", 2, 140, since=1)
FULL = replace(new_cart(), cart_id="c", version=3, lines=(LINE,), note="Bien cuits", updated_at=OLD)


@pytest.fixture
async def connection(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Connection]:
    pool = await create_pool(await database("panier_cart"))
    async with pool.acquire() as connection:
        yield connection
    pool.terminate()


async def test_carts_end_and_their_last_order_stays_known(connection: Connection) -> None:
    carts = {
        "old": FULL,
        "looked at": replace(FULL, shown_at=YOUNG),
        "changed": replace(FULL, updated_at=YOUNG),
        "never filled": replace(new_cart()),
        "waits": replace(FULL, waiting=(asks(HELLO),)),
        "ordered": replace(FULL, last_order="order-1"),
    }
    await db.save_carts(connection, [replace(cart, conversation=name) for name, cart in carts.items()])
    for rule in kept(timedelta(days=90)):
        await forget(connection, rule)
    left = await db.load_carts(connection, carts)
    assert left.keys() == {"looked at", "changed", "waits", "ordered"}
    assert left["ordered"] == replace(
        FULL, conversation="ordered", last_order="order-1", lines=(), note="", version=FULL.version + 1
    )
    assert [await forget(connection, rule) for rule in kept(timedelta(days=90))] == [(0, None)] * 3
    assert await db.load_carts(connection, carts) == left


async def test_what_was_shown_is_kept_longer_than_carts(connection: Connection) -> None:
    age = SILENT + timedelta(days=1)
    memories = {
        "silent": remembered(b"", "wamid.1", NOW - age),
        "back": remembered(remembered(b"", "wamid.1", NOW - age), "wamid.2", OLD),
    }
    await db.save_shown(connection, memories)
    for rule in kept(timedelta(days=1000)):
        await forget(connection, rule)
    assert await db.load_shown(connection, memories) == memories
    for rule in kept(timedelta(days=90)):
        await forget(connection, rule)
    assert (await db.load_shown(connection, memories)).keys() == {"back"}
