"""Every SQL statement of the cart service, as functions that take a connection. No rules."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
from asyncpg import Record
from panier_common.contracts.events import Customer, ProductChanged
from panier_common.postgres import Connection

from panier_cart.cart import Ask, Cart, CartLine, Product

_ENCODER = msgspec.json.Encoder()
_LINES = msgspec.json.Decoder(tuple[CartLine, ...])
_WAITING = msgspec.json.Decoder(tuple[Ask, ...])


async def load_carts(db: Connection, conversations: Iterable[str]) -> dict[str, Cart]:
    """The carts of these conversations, by conversation; one that never had a cart is not there."""
    rows = await db.fetch("SELECT * FROM cart WHERE conversation = ANY($1::text[])", list(conversations))
    return {row["conversation"]: _cart(row) for row in rows}


async def find_cart(db: Connection, phone_number_id: str, customer: str) -> Cart | None:
    """A customer's cart by either id; the one changed last when the ids began two conversations."""
    row = await db.fetchrow(
        """
        WITH own AS (
            SELECT conversation FROM cart WHERE phone_number_id = $1 AND (user_id = $2 OR wa_id = $2)
            UNION SELECT $1::text || ':' || $2::text
        ), onward AS (SELECT "into" FROM merged JOIN own USING (conversation) WHERE loop = 'cart.conversations')
        SELECT * FROM cart
        WHERE conversation IN (SELECT conversation FROM own UNION ALL SELECT "into" FROM onward)
        ORDER BY conversation IN (SELECT conversation FROM merged WHERE loop = 'cart.conversations'),
                 updated_at DESC NULLS LAST
        LIMIT 1
        """,
        phone_number_id,
        customer,
    )
    return None if row is None else _cart(row)


async def save_carts(db: Connection, carts: Sequence[Cart]) -> None:
    """Insert or replace these carts, in one statement."""
    await db.execute(
        """
        INSERT INTO cart (conversation, phone_number_id, shop, user_id, wa_id, currency, cart_id, version,
                          lines, note, last_order, waiting, shown_at, updated_at)
        SELECT conversation, phone_number_id, shop, user_id, wa_id, currency, cart_id, version,
               lines::jsonb, note, last_order, waiting::jsonb, shown_at, updated_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                    $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[],
                    $14::timestamptz[])
             AS new (conversation, phone_number_id, shop, user_id, wa_id, currency, cart_id, version,
                     lines, note, last_order, waiting, shown_at, updated_at)
        ON CONFLICT (conversation) DO UPDATE SET
            shop = excluded.shop, user_id = excluded.user_id, wa_id = excluded.wa_id,
            currency = excluded.currency, cart_id = excluded.cart_id, version = excluded.version,
            lines = excluded.lines, note = excluded.note, last_order = excluded.last_order,
            waiting = excluded.waiting, shown_at = excluded.shown_at, updated_at = excluded.updated_at
        """,
        [cart.conversation for cart in carts],
        [cart.phone_number_id for cart in carts],
        [cart.shop for cart in carts],
        [cart.customer.user_id for cart in carts],
        [cart.customer.wa_id for cart in carts],
        [cart.currency for cart in carts],
        [cart.cart_id for cart in carts],
        [cart.version for cart in carts],
        [_ENCODER.encode(cart.lines).decode() for cart in carts],
        [cart.note for cart in carts],
        [cart.last_order for cart in carts],
        [_ENCODER.encode(cart.waiting).decode() for cart in carts],
        [cart.shown_at for cart in carts],
        [cart.updated_at for cart in carts],
    )


async def load_products(
    db: Connection, shop_skus: Collection[tuple[str, str]], currencies: Mapping[str, str]
) -> dict[str, dict[str, Product]]:
    """shop → sku → product. One priced in another currency than its shop's is left out."""
    rows = await db.fetch(
        "SELECT shop, sku, title, price_minor, currency, sold_out, at_most FROM product "
        "JOIN unnest($1::text[], $2::text[]) AS wanted (shop, sku) USING (shop, sku)",
        [shop for shop, _ in shop_skus],
        [sku for _, sku in shop_skus],
    )
    shelves: dict[str, dict[str, Product]] = {}
    for shop, sku, title, price_minor, currency, sold_out, at_most in rows:
        if currencies.get(shop) == currency:
            shelves.setdefault(shop, {})[sku] = Product(sku, title, price_minor, sold_out, at_most)
    return shelves


async def save_products(db: Connection, products: Sequence[ProductChanged]) -> None:
    """Keep these products, each key once, where they are newer than what is known; in one statement."""
    await db.execute(
        """
        INSERT INTO product (shop, sku, version, title, price_minor, currency, sold_out, at_most)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[],
                             $7::boolean[], $8::int[])
        ON CONFLICT (shop, sku) DO UPDATE SET
            version = excluded.version, title = excluded.title, price_minor = excluded.price_minor,
            currency = excluded.currency, sold_out = excluded.sold_out, at_most = excluded.at_most
        WHERE product.version < excluded.version
        """,
        [product.shop for product in products],
        [product.sku for product in products],
        [product.version for product in products],
        [product.title.strip() or product.sku for product in products],
        [product.price_minor for product in products],
        [product.currency for product in products],
        [product.sold_out for product in products],
        [product.at_most for product in products],
    )


async def delete_products(db: Connection, shop_skus: Collection[tuple[str, str]]) -> None:
    """Forget these products, in one statement."""
    await db.execute(
        "DELETE FROM product USING unnest($1::text[], $2::text[]) AS gone (shop, sku) "
        "WHERE product.shop = gone.shop AND product.sku = gone.sku",
        [shop for shop, _ in shop_skus],
        [sku for _, sku in shop_skus],
    )


async def load_shown(db: Connection, conversations: Collection[str]) -> dict[str, bytes]:
    """What these conversations remember of messages with buttons; nothing for one that has none."""
    rows = await db.fetch(
        "SELECT conversation, memory FROM shown WHERE conversation = ANY($1::text[])", list(conversations)
    )
    return {row["conversation"]: row["memory"] for row in rows}


async def load_all_shown(db: Connection, conversations: Collection[str]) -> dict[str, bytes]:
    """The same, with what conversations that were merged into these remember: their buttons are still pressed."""
    rows = await db.fetch(
        """
        WITH known AS (
            SELECT own AS wanted, own AS conversation FROM unnest($1::text[]) AS own
            UNION ALL
            SELECT "into", conversation FROM merged WHERE loop = 'cart.conversations' AND "into" = ANY($1::text[])
        )
        SELECT wanted, string_agg(memory, ''::bytea ORDER BY conversation = wanted) AS memory
        FROM known JOIN shown USING (conversation) GROUP BY wanted
        """,
        list(conversations),
    )
    return {row["wanted"]: row["memory"] for row in rows}


async def save_shown(db: Connection, memories: Mapping[str, bytes]) -> None:
    """Keep these memories, in one statement."""
    conversations = sorted(memories)
    await db.execute(
        "INSERT INTO shown (conversation, memory) SELECT * FROM unnest($1::text[], $2::bytea[]) "
        "ON CONFLICT (conversation) DO UPDATE SET memory = excluded.memory",
        conversations,
        [memories[conversation] for conversation in conversations],
    )


def _cart(row: Record) -> Cart:
    return Cart(
        conversation=row["conversation"],
        phone_number_id=row["phone_number_id"],
        shop=row["shop"],
        customer=Customer(user_id=row["user_id"], wa_id=row["wa_id"]),
        currency=row["currency"],
        cart_id=row["cart_id"],
        version=row["version"],
        lines=_LINES.decode(row["lines"]),
        note=row["note"],
        last_order=row["last_order"],
        waiting=_WAITING.decode(row["waiting"]),
        shown_at=row["shown_at"],
        updated_at=row["updated_at"],
    )
