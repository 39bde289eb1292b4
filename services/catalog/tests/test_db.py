"""Rows on a real PostgreSQL: imports and their speed, pages, counts, and how many statements a batch costs."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from asyncpg import CheckViolationError
from panier_catalog import db, intake, loops, shops
from panier_catalog.__main__ import SetUp
from panier_catalog.feed import Feed, Rejected
from panier_catalog.settings import CatalogSettings
from panier_catalog.stock import Hold
from panier_common.batch import Loop
from panier_common.contracts.events import Event, OrderCancelled, OrderPaid, ProductChanged, ShopConfigured
from panier_common.event import Received
from panier_common.outbox import unpack
from panier_common.postgres import Connection, Pool

from .story import (
    CONVERSATION,
    GARDEN,
    NOON,
    SHOP,
    enquires,
    fed,
    feed_text,
    presses,
    received,
    request,
    row,
    says,
    twelve,
)


async def imported(pool: Pool, text: str) -> intake.Imported:
    feed = await intake.read_feed(GARDEN, text.encode())
    return [step async for step in intake.import_feed(pool, GARDEN, feed, twelve)][-1]


async def listed(pool: Pool) -> dict[str, tuple[int | None, int, int, bool]]:
    async with pool.acquire() as connection:
        rows = await db.list_products(connection, SHOP)
    return {r["sku"]: (r["available"], r["reserved"], r["sold"], r["sold_out"]) for r in rows}


async def outbox(pool: Pool, event: type[Event]) -> list[Event]:
    async with pool.acquire() as connection:
        rows = await connection.fetch("SELECT loop, home, records FROM outbox ORDER BY at, home, n")
    assert {r["loop"] for r in rows} <= {"catalog.browsing"}
    found: list[Event] = []
    for record in (record for r in rows for record in unpack(r["home"], r["records"])):
        try:
            found.append(msgspec.json.decode(record.value or b"", type=event))
        except msgspec.ValidationError:
            continue
    return found


async def run(pool: Pool, loop: Loop[object], *events: Event) -> list[Event]:
    """A batch, without Kafka: load, decide, save in one transaction."""
    batch = [event if isinstance(event, Received) else received(event) for event in events]
    async with pool.acquire() as connection, connection.transaction():
        world = await loop.load(connection, batch)
        effects = [effect for got in batch for effect in loop.decide(world, got)]
        await loop.save(connection, world)
    return [effect.event for effect in effects]  # type: ignore[union-attr]


async def test_an_import_creates_changes_and_leaves_alone(pool):
    first = await imported(pool, feed_text(row("a"), row("b", price="nonsense"), row("c")))
    assert (first.created, first.updated, first.unchanged) == (2, 0, 0)
    assert [r.row for r in first.rejected] == [3]
    second = await imported(pool, feed_text(row("a"), row("b"), row("c", price="5.00 EUR")))
    assert (second.created, second.updated, second.unchanged, second.rejected) == (1, 1, 1, ())
    third = await imported(pool, feed_text(row("a")))
    assert (third.created, third.updated, third.unchanged) == (0, 0, 1)
    assert sorted(await listed(pool)) == ["a", "b", "c"]
    versions = sorted((e.sku, e.version, e.price_minor) for e in await outbox(pool, ProductChanged))
    assert versions == [("a", 1, 1990), ("b", 1, 1990), ("c", 1, 1990), ("c", 2, 500)]


async def test_what_is_told_of_a_product(pool):
    await imported(pool, feed_text(row("a", "Bêche 🌱", availability="out of stock")))
    (event,) = await outbox(pool, ProductChanged)
    assert event == ProductChanged(
        SHOP, "a", 1, "Bêche 🌱", 1990, "EUR", True, catalog_id=GARDEN.catalog_id, collection="Outils", at_most=0
    )


async def test_an_import_never_takes_away_what_was_promised(pool):
    stock = loops.stock_loop(twelve)
    await imported(pool, feed_text(row("spade", quantity="5")))
    await run(pool, stock, request("o1", ("spade", 2)), request("o2", ("spade", 1)), _paid("o2"))
    assert await listed(pool) == {"spade": (2, 2, 1, False)}
    assert (await imported(pool, feed_text(row("spade", quantity="2")))).updated == 1
    assert await listed(pool) == {"spade": (2, 2, 1, False)}
    assert (await imported(pool, feed_text(row("spade", quantity="0")))).updated == 1
    assert await listed(pool) == {"spade": (0, 2, 1, True)}
    assert (await imported(pool, feed_text(row("spade", quantity="")))).updated == 1
    assert await listed(pool) == {"spade": (None, 2, 1, False)}


async def test_a_repeated_stock_figure_restores_nothing(pool):
    await imported(pool, feed_text(row("spade", quantity="5")))
    await run(pool, loops.stock_loop(twelve), request("o1", ("spade", 2)))
    assert (await imported(pool, feed_text(row("spade", quantity="5")))).unchanged == 1
    assert (await imported(pool, feed_text(row("spade", quantity="5", price="21.00 EUR")))).updated == 1
    assert await listed(pool) == {"spade": (3, 2, 0, False)}
    assert (await imported(pool, feed_text(row("spade", quantity="6", price="21.00 EUR")))).updated == 1
    assert await listed(pool) == {"spade": (6, 2, 0, False)}


async def test_ten_thousand_rows_take_seconds(pool):
    text = feed_text(*(row(f"sku-{n}", f"Bêche n° {n} en acier", collection=f"Rayon {n % 40}") for n in range(10_000)))
    started = time.monotonic()
    result = await imported(pool, text)
    seconds = time.monotonic() - started
    assert (result.created, result.done, result.total) == (10_000, 10_000, 10_000)
    assert seconds < 60, f"{seconds:.1f} s"  # under 10 on a machine that does nothing else
    assert len(await outbox(pool, ProductChanged)) == 10_000


async def test_progress_is_told_after_each_thousand_and_for_an_empty_feed(pool):
    products = tuple(fed(f"s{n}", "Bêche") for n in range(2500))
    steps = [step async for step in intake.import_feed(pool, GARDEN, Feed(products, ()), twelve)]
    assert [(s.done, s.total) for s in steps] == [(1000, 2500), (2000, 2500), (2500, 2500)]
    bad = (Rejected(2, "no"),)
    (nothing,) = [step async for step in intake.import_feed(pool, GARDEN, Feed((), bad), twelve)]
    assert (nothing.done, nothing.total, nothing.rejected) == (0, 0, bad)


async def test_pages_and_collections_hold_what_can_be_bought(pool):
    rows = [row(f"s{n:03}", f"Bêche {n:03}") for n in range(65)]
    gone = row("gone", quantity="0", collection="Épuisés")
    await imported(pool, feed_text(*rows, gone, row("seeds", "Radis", collection="Graines")))
    async with pool.acquire() as connection:
        sizes = await db.load_collections(connection, [SHOP])
        pages = await db.load_pages(connection, [(SHOP, "Outils", n) for n in (1, 3, 4)] + [(SHOP, "Épuisés", 1)])
    assert [(size.name, size.count, size.pages) for size in sizes[SHOP]] == [("Graines", 1, 1), ("Outils", 65, 3)]
    assert {page: (len(skus), skus[0]) for page, skus in pages.items()} == {
        (SHOP, "Outils", 1): (30, "s000"),
        (SHOP, "Outils", 3): (5, "s060"),
    }


async def test_a_product_is_found_by_sku_and_by_metas_number(pool):
    with_link = row("spade").replace("EUR,,", "EUR,https://wa.me/p/777/33100,")
    await imported(pool, feed_text(with_link, row("777"), row("rake")))
    async with pool.acquire() as connection:
        found = await db.load_products(connection, [(SHOP, "777"), (SHOP, "rake"), (SHOP, "none"), ("other", "rake")])
    assert {key: p.sku for key, p in found.items()} == {(SHOP, "777"): "777", (SHOP, "rake"): "rake"}


async def test_carts_are_told_how_many_are_left_of_what_is_scarce(pool):
    stock = loops.stock_loop(twelve)
    rows = [
        row("few", quantity="3"),
        row("many", quantity="99"),
        row("plenty", quantity="500"),
        row("uncounted", quantity=""),
    ]
    await imported(pool, feed_text(*rows))
    told = {e.sku: e.at_most for e in await outbox(pool, ProductChanged)}
    assert told == {"few": 3, "many": None, "plenty": None, "uncounted": None}
    await run(pool, stock, request("o1", *((sku, 1) for sku in told)))
    news = [(e.sku, e.version, e.at_most) for e in await outbox(pool, ProductChanged)]
    assert sorted(news[4:]) == [("few", 2, 2), ("many", 2, 98)]


async def last_told(pool: Pool, sku: str) -> tuple[str, int, bool]:
    told = [event for event in await outbox(pool, ProductChanged) if event.sku == sku]
    last = max(told, key=lambda event: event.version)
    return last.sku, last.version, last.sold_out


async def test_stock_is_counted_and_sold_out_is_told(pool):
    stock = loops.stock_loop(twelve)
    await imported(pool, feed_text(row("spade", quantity="2"), row("rake", quantity="9")))
    events = await run(pool, stock, request("o1", ("spade", 2), ("rake", 1)), request("o2", ("spade", 1)))
    assert [type(event).__name__ for event in events] == ["StockReserved", "StockRefused"]
    assert await listed(pool) == {"spade": (0, 2, 0, True), "rake": (8, 1, 0, False)}
    assert await last_told(pool, "spade") == ("spade", 2, True)
    cancelled = OrderCancelled(CONVERSATION, SHOP, "o1", "shop", NOON)
    await run(pool, stock, cancelled, cancelled, _paid("unknown"))
    assert await listed(pool) == {"spade": (2, 0, 0, False), "rake": (9, 0, 0, False)}
    assert await last_told(pool, "spade") == ("spade", 3, False)
    again = await run(pool, stock, request("o1", ("spade", 1)))
    assert [type(event).__name__ for event in again] == ["StockReleased"]


async def test_a_refusal_comes_back_as_it_was(pool):
    stock = loops.stock_loop(twelve)
    await imported(pool, feed_text(row("spade", quantity="2")))
    asked = received(request("o1", ("spade", 3)), record="same")
    assert await run(pool, stock, asked) == await run(pool, stock, asked)
    async with pool.acquire() as connection:
        holds = await db.load_holds(connection, ["o1"])
    assert isinstance(holds["o1"], Hold)
    assert holds["o1"].state == "refused"


async def test_the_database_itself_refuses_to_oversell(pool):
    await imported(pool, feed_text(row("spade", quantity="2")))
    async with pool.acquire() as connection:
        with pytest.raises(CheckViolationError):
            await connection.execute("UPDATE product SET reserved = 2, sold = 1")


SHOPS = """
[[shop]]
id = "{id}"
name = "{name}"
languages = ["en"]
currency = "GBP"
timezone = "Europe/London"
catalog_id = "88"
[[shop.number]]
phone_number_id = "{number}"
display = "+44 20 0000 0000"
access_token_env = "TOKEN"
"""


async def test_shops_are_told_of_when_they_change(pool):
    def file(name: str, number: str = "4401") -> shops.ShopsFile:
        return shops.parse(SHOPS.format(id="leeds", name=name, number=number))

    assert [one.changed for one in await intake.apply_shops(pool, file("Leeds"), twelve)] == [True]
    assert [one.changed for one in await intake.apply_shops(pool, file("Leeds"), twelve)] == [False]
    assert [one.changed for one in await intake.apply_shops(pool, file("Leeds 2"), twelve)] == [True]
    told = await outbox(pool, ShopConfigured)
    assert [(e.shop, e.version, e.name) for e in told] == [("leeds", 1, "Leeds"), ("leeds", 2, "Leeds 2")]
    with pytest.raises(shops.ShopsError, match="used by `garden` and `leeds`"):
        await intake.apply_shops(pool, file("Leeds", GARDEN.numbers[0].phone_number_id), twelve)


async def test_a_first_catalogue_is_loaded_once_and_to_its_end(pool):
    file = shops.parse(SHOPS.format(id="leeds", name="Leeds", number="4401"))
    leeds = (await intake.apply_shops(pool, file, twelve))[0].shop
    products = tuple(fed(f"s{n:04}", "Spade", currency="GBP") for n in range(1001))
    async for step in intake.import_feed(pool, leeds, Feed(products, ()), twelve):
        assert step.done == 1000
        break  # as if the process had died here
    body = feed_text(row("s0000", price="5.00 GBP"), row("t", price="5.00 GBP")).encode()
    _, loaded = await intake.set_up(pool, file, {"leeds": body}, twelve)
    assert (loaded["leeds"].created, loaded["leeds"].updated) == (1, 1)
    other = feed_text(row("u", price="5.00 GBP")).encode()
    assert (await intake.set_up(pool, file, {"leeds": other}, twelve))[1] == {}


async def why(set_up: SetUp, wanted: str | None) -> None:
    for _ in range(500):
        if set_up.why() == wanted:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"said to the end: {set_up.why()}")


async def test_a_shops_file_is_applied_once_others_can_know_of_it(pool, tmp_path):
    path = tmp_path / "shops.toml"
    path.write_text(SHOPS.format(id="leeds", name="Leeds", number="4401"))
    settings = CatalogSettings.model_construct(shops=path)
    set_up = SetUp(settings, pool, twelve)
    running = asyncio.create_task(set_up.run())
    try:
        await why(set_up, "the shops file is being published")
        await asyncio.sleep(0.3)
        assert set_up.why() == "the shops file is being published"
        assert len(await outbox(pool, ShopConfigured)) == 1
        async with pool.acquire() as connection:
            await connection.execute("DELETE FROM outbox")
        await why(set_up, None)
    finally:
        running.cancel()


def _paid(order: str) -> OrderPaid:
    return OrderPaid(CONVERSATION, SHOP, order, "EUR", 1990, (), NOON)


def stock_batch(size: int) -> list[Event]:
    return [request(f"o{n}", (f"s{n % 7}", 1), ("last", 1)) for n in range(size)]


BATCHES: dict[str, tuple[Any, Callable[[int], list[Event]]]] = {
    "greetings": (loops.browsing_loop(), lambda size: [says("menu") for _ in range(size)]),
    "collections": (loops.browsing_loop(), lambda size: [presses(f"catalog:collection:C{n}") for n in range(size)]),
    "products": (loops.browsing_loop(), lambda size: [presses(f"catalog:product:s{n}") for n in range(size)]),
    "searches": (loops.browsing_loop(), lambda size: [enquires(f"bêhce {n}") for n in range(size)]),
    "stock": (loops.stock_loop(twelve), stock_batch),
}


@pytest.mark.parametrize("kind", BATCHES)
async def test_a_batch_costs_the_same_statements_however_large(pool, kind):
    loop, batch = BATCHES[kind]
    counted: dict[int, list[str]] = {}
    for size in (1, 50, 500):
        await pool.execute("TRUNCATE product, hold, outbox")
        await imported(pool, feed_text(row("last", quantity="1"), *(row(f"s{n}", quantity="999") for n in range(7))))
        await counting(pool, counted.setdefault(size, []), loop, batch(size))
    assert counted[1]
    assert len(counted[1]) == len(counted[50]) == len(counted[500])


async def counting(pool: Pool, seen: list[str], loop: Loop[object], events: Sequence[Event]) -> None:
    def note(query: Any) -> None:
        seen.append(query.query)

    batch = [received(event) for event in events]
    async with pool.acquire() as connection, connection.transaction():
        with _logger(connection, note):
            world = await loop.load(connection, batch)
            for got in batch:
                loop.decide(world, got)
            await loop.save(connection, world)


def _logger(connection: Connection, note: object):
    return connection.query_logger(note)  # type: ignore[union-attr]
