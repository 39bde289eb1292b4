"""The documents that people and the console get."""

import pytest
from panier_common.contracts.events import SalesCounted, SalesOfCurrency
from panier_sales.counting import Funnel, ShopDay, Sold
from panier_sales.figures import average_minor, document, snapshot

TOTAL = ShopDay(
    sold={"USD": Sold(700, 1, 2), "EUR": Sold(1761, 2, 9)}, funnel=Funnel(carts=5, checkouts=4, placed=3, paid=3)
)


@pytest.mark.parametrize(
    ("sold", "average"),
    [(Sold(), 0), (Sold(1761, 2, 9), 881), (Sold(1760, 2, 9), 880), (Sold(-300, 0, 0), 0), (Sold(-5, 2, 0), -2)],
)
def test_the_average_is_rounded_half_up(sold: Sold, average: int) -> None:
    assert average_minor(sold) == average


def test_the_document_is_what_the_contract_prints() -> None:
    assert document("boulangerie", "2026-11-23", "Europe/Paris", TOTAL) == {
        "shop": "boulangerie",
        "day": "2026-11-23",
        "timezone": "Europe/Paris",
        "currencies": [
            {"currency": "EUR", "revenue_minor": 1761, "orders": 2, "items": 9, "average_minor": 881},
            {"currency": "USD", "revenue_minor": 700, "orders": 1, "items": 2, "average_minor": 700},
        ],
        "funnel": {"carts": 5, "checkouts": 4, "placed": 3, "paid": 3},
    }


def test_a_day_without_sales_is_a_document_too() -> None:
    empty = document("boulangerie", "2026-11-23", "Europe/Paris", ShopDay())
    assert empty["currencies"] == []
    assert empty["funnel"] == {"carts": 0, "checkouts": 0, "placed": 0, "paid": 0}


def test_the_snapshot_says_the_same() -> None:
    assert snapshot("boulangerie", "2026-11-23", "Europe/Paris", TOTAL) == SalesCounted(
        "boulangerie",
        "2026-11-23",
        "Europe/Paris",
        (SalesOfCurrency("EUR", 1761, 2, 9), SalesOfCurrency("USD", 700, 1, 2)),
        5,
        4,
        3,
        3,
    )
