"""What may be promised: counts of products and the holds of orders on them. Pure; no SQL, no clock.

A hold's state only moves forward: (nothing, refused) → reserved → sold → released. Only an order's own events
move it, never time.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from panier_common.contracts.events import (
    Event,
    ShortLine,
    StockRefused,
    StockRequested,
    StockReserved,
)

RESERVED, REFUSED, SOLD, RELEASED = "reserved", "refused", "sold", "released"

SCARCE = 99
"""What one cart may hold of a product: carts are told how many are left where there are fewer."""

Key = tuple[str, str]
"""(shop, sku)"""


@dataclass(frozen=True, slots=True)
class Item:
    """A product as stock sees it. `loaded` is None when the shop counts no stock of it."""

    shop: str
    sku: str
    version: int
    title: str
    price_minor: int
    currency: str
    offered: bool
    loaded: int | None
    reserved: int
    sold: int

    @property
    def key(self) -> Key:
        return self.shop, self.sku

    @property
    def available(self) -> int | None:
        """What can still be promised; None: as many as are wanted."""
        if not self.offered:
            return 0
        return None if self.loaded is None else max(self.loaded - self.reserved - self.sold, 0)

    @property
    def at_most(self) -> int | None:
        """What carts are told can be had of it; None: enough for any of them."""
        available = self.available
        return None if available is None or available >= SCARCE else available


@dataclass(frozen=True, slots=True)
class Hold:
    """What an order holds: `quantities` of skus. `request` is the id of the StockRequested it answers."""

    order_id: str
    shop: str
    state: str
    request: str = ""
    quantities: tuple[tuple[str, int], ...] = ()
    refusal: StockRefused | None = None


@dataclass
class Stockroom:
    """What one batch works with: rows as loaded, and as they are after the records decided so far."""

    items: dict[Key, Item]
    holds: dict[str, Hold]
    before: dict[Key, Item] = field(init=False)
    changed: set[str] = field(default_factory=set)
    at: datetime | None = None

    def __post_init__(self) -> None:
        self.before = dict(self.items)

    def take(self, decision: "Decision", at: datetime) -> None:
        """Put the rows of a decision in place of the old ones."""
        self.at = at
        self.items |= {item.key: item for item in decision.items}
        if decision.hold is not None:
            self.holds[decision.hold.order_id] = decision.hold
            self.changed.add(decision.hold.order_id)


@dataclass(frozen=True, slots=True)
class Decision:
    """The rows to put in place of the old ones, and what is said about it."""

    hold: Hold | None = None
    items: tuple[Item, ...] = ()
    events: tuple[Event, ...] = ()


def wanted(request: StockRequested) -> dict[str, int]:
    """sku → quantity over all lines. Raises ValueError for a quantity that is none."""
    counted: Counter[str] = Counter()
    for line in request.lines:
        if line.quantity < 1:
            raise ValueError(f"order {request.order_id} asks for {line.quantity} of a product")
        counted[line.sku] += line.quantity
    return dict(counted)


def decide(request: StockRequested, request_id: str, items: Mapping[Key, Item], at: datetime) -> Decision:
    """Reserve every line, or nothing: the one moment when price and stock are true together."""
    quantities = wanted(request)
    found = {sku: items.get((request.shop, sku)) for sku in quantities}
    short = tuple(
        _in_the_way(request, sku, item, quantities[sku])
        for sku, item in found.items()
        if item is None or item.currency != request.currency or _lacks(item, quantities[sku])
    )
    repriced = tuple(
        _in_the_way(request, line.sku, item, line.quantity)
        for line in request.lines
        if (item := found[line.sku]) is not None
        and item.currency == request.currency
        and item.price_minor != line.unit_minor
    )
    hold = Hold(request.order_id, request.shop, RESERVED, request_id, tuple(quantities.items()))
    if short or repriced:
        refused = StockRefused(request.conversation, request.shop, request.order_id, short, repriced, at)
        return Decision(replace(hold, state=REFUSED, refusal=refused), events=(refused,))
    taken = tuple(
        replace(item, reserved=item.reserved + quantities[sku]) for sku, item in found.items() if item is not None
    )
    return Decision(hold, taken, (StockReserved(request.conversation, request.shop, request.order_id, at),))


def _lacks(item: Item, quantity: int) -> bool:
    available = item.available
    return available is not None and available < quantity


def _in_the_way(request: StockRequested, sku: str, item: Item | None, quantity: int) -> ShortLine:
    title = next(line.title for line in request.lines if line.sku == sku)
    if item is None or item.currency != request.currency:
        # Gone, or priced in a currency the shop has left: nothing of it can be promised at this price.
        return ShortLine(sku, quantity, 0, None, title)
    return ShortLine(sku, quantity, item.available, item.price_minor, item.title)


def sold(hold: Hold, items: Mapping[Key, Item]) -> Decision:
    """What was reserved is sold."""
    if hold.state != RESERVED:
        return Decision()
    return Decision(replace(hold, state=SOLD), tuple(_moved(hold, items, reserved=-1, sold=+1)))


def released(hold: Hold, items: Mapping[Key, Item]) -> Decision:
    """Give back what the order holds, reserved or sold on collection; a hold ends here for good."""
    match hold.state:
        case "reserved":
            moved = tuple(_moved(hold, items, reserved=-1))
        case "sold":
            moved = tuple(_moved(hold, items, sold=-1))
        case "refused":
            moved = ()
        case _:
            return Decision()
    return Decision(replace(hold, state=RELEASED), moved)


def _moved(hold: Hold, items: Mapping[Key, Item], *, reserved: int = 0, sold: int = 0) -> Iterable[Item]:
    for sku, quantity in hold.quantities:
        item = items.get((hold.shop, sku))
        if item is not None:
            yield replace(item, reserved=item.reserved + reserved * quantity, sold=item.sold + sold * quantity)


def news(before: Iterable[Item], after: Mapping[Key, Item]) -> list[Item]:
    """The products of which carts can have more or fewer than they were told, with their version one up."""
    return [
        replace(after[item.key], version=item.version + 1) for item in before if item.at_most != after[item.key].at_most
    ]
