"""What one batch of questions needs to know of the shops: rows as loaded, changed by nobody. Pure."""

from dataclasses import dataclass, field

from panier_common.contracts.events import ShopConfigured
from panier_common.contracts.outbound import MAX_PRODUCTS

from panier_catalog.search import Hit

PAGE = MAX_PRODUCTS


@dataclass(frozen=True, slots=True)
class Product:
    """A product as customers see it. `available` is None when the shop counts no stock of it."""

    sku: str
    title: str
    description: str
    collection: str
    price_minor: int
    currency: str
    available: int | None
    sold_out: bool


@dataclass(frozen=True, slots=True)
class CollectionSize:
    """A collection and how many of its products are not sold out."""

    name: str
    count: int

    @property
    def pages(self) -> int:
        return -(-self.count // PAGE)


@dataclass
class Shelf:
    """What was loaded, by what was asked for.

    `pages`: shop, collection and page → skus; `products`: shop and sku or Meta's number; `hits`: the id of the
    record that searches.
    """

    shops: dict[str, ShopConfigured] = field(default_factory=dict)
    collections: dict[str, list[CollectionSize]] = field(default_factory=dict)
    pages: dict[tuple[str, str, int], list[str]] = field(default_factory=dict)
    products: dict[tuple[str, str], Product] = field(default_factory=dict)
    hits: dict[str, list[Hit]] = field(default_factory=dict)
