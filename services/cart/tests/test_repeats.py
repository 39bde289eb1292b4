"""Whatever is sent or published again, and however records fall into batches: the same cart, the same answers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from panier_cart.cart import Cart
from panier_cart.db import load_carts, save_products
from panier_cart.loops import conversations
from panier_common import homes
from panier_common.batch import Batch
from panier_common.contracts.events import (
    Event,
    Fulfilment,
    Line,
    MessageReceived,
    OrderPlaced,
    OrderRepeated,
    ProductChanged,
)
from panier_common.contracts.inbound import Content
from panier_common.event import OWNER, SEQUENCE, Headers, caused_id, cloud_headers, encode, inbound_id, received
from panier_common.homes import Home, Reading
from panier_common.item import Item
from panier_common.postgres import Connection, Pool, create_pool
from panier_common.topics import TOPIC_OF

from .story import CONVERSATION, CUSTOMER, HELLO, NOON, NUMBER, SHOP, Shops, order, press

FIRST_CART = caused_id("cart", f"{CONVERSATION}\nwamid.0", "cart", 0)
CROISSANTS = (Line("croissant", "Croissant au beurre", 2, 140),)
_homes = count()


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("panier_cart"))
    async with pool.acquire() as connection:
        products = [ProductChanged(SHOP, sku, 1, sku, 140, "EUR", False) for sku in ("croissant", "tradition")]
        await save_products(connection, products)
    yield pool
    pool.terminate()


CONTENTS: st.SearchStrategy[Content] = st.sampled_from(
    [
        order(("croissant", 2)),
        order(("tradition", 1), ("croissant", 98), text="svp"),
        HELLO,
        press("cart:add:tradition"),
        press("cart:more:croissant"),
        press("cart:fewer:croissant"),
        press("cart:remove:tradition"),
        press("cart:empty"),
        press("checkout:start"),
    ]
)
HISTORIES = st.lists(st.one_of(CONTENTS, st.sampled_from(["placed", "again"])), min_size=1, max_size=10)


def happened(n: int, what: Content | str) -> Event:
    at = NOON + timedelta(minutes=n)
    if what == "placed":
        return OrderPlaced(
            CONVERSATION, NUMBER, SHOP, CUSTOMER, f"order-{n}", f"A-{n}", FIRST_CART, n, CROISSANTS, "EUR", 0, 280,
            Fulfilment("collect"), "awaiting_payment", "wamid.confirm", at,
        )  # fmt: skip
    if what == "again":
        return OrderRepeated(CONVERSATION, NUMBER, SHOP, CUSTOMER, f"order-{n}", CROISSANTS, at, f"wamid.{n}")
    assert not isinstance(what, str)
    return MessageReceived(CONVERSATION, NUMBER, CUSTOMER, f"wamid.{n}", at, what, shop=SHOP)


def record(n: int, event: Event, home: int, offset: int) -> Item:
    """What Kafka hands over: a message as ingest sent it, an order's event as checkout's outbox numbered it."""
    at = NOON + timedelta(minutes=n)
    event_id = inbound_id(NUMBER, f"wamid.{n}")
    own: Headers = {OWNER: "cart"} if isinstance(event, MessageReceived) else {SEQUENCE: f"checkout/{home}/{n + 1}"}
    headers = cloud_headers(event, event_id, "test", at) | own
    topic, value = TOPIC_OF[type(event)].name, encode(event)
    got = received(topic, home, offset, headers, value)
    return Item(home, topic, home, offset, CONVERSATION, headers, value, got)


async def play(pool: Pool, deliveries: Sequence[tuple[int, Event]], sizes: Sequence[int]) -> tuple[Cart, list[bytes]]:
    """The cart and what was published, once these records went through the runner's batches."""
    loop, home = conversations(Shops()), next(_homes)
    items = [record(n, event, home, offset) for offset, (n, event) in enumerate(deliveries)]
    published: list[bytes] = []
    async with pool.acquire() as connection:
        await connection.execute("TRUNCATE cart, conversation")
        owned = await homes.take_over(connection, loop.name, [home])
        readings: dict[tuple[str, int], Reading] = {}
        for size in [*sizes, len(items)]:
            batch, items = items[:size], items[size:]
            published += await _commit(connection, loop, owned, readings, batch)
        carts = await load_carts(connection, [CONVERSATION])
    return carts[CONVERSATION], published


async def _commit(
    connection: Connection,
    loop,
    owned: dict[int, Home],
    readings: dict[tuple[str, int], Reading],
    batch: Sequence[Item],
) -> list[bytes]:
    if not batch:
        return []
    async with connection.transaction():
        outcome = await Batch(loop, owned, readings, batch).run(connection)
    assert outcome.dead == 0
    readings.update(outcome.readings)
    for home, seq in outcome.seqs.items():
        owned[home].seq = seq
    return [out.value for out in outcome.publish if out.value is not None]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORIES, data=st.data())
async def test_repeats_change_nothing(pool: Pool, history: list[Content | str], data: st.DataObject) -> None:
    story: list[Content | str] = [order(("croissant", 3)), *history]
    once = [(n, happened(n, what)) for n, what in enumerate(story)]
    repeated = list(once)
    for again in data.draw(st.lists(st.sampled_from(once), max_size=8), label="repeats"):
        after = data.draw(st.integers(repeated.index(again) + 1, len(repeated)), label="where")
        repeated.insert(after, again)
    sizes = data.draw(st.lists(st.integers(1, 5), max_size=6), label="batches")
    cart, published = await play(pool, once, [])
    assert await play(pool, repeated, sizes) == (cart, published)
    assert sum(b'"wamid.0"' in value for value in published if b'"message"' in value) == 1
