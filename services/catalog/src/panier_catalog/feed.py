"""Meta's product feed (CSV): rows of text to products, or the reason why not. Pure.

Rows are numbered as a spreadsheet shows them: the header is row 1. A bad row stops no other. A product that
is missing from a later feed stays as it is: an import adds and changes, it never takes away.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from panier_common.contracts.outbound import clip
from panier_common.money import parse_price
from panier_common.routing import product_link, reply_id

REQUIRED = ("id", "title", "description", "availability", "condition", "price", "link", "image_link")
IDENTIFIERS = ("brand", "gtin", "mpn")
OFFERED = {
    "in stock": True,
    "available for order": True,
    "available": True,
    "preorder": True,
    "out of stock": False,
    "discontinued": False,
}
MAX_QUANTITY = 1_000_000
_LIMITS = {"title": 200, "description": 9999, "brand": 100, "link": 2000, "image_link": 2000}
_COLLECTION = 60
_ENCODED_COLLECTION = 170  # the rest of a reply id's 200 are `catalog:collection:` and a page
_DATES = "2026-07-01T08:00+02:00/2026-07-31T20:00+02:00"
_DELIMITERS = ",;\t"


class FeedError(ValueError):
    """The feed as a whole cannot be read. `hint` says what to do about it."""

    def __init__(self, code: str, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.code, self.detail, self.hint = code, detail, hint


class _BadRowError(ValueError):
    """Why this row is no product."""


@dataclass(frozen=True, slots=True)
class FeedProduct:
    """A row that is a product. `quantity` is what can be sold, as of this feed; None: no stock is counted."""

    sku: str
    title: str
    description: str
    collection: str
    brand: str
    price_minor: int
    currency: str
    link: str
    image_link: str
    meta_id: str | None
    offered: bool
    quantity: int | None

    @property
    def names(self) -> str:
        """What people call it by."""
        return f"{self.title} {self.collection} {self.brand}"


@dataclass(frozen=True, slots=True)
class Rejected:
    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Feed:
    """The rows of a feed, and the products among them."""

    products: tuple[FeedProduct, ...]
    rejected: tuple[Rejected, ...]


def decoded(body: bytes) -> str:
    """The feed's text. Raises FeedError when it is not UTF-8."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FeedError("feed_encoding", f"byte {error.start} is not UTF-8", "Save the file as CSV in UTF-8.") from None


def read(text: str, currency: str, other: str, now: datetime | None = None) -> Feed:
    """All rows of a feed for a shop of this currency; products of no type go to the collection `other`.

    A sale of certain dates counts if `now` is within them; without it, rows are only judged and no such sale counts.
    Raises FeedError when the header is missing or lacks a column.
    """
    lines = list(io.StringIO(text, newline=""))
    start = next((at for at, line in enumerate(lines) if line.strip()), 0)
    delimiter = max(_DELIMITERS, key=lines[start].count) if lines else ","
    header = _header(next(csv.reader(lines[start:], delimiter=delimiter), []))
    products: dict[str, FeedProduct] = {}
    rejected: list[Rejected] = []
    seen_in: dict[str, int] = {}
    for number, row in _numbered(lines, start + 1, delimiter, len(header)):
        try:
            product = _product(_fields(header, row), currency, other, now)
            if product.sku in seen_in:
                raise _BadRowError(f"id `{product.sku}` was already in row {seen_in[product.sku]}")
        except _BadRowError as error:
            rejected.append(Rejected(number, str(error)))
        else:
            seen_in[product.sku] = number
            products[product.sku] = product
    return Feed(tuple(products.values()), tuple(rejected))


def _header(row: Sequence[str]) -> list[str]:
    names = [name.strip().lower() for name in row]
    missing = [name for name in REQUIRED if name not in names]
    if not set(names) & set(IDENTIFIERS):
        missing.append("brand")
    if missing:
        raise FeedError(
            "feed_columns",
            f"the first row lacks {', '.join(f'`{name}`' for name in missing)}",
            f"The first row names the columns: {','.join((*REQUIRED, 'brand'))}.",
        )
    return names


def _numbered(
    lines: Sequence[str], at: int, delimiter: str, columns: int
) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Each row from line `at` on that is not blank, with its number; what is not CSV comes as its error.

    A quote left open would swallow the rows after it. A row of several lines that comes out wrong is therefore
    given up after its first line, and reading goes on with the next.
    """
    number = 1
    while at < len(lines):
        number += 1
        reader = csv.reader((lines[n] for n in range(at, len(lines))), delimiter=delimiter, strict=True)
        row: list[str] | csv.Error
        try:
            row = next(reader)
            if reader.line_num > 1 and len(row) != columns:
                row = csv.Error("several lines are one row")
        except csv.Error as error:
            row = error
        at += 1 if isinstance(row, csv.Error) else reader.line_num
        if isinstance(row, csv.Error) or any(field.strip() for field in row):
            yield number, row


def _fields(header: Sequence[str], row: list[str] | csv.Error) -> dict[str, str]:
    if isinstance(row, csv.Error):
        raise _BadRowError(f"not CSV: {row}; is a quote left open?")
    if len(row) > len(header) and any(field.strip() for field in row[len(header) :]):
        raise _BadRowError(f"{len(row)} fields for {len(header)} columns; does a field with a comma lack quotes?")
    fields = dict.fromkeys(header, "") | dict(zip(header, map(str.strip, row), strict=False))
    if any("\0" in value for value in fields.values()):
        raise _BadRowError("holds a character U+0000")
    return fields


def _product(fields: dict[str, str], currency: str, other: str, now: datetime | None) -> FeedProduct:
    for name in ("id", "title", "availability", "price"):
        if not fields[name]:
            raise _BadRowError(f"`{name}` is empty")
    texts = {name: " ".join(fields.get(name, "").split()) for name in _LIMITS}
    for name, limit in _LIMITS.items():
        if len(texts[name]) > limit:
            raise _BadRowError(f"`{name}` has {len(texts[name])} characters; {limit} are allowed")
    price_minor = _price("price", fields["price"], currency)
    if sale := fields.get("sale_price"):
        sale_minor = _price("sale_price", sale, currency)
        if _on_sale(fields.get("sale_price_effective_date", ""), now):
            price_minor = sale_minor
    return FeedProduct(
        sku=_sku(fields["id"]),
        title=texts["title"],
        description=texts["description"],
        collection=_collection(fields.get("product_type", "")) or other,
        brand=texts["brand"],
        price_minor=price_minor,
        currency=currency,
        link=_address("link", texts["link"]),
        image_link=_address("image_link", texts["image_link"]),
        meta_id=product_link(texts["link"]) or None,
        offered=_offered(fields["availability"]),
        quantity=_quantity(fields.get("quantity_to_sell_on_facebook", "")),
    )


def _sku(text: str) -> str:
    if len(text) > 100:
        raise _BadRowError(f"`id` has {len(text)} characters; 100 are allowed")
    try:
        # The longest button that carries it must still be one that WhatsApp takes.
        reply_id("checkout", "collection", text)
    except ValueError:
        raise _BadRowError("`id` is too long for a button once its special characters are encoded") from None
    return text


def _price(name: str, text: str, currency: str) -> int:
    try:
        price = parse_price(text)
    except ValueError as error:
        raise _BadRowError(f"`{name}`: {error}") from None
    if price.currency != currency:
        raise _BadRowError(f"`{name}` is in {price.currency}; the shop sells in {currency}")
    return price.minor


def _on_sale(dates: str, now: datetime | None) -> bool:
    """Whether it is time for a sale of these dates (`begin/end`); one without dates is always on."""
    if not dates:
        return True
    try:
        begins, ends = (text.strip() for text in dates.split("/"))
        # An end that is a date alone is the whole of that day.
        begin, end = _time(begins), _time(ends) + timedelta(days=len(ends) <= len("2026-07-31"))
        if begin > end:
            raise ValueError("it ends before it begins")
    except (ValueError, OverflowError):
        raise _BadRowError(
            f"`sale_price_effective_date` is `{clip(dates, 60)}`, no begin and later end like {_DATES}"
        ) from None
    return now is not None and begin <= now < end


def _time(text: str) -> datetime:
    """A time or a date, of UTC when it says no zone."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _offered(text: str) -> bool:
    known = OFFERED.get(" ".join(text.lower().replace("_", " ").split()))
    if known is None:
        raise _BadRowError(f"`availability` is `{clip(text, 40)}`; known are {', '.join(OFFERED)}")
    return known


def _quantity(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > MAX_QUANTITY:
        raise _BadRowError(
            f"`quantity_to_sell_on_facebook` is `{clip(text, 40)}`, no whole number from 0 to {MAX_QUANTITY}"
        )
    return int(text)


def _address(name: str, text: str) -> str:
    if text and not text.lower().startswith(("https://", "http://")):
        raise _BadRowError(f"`{name}` is `{clip(text, 60)}`, no address that begins with https:// or http://")
    return text


def _collection(product_type: str) -> str:
    """The last part of `Food > Bread`, as short as a row's id needs it."""
    name = clip(" ".join(product_type.rpartition(">")[2].split()), _COLLECTION)
    while len(quote(name, safe="")) > _ENCODED_COLLECTION:
        name = clip(name, len(name) - 1)
    return name


def chunks(products: Sequence[FeedProduct], size: int) -> Iterable[Sequence[FeedProduct]]:
    """The products in groups of `size`, ordered by sku: rows are locked in the order of stock's."""
    ordered = sorted(products, key=lambda product: product.sku)
    return (ordered[at : at + size] for at in range(0, len(ordered), size))
