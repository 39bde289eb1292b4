"""What Meta knows of the shops: their numbers, their catalogues, their access tokens.

Read from the shops file and the product feeds by this package's own small reader, so that the simulator
depends on the published formats alone. It judges no feed: that is the catalog service's work; a row
without id, title or readable price is left out.
"""

import csv
import io
import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlparse


@dataclass(frozen=True)
class Product:
    sku: str
    title: str
    description: str
    price: Decimal
    currency: str
    collection: str
    available: bool
    picture: Path | None

    def document(self, shop_id: str) -> dict[str, Any]:
        """The product as the phone shows it; `price` is a decimal string."""
        picture = None
        if self.picture:
            picture = f"/pictures/{quote(shop_id, safe='')}/{quote(self.picture.name, safe='')}"
        return {
            "sku": self.sku,
            "title": self.title,
            "description": self.description,
            "price": str(self.price),
            "currency": self.currency,
            "collection": self.collection,
            "available": self.available,
            "picture": picture,
        }


@dataclass(frozen=True)
class Number:
    """A business phone number: `display` is for people, `digits` is its WhatsApp id."""

    phone_number_id: str
    display: str
    token: str | None

    @property
    def digits(self) -> str:
        return "".join(character for character in self.display if character.isdigit())


@dataclass
class Shop:
    id: str
    name: str
    account_id: str
    catalog_id: str
    currency: str
    languages: list[str]
    numbers: list[Number]
    feed: Path | None
    products: dict[str, Product] = field(default_factory=dict)

    def load(self, text: str) -> None:
        """Take a product feed as the whole catalogue."""
        folder = self.feed.parent / "pictures" if self.feed else None
        self.products = {product.sku: product for product in read_feed(text, folder)}


class Shops:
    """Every shop of the shops file, found by number or by id."""

    def __init__(self, shops: list[Shop]) -> None:
        self.all = {shop.id: shop for shop in shops}
        self.by_number = {number.phone_number_id: (shop, number) for shop in shops for number in shop.numbers}


def read_shops(path: Path) -> Shops:
    """Read the shops file and each shop's feed, whose path is relative to the file."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    shops = []
    for index, entry in enumerate(document.get("shop", []), 1):
        shop = Shop(
            id=entry["id"],
            name=entry["name"],
            account_id=str(entry.get("business_account_id") or entry.get("account_id", 100_000_000_000_000 + index)),
            catalog_id=str(entry.get("catalog_id", "")),
            currency=entry.get("currency", "EUR"),
            languages=list(entry.get("languages", ["en"])),
            numbers=[_number(number) for number in entry.get("number", [])],
            feed=path.parent / entry["catalogue"] if entry.get("catalogue") else None,
        )
        if shop.feed and shop.feed.is_file():
            shop.load(shop.feed.read_text(encoding="utf-8-sig"))
        shops.append(shop)
    return Shops(shops)


def _number(entry: dict[str, Any]) -> Number:
    variable = entry.get("access_token_env", "")
    token = os.environ.get(variable) if variable else None
    if variable and not token and (path := os.environ.get(f"{variable}_FILE")):
        token = Path(path).read_text(encoding="utf-8").strip()
    return Number(str(entry["phone_number_id"]), entry.get("display", ""), token)


def read_feed(text: str, pictures: Path | None) -> Iterable[Product]:
    """Products of one of Meta's CSV feeds; a picture counts only when its file lies in `pictures`."""
    for row in csv.DictReader(io.StringIO(text)):
        sku, title = (row.get("id") or "").strip(), (row.get("title") or "").strip()
        price = _price(row.get("sale_price")) or _price(row.get("price"))
        if not sku or not title or price is None:
            continue
        stock = (row.get("quantity_to_sell_on_facebook") or "").strip()
        yield Product(
            sku=sku,
            title=title,
            description=(row.get("description") or "").strip(),
            price=price[0],
            currency=price[1],
            collection=(row.get("product_type") or "").strip(),
            available=(row.get("availability") or "in stock").strip() == "in stock" and stock != "0",
            picture=_picture(row.get("image_link"), pictures),
        )


def _price(text: str | None) -> tuple[Decimal, str] | None:
    amount, _, currency = (text or "").strip().partition(" ")
    try:
        return Decimal(amount), currency.strip().upper()
    except InvalidOperation:
        return None


def _picture(link: str | None, pictures: Path | None) -> Path | None:
    name = Path(unquote(urlparse(link or "").path)).name
    path = pictures / name if pictures and name else None
    return path if path and path.is_file() else None
