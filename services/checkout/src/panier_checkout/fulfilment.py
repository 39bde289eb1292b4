"""How a customer can get an order: the ways a shop offers, what each costs, what is missing for one.

Amounts are minor units of the shop's currency; fee, free-from and minimum all look at the goods alone.
"""

from typing import Literal, TypeAlias

from msgspec import Struct
from panier_common.contracts.events import ShopConfigured

WayName: TypeAlias = Literal["collect", "deliver"]


class Way(Struct, frozen=True):
    """One way the shop offers. `missing_minor` is 0 when the goods qualify for it."""

    name: WayName
    fee_minor: int = 0
    missing_minor: int = 0

    @property
    def qualifies(self) -> bool:
        return self.missing_minor == 0


def ways(shop: ShopConfigured, goods_minor: int) -> tuple[Way, ...]:
    """Every way the shop offers, whether the goods qualify or not; collecting first."""
    offered = (Way("collect"),) if shop.collect else ()
    rules = shop.delivery
    if rules is None:
        return offered
    free = rules.free_from_minor is not None and goods_minor >= rules.free_from_minor
    missing = max((rules.minimum_minor or 0) - goods_minor, 0)
    return (*offered, Way("deliver", 0 if free else rules.fee_minor, missing))


def way_named(shop: ShopConfigured, goods_minor: int, name: str) -> Way | None:
    """The way of that name, None when the shop does not offer it."""
    return next((way for way in ways(shop, goods_minor) if way.name == name), None)
