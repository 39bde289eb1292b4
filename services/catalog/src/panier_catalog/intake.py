"""Shops and products as people hand them in: written here, published by whoever owns the home of their key.

Nothing in this module decides what a row means (feed.py, shops.py) or holds SQL (db.py). Applying and importing
the same again changes nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import structlog
from panier_common import outbox
from panier_common.contracts.events import Event, ShopConfigured
from panier_common.postgres import Connection, Pool

from panier_catalog import db, feed, search, shops
from panier_catalog.feed import Feed, Rejected
from panier_catalog.handlers import WORDS

BROWSING = "catalog.browsing"
CHUNK = 1000
# A feed of that size is read in some milliseconds.
AT_ONCE_BYTES = 16 * 1024

Partitions = Callable[[], Awaitable[int]]
"""How many partitions the topics have, and so how many homes a loop has."""

log = structlog.get_logger()


async def announce(connection: Connection, events: Sequence[Event], partitions: Partitions, at: datetime) -> None:
    """Publish by the sequence of each key's home, in this transaction; the owner of `catalog.browsing` sends."""
    await outbox.append(
        connection,
        loop=BROWSING,
        partitions=await partitions(),
        events=events,
        cause=str(uuid4()),
        at=at,
        source="catalog",
    )


@dataclass(frozen=True, slots=True)
class Applied:
    """A shop after the file was applied; `changed` tells whether it was news."""

    shop: ShopConfigured
    changed: bool


async def apply_shops(pool: Pool, file: shops.ShopsFile, partitions: Partitions) -> list[Applied]:
    """Store the shops and tell everybody of those that changed. Raises ShopsError for a number of two shops."""
    async with pool.acquire() as connection, connection.transaction():
        await db.lock_shops(connection)
        known = await db.load_shops(connection)
        wanted = [shops.configured(table, known.get(table.id)) for table in file.shop]
        if faults := shops.numbers_taken_twice((known | {shop.shop: shop for shop in wanted}).values()):
            raise shops.ShopsError(faults)
        changed = [shop for shop in wanted if shop != known.get(shop.shop)]
        if changed:
            await db.save_shops(connection, changed)
            await announce(connection, changed, partitions, datetime.now(UTC))
    return [Applied(shop, shop in changed) for shop in wanted]


async def get_shop(pool: Pool, shop: str) -> ShopConfigured | None:
    async with pool.acquire() as connection:
        return (await db.load_shops(connection, [shop])).get(shop)


async def read_feed(shop: ShopConfigured | shops.ShopTable, body: bytes) -> Feed:
    """The feed's products and rejected rows, with the sales of this moment. Raises FeedError.

    A large one takes many seconds, in which customers want answers and the broker a sign of life: it has a thread.
    """
    other, now = WORDS(shop.languages[0], "feed.other"), datetime.now(UTC)

    def read() -> Feed:
        return feed.read(feed.decoded(body), shop.currency, other, now)

    return read() if len(body) <= AT_ONCE_BYTES else await asyncio.to_thread(read)


@dataclass(frozen=True, slots=True)
class Imported:
    """How far an import has come: rows of products done, and what became of them."""

    done: int
    total: int
    created: int
    updated: int
    unchanged: int
    rejected: tuple[Rejected, ...]

    def after(self, rows: int, versions: Sequence[int]) -> "Imported":
        """With so many rows more, of which those with a version were added (1) or changed."""
        created = sum(1 for version in versions if version == 1)
        return replace(
            self,
            done=self.done + rows,
            created=self.created + created,
            updated=self.updated + len(versions) - created,
            unchanged=self.unchanged + rows - len(versions),
        )


async def import_feed(
    pool: Pool, shop: ShopConfigured, products: Feed, partitions: Partitions
) -> AsyncIterator[Imported]:
    """Add and change the products, a thousand in a transaction; how far it is after each, at least once."""
    so_far = Imported(0, len(products.products), 0, 0, 0, products.rejected)
    for chunk in feed.chunks(products.products, CHUNK):
        async with pool.acquire() as connection, connection.transaction():
            changed = await db.upsert_products(connection, shop, chunk)
            await db.save_vocabulary(connection, shop.shop, search.named(*(p.names for p in chunk)))
            if changed:
                await announce(connection, changed, partitions, datetime.now(UTC))
        so_far = so_far.after(len(chunk), [product.version for product in changed])
        if so_far.done < so_far.total:
            yield so_far
    async with pool.acquire() as connection:
        await db.mark_stocked(connection, shop.shop)
        if so_far.created + so_far.updated >= CHUNK:
            await db.analyze(connection)
    yield so_far


async def set_up(
    pool: Pool, file: shops.ShopsFile, catalogues: Mapping[str, bytes], partitions: Partitions
) -> tuple[list[Applied], dict[str, Imported]]:
    """Apply the shops, then load the catalogue of each that has one and never had one loaded to its end.

    Raises ShopsError or FeedError before anything is written.
    """
    async with pool.acquire() as connection:
        stocked = await db.load_stocked(connection)
    feeds = {
        table.id: await read_feed(table, catalogues[table.id])
        for table in file.shop
        if table.id in catalogues and table.id not in stocked
    }
    applied = await apply_shops(pool, file, partitions)
    loaded: dict[str, Imported] = {}
    for shop in (one.shop for one in applied if one.shop.shop in feeds):
        steps = [step async for step in import_feed(pool, shop, feeds[shop.shop], partitions)]
        loaded[shop.shop] = steps[-1]
        for rejected in steps[-1].rejected:
            log.warning("row rejected", shop=shop.shop, row=rejected.row, reason=rejected.reason)
        log.info("catalogue loaded", shop=shop.shop, created=steps[-1].created)
    return applied, loaded


def read_file(path: Path) -> tuple[shops.ShopsFile, dict[str, bytes]]:
    """The shops file and the catalogues it names. Raises ShopsError, also for a file that is not there."""
    try:
        file = shops.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise shops.ShopsError([f"{path}: {error}"]) from None
    catalogues: dict[str, bytes] = {}
    for at, shop in enumerate(file.shop):
        if shop.catalogue is not None:
            try:
                catalogues[shop.id] = (path.parent / shop.catalogue).read_bytes()
            except OSError as error:
                raise shops.ShopsError([f"shop[{at}].catalogue: {error}"]) from None
    return file, catalogues
