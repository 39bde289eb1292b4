"""The catalogue's two loops: what each wants, loads, decides and saves. No rule lives here."""

from collections.abc import Sequence

from panier_common.batch import Loop
from panier_common.contracts.events import (
    EnquiryRaised,
    MessageReceived,
    OrderCancelled,
    OrderExpired,
    OrderPaid,
    OrderPlaced,
    StockRequested,
)
from panier_common.effects import Publish
from panier_common.event import OWNER, Headers, Received, types_of
from panier_common.postgres import Connection
from panier_common.routing import CATALOG
from panier_common.topics import ENQUIRY, INBOUND, ORDER

from panier_catalog import browsing, db, handlers, search, stock
from panier_catalog.intake import BROWSING, Partitions, announce
from panier_catalog.shelf import Shelf
from panier_catalog.stock import Decision, Stockroom

STOCK = "catalog.stock"

_ORDER_EVENTS = types_of([StockRequested, OrderPlaced, OrderPaid, OrderCancelled, OrderExpired])


def browsing_loop() -> Loop[Shelf]:
    return Loop(BROWSING, (INBOUND, ENQUIRY), _is_ours, load_shelf, _answer, _nothing_to_save)


def stock_loop(partitions: Partitions) -> Loop[Stockroom]:
    async def save(connection: Connection, room: Stockroom) -> None:
        await save_stockroom(connection, room, partitions)

    return Loop(STOCK, (ORDER,), _is_about_stock, load_stockroom, _count, save, remembers=False)


def _is_ours(topic: str, headers: Headers) -> bool:
    return headers.get(OWNER) == CATALOG


def _is_about_stock(topic: str, headers: Headers) -> bool:
    return headers.get("ce_type") in _ORDER_EVENTS


async def load_shelf(connection: Connection, batch: Sequence[Received]) -> Shelf:
    """What the questions of this batch need: at most six statements, none for what nobody asks."""
    asks = [
        (received, received.event.shop, ask)
        for received in batch
        if isinstance(received.event, MessageReceived | EnquiryRaised)
        and received.event.shop is not None
        and (ask := browsing.asked(received.event)) is not None
    ]
    shelf = Shelf()
    if not asks:
        return shelf
    shelf.shops = await db.load_shops(connection, (shop for _, shop, _ in asks))
    asks = [ask for ask in asks if ask[1] in shelf.shops]
    if shops := [shop for _, shop, ask in asks if _needs_collections(ask)]:
        shelf.collections = await db.load_collections(connection, shops)
    if pages := [(shop, a.name, a.page) for _, shop, a in asks if isinstance(a, browsing.Collection)]:
        shelf.pages = await db.load_pages(connection, pages)
    if skus := [(shop, a.sku) for _, shop, a in asks if isinstance(a, browsing.Product)]:
        shelf.products = await db.load_products(connection, skus)
    searches = [(received, shop, a) for received, shop, a in asks if isinstance(a, browsing.Search)]
    if searches:
        shelf.hits = await _hits(connection, shelf, searches)
    return shelf


def _needs_collections(ask: browsing.Ask) -> bool:
    match ask:
        case browsing.Greeting() | browsing.Catalogue() | browsing.Menu() | browsing.Collection():
            return True
        case browsing.Search(text=text):
            return browsing.greets(text)
        case _:
            return False


async def _hits(
    connection: Connection, shelf: Shelf, searches: Sequence[tuple[Received, str, browsing.Search]]
) -> dict[str, list[search.Hit]]:
    """The hits of each search by its record's id; many customers looking for one thing are one query."""
    queries: dict[tuple[str, tuple[search.Term, ...]], list[str]] = {}
    for received, shop, ask in searches:
        configured = shelf.shops[shop]
        languages = (handlers.language_of(received, configured), *configured.languages)
        queries.setdefault((shop, tuple(search.terms(ask.text, languages))), []).append(received.id)
    found = await db.search(connection, list(queries))
    return {one: hits for ids, hits in zip(queries.values(), found, strict=True) for one in ids}


def _answer(shelf: Shelf, received: Received) -> Sequence[Publish]:
    match received.event:
        case MessageReceived() as message:
            return [Publish(m) for m in handlers.answer_message(shelf, received, message)]
        case EnquiryRaised() as enquiry:
            return [Publish(m) for m in handlers.answer_enquiry(shelf, received, enquiry)]
        case _:
            return []


async def _nothing_to_save(connection: Connection, shelf: Shelf) -> None:
    """Answering changes nothing of the catalogue's own."""


async def load_stockroom(connection: Connection, batch: Sequence[Received]) -> Stockroom:
    """The orders' holds, then every product they name, locked: two statements."""
    holds = await db.load_holds(connection, (_order_of(received) for received in batch))
    keys = {(hold.shop, sku) for hold in holds.values() for sku, _ in hold.quantities}
    for received in batch:
        if isinstance(received.event, StockRequested):
            keys |= {(received.event.shop, line.sku) for line in received.event.lines}
    return Stockroom(await db.lock_items(connection, keys), holds)


def _order_of(received: Received) -> str:
    return str(getattr(received.event, "order_id", ""))


def _count(room: Stockroom, received: Received) -> Sequence[Publish]:
    decision = decided(room, received)
    room.take(decision, received.at)
    return [Publish(event) for event in decision.events]


def decided(room: Stockroom, received: Received) -> Decision:
    """What the event's handler decides."""
    match received.event:
        case StockRequested() as request:
            return handlers.reserve_stock(room, received, request)
        case OrderPlaced() as order:
            return handlers.sell_placed_stock(room, received, order)
        case OrderPaid() as order:
            return handlers.sell_paid_stock(room, received, order)
        case OrderCancelled() as order:
            return handlers.release_cancelled_stock(room, received, order)
        case OrderExpired() as order:
            return handlers.release_expired_stock(room, received, order)
        case _:
            return Decision()


async def save_stockroom(connection: Connection, room: Stockroom, partitions: Partitions) -> None:
    """Holds and counts, one statement each; what is scarce, sold out or back is told to everybody.

    They are told by the sequence that imports use too, which is a product's own: the products' rows are locked,
    so nobody reads an older version of a product after a newer one.
    """
    news = {item.key: item for item in stock.news(room.before.values(), room.items)}
    items = [news.get(key, item) for key, item in room.items.items() if item != room.before[key]]
    if items:
        await db.save_items(connection, items)
    if room.changed:
        await db.save_holds(connection, [room.holds[order] for order in sorted(room.changed)])
    if news and room.at is not None:
        changes = await db.load_changes(connection, news)
        await announce(connection, changes, partitions, room.at)
