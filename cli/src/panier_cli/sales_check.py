"""Whether sales counted what checkout sold: a shop's days, computed once more from the orders. Pure.

A paid order is a sale on the day it was paid, one to be paid on collection on the day it was placed; a refund
lowers the revenue of its own day; an order sold without payment that the shop ends is taken back on that day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

FIGURES = ("revenue_minor", "orders", "items")
Day = tuple[str, str]
"""The date on the shop's calendar, and the currency."""
Sold = dict[Day, dict[str, int]]


def sold_of_orders(orders: Iterable[Mapping[str, Any]], timezone: str) -> Sold:
    """What the orders of a shop add up to; each order is a document of `panier orders show`."""
    zone = ZoneInfo(timezone)
    sold: Sold = defaultdict(lambda: dict.fromkeys(FIGURES, 0))
    for order in orders:
        for time, revenue, count in _sales_of(order):
            day = datetime.fromisoformat(time).astimezone(zone).date().isoformat()
            figures = sold[day, order["currency"]]
            figures["revenue_minor"] += revenue
            figures["orders"] += count
            figures["items"] += count * sum(line["quantity"] for line in order["lines"])
    return sold


def _sales_of(order: Mapping[str, Any]) -> Iterable[tuple[str, int, int]]:
    """When, how much and how many orders: what one order adds to its shop's days."""
    when = {step["what"]: step["at"] for step in order["history"]}
    if "paid" in when:
        yield when["paid"], order["paid_minor"], 1
        if "refunded" in when:
            yield when["refunded"], -order["paid_minor"], 0
        return
    cancelled = when.get("cancelled")
    # Cancelled unpaid does not tell whether it counted as sold before; how the order was to be paid does.
    if order["state"] in ("awaiting_payment", "expired") or (cancelled and order["provider"] != "on_collection"):
        return
    yield order["placed_at"], order["total_minor"], 1
    if ended := cancelled or when.get("refunded"):
        yield ended, -order["total_minor"], -1


def sold_of_days(days: Iterable[Mapping[str, Any]]) -> Sold:
    """What sales counted: documents of `panier sales show`."""
    return {
        (day["day"], one["currency"]): {figure: one[figure] for figure in FIGURES}
        for day in days
        for one in day["currencies"]
    }


def differences(shop: str, counted: Sold, sold: Sold) -> list[dict[str, Any]]:
    """Every figure that is not the same on both sides."""
    nothing = dict.fromkeys(FIGURES, 0)
    return [
        {
            "shop": shop,
            "day": day,
            "currency": currency,
            "figure": figure,
            "sales": ours[figure],
            "orders": theirs[figure],
        }
        for day, currency in sorted({*counted, *sold})
        for ours, theirs in [(counted.get((day, currency), nothing), sold.get((day, currency), nothing))]
        for figure in FIGURES
        if ours[figure] != theirs[figure]
    ]


def lasting(before: Iterable[Mapping[str, Any]], now: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those differences of now whose day and currency differed by the same amounts at the look before.

    What is sold while one looks differs as well, but by something else each time.
    """
    then, since = _amounts(before), _amounts(now)
    return [one for one in now if since[_day_of(one)] == then.get(_day_of(one))]


def _day_of(difference: Mapping[str, Any]) -> tuple[str, str, str]:
    return difference["shop"], difference["day"], difference["currency"]


def _amounts(found: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], dict[str, int]]:
    """By how much each figure of a shop's day differs."""
    amounts: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    for one in found:
        amounts[_day_of(one)][one["figure"]] = one["sales"] - one["orders"]
    return amounts
