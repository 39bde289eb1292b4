"""Words to tell the catalogue's tests in: a shop of garden things, its customers, and what becomes of events."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

from panier_catalog.feed import FeedProduct
from panier_catalog.shelf import Product
from panier_catalog.stock import Item
from panier_common.contracts.events import (
    Customer,
    EnquiryRaised,
    Event,
    Line,
    MessageReceived,
    MessageRequested,
    Number,
    ShopConfigured,
    StockRequested,
)
from panier_common.contracts.inbound import Content, Context, Reply, Text
from panier_common.contracts.outbound import Message, unpacked
from panier_common.event import Received
from panier_common.topics import TOPIC_OF

NUMBER, SHOP = "700000000000099", "garden"
CUSTOMER = Customer(user_id="FR.31", wa_id="33600000031")
CONVERSATION = f"{NUMBER}:FR.31"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

GARDEN = ShopConfigured(
    SHOP,
    1,
    "Le Jardin d'Ada",
    ("fr", "en"),
    "EUR",
    "Europe/Paris",
    "700000000000077",
    (Number(NUMBER, "+33 1 00 00 00 99", "GARDEN_TOKEN"),),
    True,
    None,
    "simulated",
    1800.0,
)

_serial = count(1)


def received(event: Event, *, language: str | None = None, record: str | None = None) -> Received:
    n = next(_serial)
    topic = TOPIC_OF[type(event)].name
    return Received(topic, 0, n, record or f"record-{n}", NOON + timedelta(seconds=n), event, {}, language)


def message(content: Content, context: Context | None = None, *, shop: str | None = SHOP) -> MessageReceived:
    return MessageReceived(
        CONVERSATION, NUMBER, CUSTOMER, f"wamid.{next(_serial)}", NOON, content, shop=shop, context=context
    )


def says(text: str, context: Context | None = None) -> MessageReceived:
    return message(Text(text), context)


def presses(reply: str) -> MessageReceived:
    return message(Reply(reply, "…"))


def enquires(text: str, reply: str | None = None, *, shop: str = SHOP) -> EnquiryRaised:
    wamid = f"wamid.{next(_serial)}"
    return EnquiryRaised(CONVERSATION, NUMBER, shop, CUSTOMER, "catalog", text, wamid, NOON, reply)


def shown(requests: Iterable[MessageRequested]) -> list[Message]:
    return [unpacked(request.message) for request in requests]


def product(sku: str = "spade", **fields: object) -> Product:
    known = {
        "sku": sku,
        "title": f"The {sku}",
        "description": "Good steel",
        "collection": "Tools",
        "price_minor": 1990,
        "currency": "EUR",
        "available": None,
        "sold_out": False,
    }
    return Product(**(known | fields))  # type: ignore[arg-type]


def item(sku: str, loaded: int | None = 5, **fields: object) -> Item:
    known = {
        "shop": SHOP,
        "sku": sku,
        "version": 1,
        "title": f"The {sku}",
        "price_minor": 1990,
        "currency": "EUR",
        "offered": True,
        "loaded": loaded,
        "reserved": 0,
        "sold": 0,
    }
    return Item(**(known | fields))  # type: ignore[arg-type]


def request(order: str, *lines: tuple[str, int], unit: int = 1990, currency: str = "EUR") -> StockRequested:
    return StockRequested(
        CONVERSATION,
        SHOP,
        order,
        tuple(Line(sku, f"The {sku}", quantity, unit) for sku, quantity in lines),
        currency,
        NOON,
    )


def fed(sku: str, title: str, collection: str = "Outils", **fields: object) -> FeedProduct:
    known = {
        "sku": sku,
        "title": title,
        "description": "",
        "collection": collection,
        "brand": "",
        "price_minor": 1990,
        "currency": "EUR",
        "link": "",
        "image_link": "",
        "meta_id": None,
        "offered": True,
        "quantity": None,
    }
    return FeedProduct(**(known | fields))  # type: ignore[arg-type]


FEED_HEADER = (
    "id,title,description,availability,condition,price,link,image_link,brand,product_type,quantity_to_sell_on_facebook"
)


def feed_text(*rows: str) -> str:
    return "\n".join((FEED_HEADER, *rows)) + "\n"


def row(sku: str, title: str = "Bêche", price: str = "19.90 EUR", quantity: str = "5", **fields: str) -> str:
    availability = fields.get("availability", "in stock")
    collection = fields.get("collection", "Outils")
    return f"{sku},{title},,{availability},new,{price},,,Ada,{collection},{quantity}"


async def twelve() -> int:
    return 12


def texts(messages: Sequence[Message]) -> str:
    return "\n".join(message.model_dump_json() for message in messages)
