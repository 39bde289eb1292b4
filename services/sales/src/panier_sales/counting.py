"""What a sale is, and how events add up to a shop's day. Pure: no clock, no Kafka, no logging.

One `ShopDay` holds the figures of one shop, one day and one source partition, together with what it has
seen of each producer: both change in one value, so a record read again or published again counts once.

- carts are the carts that held something that day, checkouts those of them that were to be ordered.
- revenue, orders and items count what was sold: paid orders, and orders to be paid on collection at the
  moment they are placed, since their stock is sold at once. `paid` of the funnel counts payments only.
- a refund lowers the revenue of the day on which it was made; the order stays an order.
- an order to be paid on collection that the shop ends, cancelled or refunded, is taken back on the day of that.

A day that is over is closed: its figures stay, and what it had seen goes to one value of its partition.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple
from zlib import crc32
from zoneinfo import ZoneInfo

import msgspec
from panier_common.contracts import events as e
from panier_common.topics import CART, DAY_MS, ORDER

PAID_ON_COLLECTION = "placed"

# Carts that a value remembers, the last touched ones: whoever changes a cart again mostly does so soon. So the
# value stays small however long the day is; only a cart left alone while this many others of the same
# partition came by is counted once more.
REMEMBERED_CARTS = 256

# How long a day stays open behind the records that come in: they may wait for as long as their topics keep them, and
# two shops' calendars may be a day apart. What comes later still counts, once; only a cart may be counted once more.
OPEN_DAYS = max(CART.longest_kept_ms, ORDER.longest_kept_ms) // DAY_MS + 2

Counted = e.CartChanged | e.CheckoutRequested | e.OrderPlaced | e.OrderPaid | e.OrderRefunded | e.OrderCancelled
COUNTED: tuple[type[e.Event], ...] = (
    e.CartChanged,
    e.CheckoutRequested,
    e.OrderPlaced,
    e.OrderPaid,
    e.OrderRefunded,
    e.OrderCancelled,
)


class Sold(msgspec.Struct, frozen=True, array_like=True):
    """What was sold in one currency."""

    revenue_minor: int = 0
    orders: int = 0
    items: int = 0

    def plus(self, revenue_minor: int, orders: int = 0, items: int = 0) -> "Sold":
        return Sold(self.revenue_minor + revenue_minor, self.orders + orders, self.items + items)


class Funnel(msgspec.Struct, frozen=True, array_like=True):
    """How far customers came that day: a cart with something in it, a checkout, an order, a payment."""

    carts: int = 0
    checkouts: int = 0
    placed: int = 0
    paid: int = 0


class ShopDay(msgspec.Struct, frozen=True, omit_defaults=True):
    """One shop's day as far as one source partition tells it.

    `seen` is the last sequence number per producer; `filled` and `asked` are the carts counted as carts and
    as checkouts, as checksums, the last touched last. A closed day has neither.
    """

    seen: dict[str, int] = {}
    sold: dict[str, Sold] = {}
    funnel: Funnel = Funnel()
    filled: tuple[int, ...] = ()
    asked: tuple[int, ...] = ()


class Place(NamedTuple):
    """Where an event is counted: the table's key."""

    partition: int
    day: str
    shop: str

    @property
    def key(self) -> str:
        return f"{self.partition}|{self.day}|{self.shop}"


def former(partition: int) -> Place:
    """Where the partition keeps what its closed days had seen: of no day and no shop."""
    return Place(partition, "", "")


def place_of(key: str) -> Place:
    partition, day, shop = key.split("|", 2)
    return Place(int(partition), day, shop)


def day_of(at: datetime, timezone: str) -> str:
    """The date on the shop's wall calendar."""
    return at.astimezone(ZoneInfo(timezone)).date().isoformat()


def happened_at(event: Counted) -> datetime:
    return event.placed_at if isinstance(event, e.OrderPlaced) else event.at


def producer_of(topic: str, sequence: str, offset: int) -> tuple[str, int]:
    """Who published the record, and its number there, out of `panier_seq` (loop/home/n).

    A record without one is known by its offset, which guards against reading it again.
    """
    producer, _, number = sequence.rpartition("/")
    return (f"{topic}|{producer}", int(number)) if number.isdigit() else (topic, offset)


def apply(day: ShopDay, producer: str, number: int, event: Counted) -> ShopDay | None:
    """The day after the event; None when this producer's record was counted before."""
    if number <= day.seen.get(producer, -1):
        return None
    counted = count(day, event)
    return msgspec.structs.replace(counted, seen={**day.seen, producer: number})


def is_over(day: str, by: str) -> bool:
    """Whether a record of the later day shows that the day may be closed."""
    return (date.fromisoformat(by) - date.fromisoformat(day)).days > OPEN_DAYS


def close(day: ShopDay, seen_before: ShopDay) -> tuple[ShopDay, ShopDay]:
    """The day's figures alone, and what the closed days of its partition had seen, this one among them."""
    before = seen_before.seen
    later = {producer: max(number, before.get(producer, number)) for producer, number in day.seen.items()}
    return total([day]), ShopDay(seen={**before, **later})


def reopen(day: ShopDay, seen_before: ShopDay) -> ShopDay:
    """A closed day, made ready to count.

    An outbox publishes what it holds again whenever its service comes back, be it after weeks. But a producer's
    numbers rise within a partition whatever the day: none up to the highest that any closed day had seen is new.
    A day of which nothing was counted knows of none, since a database that begins anew counts from the beginning.
    """
    return day if day == ShopDay() else msgspec.structs.replace(day, seen=seen_before.seen)


def count(day: ShopDay, event: Counted) -> ShopDay:
    """The day with one event added to its figures."""
    match event:
        case e.CartChanged(cart_id=cart, lines=lines):
            return _fill(day, crc32(cart.encode())) if lines else day
        case e.CheckoutRequested(cart_id=cart):
            return _ask(day, crc32(cart.encode()))
        case e.OrderPlaced(state=state, currency=currency):
            placed = _step(day, placed=1)
            if state != PAID_ON_COLLECTION:
                return placed
            return _sell(placed, currency, event.total_minor, 1, items_in(event.lines))
        case e.OrderPaid(currency=currency):
            return _sell(_step(day, paid=1), currency, event.paid_minor, 1, items_in(event.lines))
        case e.OrderRefunded(currency=currency):
            return _take_back(day, event) if event.lines else _sell(day, currency, -event.refunded_minor)
        case e.OrderCancelled(currency=currency):
            return _take_back(day, event) if currency else day


def items_in(lines: tuple[e.Line, ...]) -> int:
    return sum(line.quantity for line in lines)


def _step(day: ShopDay, carts: int = 0, checkouts: int = 0, placed: int = 0, paid: int = 0) -> ShopDay:
    f = day.funnel
    steps = Funnel(f.carts + carts, f.checkouts + checkouts, f.placed + placed, f.paid + paid)
    return msgspec.structs.replace(day, funnel=steps)


def _fill(day: ShopDay, cart: int) -> ShopDay:
    counted = day if cart in day.filled else _step(day, carts=1)
    return msgspec.structs.replace(counted, filled=_touched(day.filled, cart))


def _ask(day: ShopDay, cart: int) -> ShopDay:
    counted = day if cart in day.asked else _step(day, checkouts=1)
    return msgspec.structs.replace(counted, asked=_touched(day.asked, cart))


def _touched(carts: tuple[int, ...], cart: int) -> tuple[int, ...]:
    return (*(c for c in carts if c != cart), cart)[-REMEMBERED_CARTS:]


def _sell(day: ShopDay, currency: str, revenue_minor: int, orders: int = 0, items: int = 0) -> ShopDay:
    sold = day.sold.get(currency, Sold()).plus(revenue_minor, orders, items)
    return msgspec.structs.replace(day, sold={**day.sold, currency: sold})


def _take_back(day: ShopDay, event: e.OrderCancelled | e.OrderRefunded) -> ShopDay:
    return _sell(day, event.currency, -event.sold_minor, -1, -items_in(event.lines))


def total(days: Iterable[ShopDay]) -> ShopDay:
    """The sum over source partitions (and over days); what was seen is left out."""
    sold: dict[str, Sold] = {}
    funnel = Funnel()
    for day in days:
        for currency, s in day.sold.items():
            sold[currency] = sold.get(currency, Sold()).plus(s.revenue_minor, s.orders, s.items)
        f = day.funnel
        funnel = Funnel(
            funnel.carts + f.carts,
            funnel.checkouts + f.checkouts,
            funnel.placed + f.placed,
            funnel.paid + f.paid,
        )
    return ShopDay(sold=sold, funnel=funnel)
