"""What the cart service knows and passes around: frozen data. It holds no rules and touches nothing outside."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, TypeAlias

import msgspec
from panier_common.contracts.events import Customer, Event, Line
from panier_common.contracts.inbound import Content


class Product(msgspec.Struct, frozen=True):
    """A product as the cart last heard of it, priced in its shop's currency.

    `at_most` is how many can be had of it, None where there are enough for any cart.
    """

    sku: str
    title: str
    unit_minor: int
    sold_out: bool
    at_most: int | None = None


Shelf: TypeAlias = Mapping[str, Product]
"""One shop's products by sku: those that the matter at hand needs."""


class CartLine(msgspec.Struct, frozen=True):
    """One product in a cart. `since` is the version with which the line came in."""

    sku: str
    title: str
    quantity: int
    unit_minor: int
    since: int

    @property
    def total_minor(self) -> int:
        return self.quantity * self.unit_minor

    def published(self) -> Line:
        return Line(self.sku, self.title, self.quantity, self.unit_minor)


class Ask(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a customer asks of the cart, whichever way it came; `language` is the one to answer in.

    `old` says whether the message that held the pressed button was sent long ago; None when nobody knows.
    """

    conversation: str
    phone_number_id: str
    shop: str
    customer: Customer
    wamid: str
    at: datetime
    language: str
    content: Content
    old: bool | None = None


class Cart(msgspec.Struct, frozen=True):
    """The one cart of a conversation. It stays when it is empty, and its version only ever grows.

    `cart_id` is new each time lines come into an empty cart. `last_order` is the last order whose lines were
    taken out. `waiting` are asks put off until the catalogue had time to tell of their products, in order.
    `shown_at` is when the customer was last shown the cart's buttons, by the time of the message answered.
    """

    conversation: str
    phone_number_id: str
    shop: str
    customer: Customer
    currency: str
    cart_id: str = ""
    version: int = 0
    lines: tuple[CartLine, ...] = ()
    note: str = ""
    last_order: str | None = None
    waiting: tuple[Ask, ...] = ()
    shown_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def total_minor(self) -> int:
        return sum(line.total_minor for line in self.lines)

    def line(self, sku: str) -> CartLine | None:
        return next((line for line in self.lines if line.sku == sku), None)


class CatalogueAwaited(Event, frozen=True):
    """A timer of the cart's own: the time for products nobody had heard of is over."""

    ce_type: ClassVar[str] = "panier.catalogue.awaited.v1"
    conversation: str
