"""Whether sales counted what checkout sold."""

import itertools
from typing import Any

import pytest
from panier_cli.sales_check import differences, lasting, sold_of_days, sold_of_orders

from .conftest import Panier
from .fake_services import FakeServices, problem

LINES = [{"sku": "a", "quantity": 2}, {"sku": "b", "quantity": 3}]


def order(state: str, *steps: tuple[str, str], paid: int = 0, provider: str = "simulated") -> dict[str, Any]:
    return {
        "order_id": "o1",
        "state": state,
        "provider": provider,
        "currency": "EUR",
        "lines": LINES,
        "total_minor": 1000,
        "paid_minor": paid,
        "placed_at": "2026-07-01T10:00:00Z",
        "history": [{"what": what, "at": at, "by": "x"} for what, at in steps],
    }


PLACED = ("placed", "2026-07-01T10:00:00Z")
PAID = ("paid", "2026-07-01T22:30:00Z")  # half past midnight in Paris


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (order("awaiting_payment", PLACED), {}),
        (order("expired", PLACED, ("expired", "2026-07-01T11:00:00Z")), {}),
        (order("cancelled", PLACED, ("cancelled", "2026-07-01T11:00:00Z")), {}),
        (order("ready", PLACED, PAID, paid=1000), {"2026-07-02": (1000, 1, 5)}),
        (
            order("refunded", PLACED, PAID, ("refunded", "2026-07-03T10:00:00Z"), paid=1000),
            {"2026-07-02": (1000, 1, 5), "2026-07-03": (-1000, 0, 0)},
        ),
        (order("accepted", PLACED, provider="on_collection"), {"2026-07-01": (1000, 1, 5)}),
        (
            order("cancelled", PLACED, ("cancelled", "2026-07-02T11:00:00Z"), provider="on_collection"),
            {"2026-07-01": (1000, 1, 5), "2026-07-02": (-1000, -1, -5)},
        ),
        (
            order(
                "refunded",
                PLACED,
                ("accepted", PLACED[1]),
                ("refunded", "2026-07-02T11:00:00Z"),
                provider="on_collection",
            ),
            {"2026-07-01": (1000, 1, 5), "2026-07-02": (-1000, -1, -5)},
        ),
    ],
)
def test_what_an_order_adds_to_its_shops_days(one: dict[str, Any], expected: dict[str, tuple[int, int, int]]) -> None:
    sold = sold_of_orders([one], "Europe/Paris")
    assert {day: tuple(figures.values()) for (day, _), figures in sold.items()} == expected


def day(revenue: int, currency: str = "EUR") -> dict[str, Any]:
    figures = {"currency": currency, "revenue_minor": revenue, "orders": 1, "items": 5, "average_minor": revenue}
    return {"day": "2026-07-02", "currencies": [figures]}


def test_a_cent_too_many_and_a_day_too_few_are_differences() -> None:
    orders = sold_of_orders([order("paid", PLACED, PAID, paid=1000)], "Europe/Paris")
    assert differences("s", sold_of_days([day(1000)]), orders) == []
    cent = {"shop": "s", "day": "2026-07-02", "currency": "EUR", "figure": "revenue_minor", "sales": 1001}
    assert differences("s", sold_of_days([day(1001)]), orders) == [{**cent, "orders": 1000}]
    assert [one["figure"] for one in differences("s", {}, orders)] == ["revenue_minor", "orders", "items"]
    assert len(differences("s", sold_of_days([day(1000), day(5, "JPY")]), orders)) == 3


def serve(services: FakeServices, revenue: int) -> None:
    services.on("GET", "/internal/shops", [{"id": "s", "timezone": "Europe/Paris", "payment_provider": "simulated"}])
    services.on("GET", "/internal/orders", [order("paid", PLACED, PAID, paid=1000), order("expired", PLACED)])
    services.on("GET", "/internal/sales/days", [day(revenue)])


def test_verify_prints_whether_both_are_equal(panier: Panier, services: FakeServices) -> None:
    serve(services, 1000)
    done = panier("sales", "verify", "--json")
    assert (done.exit, done.document) == (0, {"equal": True, "differences": []})
    assert "are equal" in panier("sales", "verify").out


def test_verify_asks_for_no_order_on_its_own(panier: Panier, services: FakeServices) -> None:
    serve(services, 1000)
    assert panier("sales", "verify", "--json").exit == 0
    asked = {request.path: request.query for request in services.requests}
    assert len(asked) == len(services.requests) == 3
    assert asked["/internal/orders"] == {"shop": "s", "history": "true"}


def test_a_checkout_of_a_former_version_is_not_compared(panier: Panier, services: FakeServices) -> None:
    serve(services, 1000)
    services.on("GET", "/internal/orders", [{"order_id": "o1", "state": "paid"}])
    done = panier("sales", "verify", "--json")
    assert (done.exit, done.error["code"]) == (1, "former_version")


def test_orders_are_judged_by_the_way_of_paying_that_they_were_placed_with(
    panier: Panier, services: FakeServices
) -> None:
    """The shop takes payments by now; an order to be paid on collection was sold, and taken back on the next day."""
    serve(services, 1000)
    ended = order("cancelled", PLACED, ("cancelled", "2026-07-02T11:00:00Z"), provider="on_collection")
    services.on("GET", "/internal/orders", [ended])
    services.on("GET", "/internal/orders/o1", ended)
    days = [("2026-07-01", 1000, 1, 5), ("2026-07-02", -1000, -1, -5)]
    told = [
        {"day": day, "currencies": [{"currency": "EUR", "revenue_minor": revenue, "orders": orders, "items": items}]}
        for day, revenue, orders, items in days
    ]
    services.on("GET", "/internal/sales/days", told)
    assert panier("sales", "verify", "--wait", "0", "--json").document == {"equal": True, "differences": []}


def test_verify_fails_when_they_differ_for_good(panier: Panier, services: FakeServices) -> None:
    serve(services, 999)
    done = panier("sales", "verify", "--wait", "0", "--json")
    assert (done.exit, done.document["equal"]) == (1, False)
    assert done.document["differences"][0]["sales"] == 999
    assert "revenue_minor" in panier("sales", "verify", "--wait", "0").out


def test_verify_waits_for_sales_to_catch_up(panier: Panier, services: FakeServices) -> None:
    serve(services, 1000)
    turns = iter([[], [day(1000)]])
    services.on("GET", "/internal/sales/days", lambda _: next(turns))
    assert panier("sales", "verify", "--json").exit == 0


def differs(day: str, figure: str, sales: int, orders: int) -> dict[str, Any]:
    return {"shop": "s", "day": day, "currency": "EUR", "figure": figure, "sales": sales, "orders": orders}


def test_only_a_day_that_differs_by_the_same_amounts_twice_is_reported() -> None:
    lost = differs("2026-07-01", "revenue_minor", 900, 1000)
    busy = [differs("2026-07-02", "revenue_minor", 900, 1000), differs("2026-07-02", "orders", 9, 10)]
    later = [differs("2026-07-02", "revenue_minor", 2900, 3100), differs("2026-07-02", "orders", 29, 30)]
    assert lasting([lost, *busy], [lost, *later]) == [lost], "as many orders were sold while looking, of other prices"
    sold_on = [differs("2026-07-02", "revenue_minor", 2900, 3000), differs("2026-07-02", "orders", 29, 30)]
    assert lasting([lost, *busy], [lost, *sold_on]) == [lost, *sold_on], "what is lost is lost while others buy"


def test_verify_calls_a_shop_that_sells_meanwhile_right(panier: Panier, services: FakeServices) -> None:
    serve(services, 0)
    sold = itertools.count(1)
    services.on("GET", "/internal/sales/days", lambda _: [day(1000 - next(sold))])
    assert panier("sales", "verify", "--wait", "0", "--json").document == {"equal": True, "differences": []}


def test_verify_fails_when_sales_does_not_say(panier: Panier, services: FakeServices) -> None:
    serve(services, 1000)
    services.on("GET", "/internal/sales/days", (503, problem("not_ready", "sales reads on")))
    done = panier("sales", "verify", "--json")
    assert (done.exit, done.error["code"]) == (1, "not_ready")
