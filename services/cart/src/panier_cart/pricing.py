"""What a line costs and whether it can be had, by the products as they are now. Pure.

The price on the customer's phone is what the customer saw: a difference is told, never charged.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from panier_common.contracts.events import Line
from panier_common.contracts.inbound import OrderItem
from panier_common.contracts.outbound import clip
from panier_common.money import minor_units

from panier_cart.cart import CartLine, Product, Shelf

MAX_QUANTITY = 99  # WhatsApp's own limit for one item of a cart
MAX_LINES = 100
NAME_LIMIT = 60

_PLAIN_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class Wanted(msgspec.Struct, frozen=True):
    """A product somebody wants in the cart. `seen_minor` is the price they saw, when that could be read."""

    sku: str
    quantity: int | None = 1
    seen_minor: int | None = None
    title: str = ""


class Notice(msgspec.Struct, frozen=True):
    """Something the customer is told about one product; prices only with `price`, `limit` only with a limit."""

    kind: Literal["price", "sold_out", "gone", "capped", "scarce", "quantity", "full"]
    name: str
    was_minor: int = 0
    now_minor: int = 0
    limit: int = 0


Lines = tuple[CartLine, ...]


def seen_minor(item: OrderItem, currency: str) -> int | None:
    """The price the phone showed, None when it cannot be read as an amount of that currency."""
    if item.price is None or _PLAIN_DECIMAL.fullmatch(item.price) is None:
        return None
    try:
        return minor_units(item.price, currency)
    except ValueError:
        return None


def wanted_of_order(items: Iterable[OrderItem], currency: str) -> list[Wanted]:
    """What a WhatsApp cart asks for."""
    return [Wanted(item.sku, item.quantity, seen_minor(item, currency)) for item in items]


def wanted_again(lines: Iterable[Line]) -> list[Wanted]:
    """What an earlier order held; the prices of then are what the customer saw."""
    return [Wanted(line.sku, line.quantity, line.unit_minor, line.title) for line in lines]


def other_currency(items: Iterable[OrderItem], currency: str) -> str | None:
    """The first currency among the items that is not the shop's."""
    return next((i.currency for i in items if i.currency is not None and i.currency != currency), None)


def refreshed(lines: Lines, shelf: Shelf) -> tuple[Lines, list[Notice]]:
    """The lines as they can be had now: at today's prices, no more than there is, without what is gone."""
    kept: list[CartLine] = []
    notices: list[Notice] = []
    for line in lines:
        product = shelf.get(line.sku)
        if product is None or product.sold_out:
            notices.append(Notice("gone" if product is None else "sold_out", clip(line.title, NAME_LIMIT)))
            continue
        if product.unit_minor != line.unit_minor:
            notices.append(_price_notice(product, line.unit_minor))
        quantity, too_many = _limited(product, line.quantity)
        now = CartLine(line.sku, product.title, quantity, product.unit_minor, line.since)
        kept.append(line if now == line else now)
        notices += too_many
    return tuple(kept), notices


def taken_in(lines: Lines, wanted: Sequence[Wanted], shelf: Shelf, version: int) -> tuple[Lines, list[Notice]]:
    """The lines with what is wanted added, at today's prices; `version` is what the cart becomes by it."""
    held = {line.sku: line for line in lines}
    notices: list[Notice] = []
    for want in wanted:
        product = shelf.get(want.sku)
        before = held.get(want.sku)
        if product is None or product.sold_out:
            notices.append(_missing(want, product))
            continue
        name = clip(product.title, NAME_LIMIT)
        if want.quantity is None or want.quantity < 1:
            notices.append(Notice("quantity", name))
            continue
        if before is None and len(held) >= MAX_LINES:
            notices.append(Notice("full", name, limit=MAX_LINES))
            continue
        quantity, too_many = _limited(product, want.quantity + (before.quantity if before else 0))
        notices += too_many
        if want.seen_minor is not None and want.seen_minor != product.unit_minor:
            notices.append(_price_notice(product, want.seen_minor))
        held[want.sku] = CartLine(
            want.sku,
            product.title,
            quantity,
            product.unit_minor,
            before.since if before else version,
        )
    return tuple(held.values()), notices


def _limited(product: Product, quantity: int) -> tuple[int, list[Notice]]:
    """The quantity a cart may hold of this product, and what is to be said when that is less."""
    most = MAX_QUANTITY if product.at_most is None else min(product.at_most, MAX_QUANTITY)
    if quantity <= most:
        return quantity, []
    kind: Literal["capped", "scarce"] = "capped" if most == MAX_QUANTITY else "scarce"
    return most, [Notice(kind, clip(product.title, NAME_LIMIT), limit=most)]


def _price_notice(product: Product, was_minor: int) -> Notice:
    return Notice("price", clip(product.title, NAME_LIMIT), was_minor, product.unit_minor)


def _missing(want: Wanted, product: Product | None) -> Notice:
    name = product.title if product else want.title or want.sku
    return Notice("sold_out" if product else "gone", clip(name, NAME_LIMIT) or "?")
