"""Every statement over shops and products. Functions take a connection; batches cost the same whatever their size.

Rows of products are locked in the order of (shop, sku) by everybody, so that nobody waits in a circle.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields

import msgspec
from asyncpg import Record
from panier_common.contracts.events import ProductChanged, ShopConfigured, StockRefused
from panier_common.postgres import Connection

from panier_catalog.feed import FeedProduct
from panier_catalog.search import ALL_WORDS, Hit, Term
from panier_catalog.shelf import PAGE, CollectionSize, Product
from panier_catalog.stock import Hold, Item, Key

# A misspelt word is taken for another when this much of their trigrams is common (`croisant`, `croissant`: 0.7).
LIKENESS = "0.4"
MIN_FUZZY = 4
CANDIDATES = 500
HITS = 90

_FEED_FIELDS = (
    "sku",
    "title",
    "description",
    "collection",
    "brand",
    "price_minor",
    "currency",
    "link",
    "image_link",
    "meta_id",
    "offered",
    "quantity",
)
_CUSTOMERS_FIELDS = [field.name for field in fields(Product)]


async def load_shops(db: Connection, shops: Iterable[str] | None = None) -> dict[str, ShopConfigured]:
    """These shops, or all of them."""
    rows = await db.fetch(
        "SELECT shop, configured FROM shop WHERE $1::text[] IS NULL OR shop = ANY($1) ORDER BY shop",
        None if shops is None else sorted(set(shops)),
    )
    return {row["shop"]: msgspec.json.decode(row["configured"], type=ShopConfigured) for row in rows}


async def lock_shops(db: Connection) -> None:
    """One apply at a time: several replicas start together."""
    await db.execute("SELECT pg_advisory_xact_lock(hashtext('panier_catalog.shop'))")


async def save_shops(db: Connection, shops: Sequence[ShopConfigured]) -> None:
    await db.execute(
        "INSERT INTO shop (shop, version, configured) SELECT * FROM unnest($1::text[], $2::int[], $3::jsonb[]) "
        "ON CONFLICT (shop) DO UPDATE SET version = excluded.version, configured = excluded.configured",
        [shop.shop for shop in shops],
        [shop.version for shop in shops],
        [_json(shop) for shop in shops],
    )


async def load_stocked(db: Connection) -> set[str]:
    """The shops of which a feed was imported to its end."""
    return {row["shop"] for row in await db.fetch("SELECT shop FROM shop WHERE stocked")}


async def mark_stocked(db: Connection, shop: str) -> None:
    """Remember that a feed was imported to its end; what was interrupted is begun again."""
    await db.execute("UPDATE shop SET stocked = true WHERE shop = $1 AND NOT stocked", shop)


async def list_products(db: Connection, shop: str) -> list[Record]:
    rows: list[Record] = await db.fetch(
        "SELECT sku, title, price_minor, currency, loaded - reserved - sold AS available, reserved, sold, "
        "offered, sold_out FROM product WHERE shop = $1 ORDER BY sku",
        shop,
    )
    return rows


async def load_collections(db: Connection, shops: Iterable[str]) -> dict[str, list[CollectionSize]]:
    """Each shop's collections that have something to sell, in alphabetical order."""
    rows = await db.fetch(
        "SELECT shop, collection, count(*)::int AS count FROM product "
        "WHERE shop = ANY($1) AND NOT sold_out GROUP BY shop, collection ORDER BY shop, folded(collection), collection",
        sorted(set(shops)),
    )
    loaded: dict[str, list[CollectionSize]] = {}
    for row in rows:
        loaded.setdefault(row["shop"], []).append(CollectionSize(row["collection"], row["count"]))
    return loaded


async def load_pages(db: Connection, wanted: Iterable[tuple[str, str, int]]) -> dict[tuple[str, str, int], list[str]]:
    """(shop, collection, page) → the skus of what it has to sell, in alphabetical order of titles."""
    pages = sorted(set(wanted))
    rows = await db.fetch(
        "SELECT w.n, p.sku FROM unnest($1::text[], $2::text[], $3::int[]) WITH ORDINALITY "
        "AS w (shop, collection, page, n) CROSS JOIN LATERAL ("
        "SELECT sku, names FROM product WHERE shop = w.shop AND collection = w.collection AND NOT sold_out "
        "ORDER BY names, sku OFFSET (w.page - 1) * $4 LIMIT $4) AS p ORDER BY w.n, p.names, p.sku",
        [shop for shop, _, _ in pages],
        [collection for _, collection, _ in pages],
        [page for _, _, page in pages],
        PAGE,
    )
    loaded: dict[tuple[str, str, int], list[str]] = {}
    for row in rows:
        loaded.setdefault(pages[row["n"] - 1], []).append(row["sku"])
    return loaded


async def load_products(db: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Product]:
    """(shop, sku or Meta's number) → the product; a sku wins over a number."""
    keys = sorted(set(wanted))
    rows = await db.fetch(
        "SELECT w.shop, w.name, p.sku, title, description, collection, price_minor, currency, sold_out, "
        "loaded - reserved - sold AS available FROM unnest($1::text[], $2::text[]) AS w (shop, name) "
        "JOIN product p ON p.shop = w.shop AND (p.sku = w.name OR p.meta_id = w.name) "
        "ORDER BY p.sku = w.name, p.sku",
        [shop for shop, _ in keys],
        [name for _, name in keys],
    )
    return {(row["shop"], row["name"]): Product(**{name: row[name] for name in _CUSTOMERS_FIELDS}) for row in rows}


# Products that have all the words; where none of them can be bought, products that have one of them, and for a word
# that no product has, products with a word like it. No query ranks more than `CANDIDATES` products a word, those that
# can be bought first: however many are sold out, they hide none.
_SEARCH = """
WITH spoken AS (
    SELECT query, shop, position, word, plainto_tsquery(('panier_' || configuration)::regconfig, word) AS ts,
           numnode(plainto_tsquery(configuration::regconfig, word)) = 0 AS stop
    FROM unnest($1::int[], $2::text[], $3::int[], $4::text[], $5::text[])
         AS u (query, shop, position, word, configuration)
), term AS (
    SELECT query, shop, position, word, bool_or(stop) AS stop,
           string_agg(DISTINCT ts::text, ' | ') FILTER (WHERE numnode(ts) > 0)::tsquery AS ts
    FROM spoken GROUP BY query, shop, position, word
), meant AS MATERIALIZED (
    SELECT query, shop, position, word, ts
    FROM (SELECT *, bool_and(stop) OVER (PARTITION BY query) AS all_stop FROM term) AS t
    WHERE NOT stop OR all_stop
), whole AS (
    SELECT query, shop, string_agg('(' || ts::text || ')', ' & ')::tsquery AS ts, array_agg(position) AS meant
    FROM meant GROUP BY query, shop
), hit AS MATERIALIZED (
    SELECT q.query, $6::int AS position, p.*
    FROM whole q CROSS JOIN LATERAL (
        SELECT * FROM found(q.shop, q.ts, $7) ORDER BY sold_out, rank DESC, sku LIMIT $8) AS p
), rest AS MATERIALIZED (
    SELECT * FROM meant WHERE query NOT IN (SELECT query FROM hit WHERE NOT sold_out)
), single AS MATERIALIZED (
    SELECT q.query, q.position, p.*
    FROM rest q CROSS JOIN LATERAL (
        SELECT * FROM found(q.shop, q.ts, $7) ORDER BY sold_out, rank DESC, sku LIMIT $8) AS p
), alike AS (
    SELECT q.query, q.position, p.sku, p.title, p.collection, p.sold_out, (v.likeness * p.rank)::real AS rank
    FROM (SELECT * FROM rest WHERE char_length(word) >= $9
          AND (query, position) NOT IN (SELECT query, position FROM single)) AS q
    CROSS JOIN LATERAL (
        SELECT word, similarity(word, folded(q.word)) AS likeness FROM vocabulary
        WHERE shop = q.shop AND word % folded(q.word) ORDER BY likeness DESC, word LIMIT 3) AS v
    CROSS JOIN LATERAL (
        SELECT * FROM found(q.shop, plainto_tsquery('panier_simple', v.word), $7)
        ORDER BY sold_out, rank DESC, sku LIMIT $8) AS p
)
SELECT h.*, q.meant FROM (SELECT * FROM hit UNION ALL SELECT * FROM single UNION ALL SELECT * FROM alike) AS h
JOIN whole q USING (query)
"""


async def search(db: Connection, queries: Sequence[tuple[str, Sequence[Term]]]) -> list[list[Hit]]:
    """Hits of each query, a shop and its terms: two statements, however many queries."""
    await db.execute("SELECT set_config('pg_trgm.similarity_threshold', $1, true)", LIKENESS)
    flat = [(n, shop, term) for n, (shop, terms) in enumerate(queries) for term in terms]
    rows = await db.fetch(
        _SEARCH,
        [n for n, _, _ in flat],
        [shop for _, shop, _ in flat],
        [term.position for _, _, term in flat],
        [term.word for _, _, term in flat],
        [term.configuration for _, _, term in flat],
        ALL_WORDS,
        CANDIDATES,
        HITS,
        MIN_FUZZY,
    )
    hits: list[list[Hit]] = [[] for _ in queries]
    for row in rows:
        hits[row["query"]].append(
            Hit(
                row["position"],
                row["sku"],
                row["title"],
                row["collection"],
                row["sold_out"],
                row["rank"],
                frozenset(row["meant"]),
            )
        )
    return hits


async def load_holds(db: Connection, order_ids: Iterable[str]) -> dict[str, Hold]:
    rows = await db.fetch(
        "SELECT order_id, shop, state, request, quantities, refusal FROM hold WHERE order_id = ANY($1)",
        sorted(set(order_ids)),
    )
    return {
        row["order_id"]: Hold(
            row["order_id"],
            row["shop"],
            row["state"],
            row["request"],
            msgspec.json.decode(row["quantities"], type=tuple[tuple[str, int], ...]),
            msgspec.json.decode(row["refusal"], type=StockRefused) if row["refusal"] else None,
        )
        for row in rows
    }


async def lock_items(db: Connection, keys: Iterable[Key]) -> dict[Key, Item]:
    """The products' counts, locked until the end of the transaction."""
    wanted = sorted(set(keys))
    rows = await db.fetch(
        "SELECT p.shop, p.sku, version, title, price_minor, currency, offered, loaded, reserved, sold "
        "FROM product p JOIN unnest($1::text[], $2::text[]) AS w (shop, sku) ON p.shop = w.shop AND p.sku = w.sku "
        "ORDER BY p.shop, p.sku FOR UPDATE OF p",
        [shop for shop, _ in wanted],
        [sku for _, sku in wanted],
    )
    items = (Item(**dict(row)) for row in rows)
    return {item.key: item for item in items}


async def save_items(db: Connection, items: Sequence[Item]) -> None:
    await db.execute(
        "UPDATE product p SET version = n.version, reserved = n.reserved, sold = n.sold "
        "FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[]) "
        "AS n (shop, sku, version, reserved, sold) "
        "WHERE p.shop = n.shop AND p.sku = n.sku",
        [item.shop for item in items],
        [item.sku for item in items],
        [item.version for item in items],
        [item.reserved for item in items],
        [item.sold for item in items],
    )


async def save_holds(db: Connection, holds: Sequence[Hold]) -> None:
    await db.execute(
        "INSERT INTO hold (order_id, shop, state, request, quantities, refusal) "
        "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[]) "
        "ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, request = excluded.request, "
        "quantities = excluded.quantities, refusal = excluded.refusal",
        [hold.order_id for hold in holds],
        [hold.shop for hold in holds],
        [hold.state for hold in holds],
        [hold.request for hold in holds],
        [_json(hold.quantities) for hold in holds],
        [_json(hold.refusal) if hold.refusal else None for hold in holds],
    )


async def upsert_products(
    db: Connection, shop: ShopConfigured, products: Sequence[FeedProduct]
) -> list[ProductChanged]:
    """Add and change products, ordered by sku; those that were added (version 1) or changed.

    A quantity that differs from the last feed's is what can be sold from now on: what orders hold or have bought
    is added to it, so that an import can never take away what was promised. The same quantity again says nothing
    about stock: what was sold since stays sold.
    """
    rows = await db.fetch(
        "INSERT INTO product AS p (shop, version, sku, title, description, collection, brand, price_minor, "
        "currency, link, image_link, meta_id, offered, loaded, fed) "
        "SELECT $1, 1, n.*, n.loaded "
        "FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], "
        "$8::text[], $9::text[], $10::text[], $11::text[], $12::bool[], $13::int[]) "
        "AS n (sku, title, description, collection, brand, price_minor, currency, link, image_link, meta_id, "
        "offered, loaded) "
        "ON CONFLICT (shop, sku) DO UPDATE SET version = p.version + 1, title = excluded.title, "
        "description = excluded.description, collection = excluded.collection, brand = excluded.brand, "
        "price_minor = excluded.price_minor, currency = excluded.currency, link = excluded.link, "
        "image_link = excluded.image_link, meta_id = excluded.meta_id, offered = excluded.offered, "
        "fed = excluded.fed, loaded = CASE WHEN excluded.fed IS NOT DISTINCT FROM p.fed THEN p.loaded "
        "ELSE excluded.fed + p.reserved + p.sold END "
        "WHERE (p.title, p.description, p.collection, p.brand, p.price_minor, p.currency, p.link, p.image_link, "
        "p.meta_id, p.offered, p.fed) IS DISTINCT FROM (excluded.title, excluded.description, "
        "excluded.collection, excluded.brand, excluded.price_minor, excluded.currency, excluded.link, "
        "excluded.image_link, excluded.meta_id, excluded.offered, excluded.fed) "
        "RETURNING p.shop, p.sku, p.version, p.title, p.price_minor, p.currency, p.sold_out, p.description, "
        "p.collection, p.image_link, p.link, p.at_most",
        shop.shop,
        *([getattr(product, name) for product in products] for name in _FEED_FIELDS),
    )
    return [ProductChanged(catalog_id=shop.catalog_id, **dict(row)) for row in rows]


async def save_vocabulary(db: Connection, shop: str, words: Iterable[str]) -> None:
    await db.execute(
        "INSERT INTO vocabulary (shop, word) SELECT $1, folded(word) FROM unnest($2::text[]) AS w (word) "
        "ON CONFLICT DO NOTHING",
        shop,
        sorted(set(words)),
    )


async def analyze(db: Connection) -> None:
    """Let plans know of many new rows now, rather than when PostgreSQL gets round to it."""
    await db.execute("ANALYZE product, vocabulary")


async def load_changes(db: Connection, keys: Iterable[Key]) -> list[ProductChanged]:
    """These products as everybody is told of them."""
    wanted = sorted(set(keys))
    rows = await db.fetch(
        "SELECT p.shop, p.sku, p.version, title, price_minor, currency, sold_out, description, collection, "
        "image_link, link, at_most, s.configured->>'catalog_id' AS catalog_id "
        "FROM product p JOIN unnest($1::text[], $2::text[]) AS w (shop, sku) ON p.shop = w.shop AND p.sku = w.sku "
        "JOIN shop s ON s.shop = p.shop ORDER BY p.shop, p.sku",
        [shop for shop, _ in wanted],
        [sku for _, sku in wanted],
    )
    return [ProductChanged(**dict(row)) for row in rows]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
