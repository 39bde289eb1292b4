"""What a line costs and whether it can be had."""

import msgspec
import pytest
from panier_cart.cart import CartLine, Product
from panier_cart.pricing import (
    MAX_LINES,
    Notice,
    Wanted,
    other_currency,
    refreshed,
    seen_minor,
    taken_in,
    wanted_again,
    wanted_of_order,
)
from panier_common.contracts.events import Line
from panier_common.contracts.inbound import OrderItem

from .story import CROISSANT, SHELF

TWO_CROISSANTS = CartLine("croissant", "Croissant au beurre", 2, 140, since=1)


@pytest.mark.parametrize(
    ("price", "currency", "minor"),
    [
        ("1.4", "EUR", 140),
        ("1.40", "EUR", 140),
        ("30", "USD", 3000),
        ("599.9", "EUR", 59990),
        ("300", "JPY", 300),
        (None, "EUR", None),
        ("", "EUR", None),
        ("free", "EUR", None),
        ("-1", "EUR", None),
        ("1.405", "EUR", None),
        ("1e9", "EUR", None),
        ("9" * 5000, "EUR", None),
        ("٣", "EUR", None),
    ],
)
def test_reads_the_price_on_the_phone(price, currency, minor):
    assert seen_minor(OrderItem("x", 1, price, currency), currency) == minor


@pytest.mark.parametrize(
    ("wanted", "quantity", "notices"),
    [
        (Wanted("croissant", 3), 5, []),
        (Wanted("croissant", 97), 99, []),
        (Wanted("croissant", 98), 99, [Notice("capped", "Croissant au beurre", limit=99)]),
        (Wanted("croissant", 10**30), 99, [Notice("capped", "Croissant au beurre", limit=99)]),
        (Wanted("croissant", 0), 2, [Notice("quantity", "Croissant au beurre")]),
        (Wanted("croissant", -4), 2, [Notice("quantity", "Croissant au beurre")]),
        (Wanted("croissant", None), 2, [Notice("quantity", "Croissant au beurre")]),
        (Wanted("croissant", 1, 140), 3, []),
        (Wanted("croissant", 1, 999), 3, [Notice("price", "Croissant au beurre", 999, 140)]),
        (Wanted("galette", 1), 2, [Notice("sold_out", "Galette des rois")]),
        (Wanted("brioche", 1), 2, [Notice("gone", "brioche")]),
        (Wanted("brioche", 1, title="Brioche"), 2, [Notice("gone", "Brioche")]),
        (Wanted("", 1), 2, [Notice("gone", "?")]),
    ],
)
def test_adds_to_the_line_that_is_there(wanted, quantity, notices):
    lines, told = taken_in((TWO_CROISSANTS,), [wanted], SHELF, version=2)
    assert [(line.sku, line.quantity, line.unit_minor) for line in lines] == [("croissant", quantity, 140)]
    assert told == notices


def test_a_new_line_remembers_the_version_it_came_with():
    lines, _ = taken_in((TWO_CROISSANTS,), [Wanted("tradition"), Wanted("croissant")], SHELF, version=7)
    assert [(line.sku, line.since) for line in lines] == [("croissant", 1), ("tradition", 7)]


def test_one_product_twice_in_an_order_is_one_line():
    lines, told = taken_in((), [Wanted("croissant", 60), Wanted("croissant", 60)], SHELF, version=1)
    assert [(line.sku, line.quantity) for line in lines] == [("croissant", 99)]
    assert told == [Notice("capped", "Croissant au beurre", limit=99)]


def test_a_full_cart_takes_more_of_its_products_but_no_other():
    shelf = {f"sku-{i}": Product(f"sku-{i}", f"Produit {i}", 100, False) for i in range(MAX_LINES + 1)}
    lines, told = taken_in((), [Wanted(sku) for sku in shelf], shelf, version=1)
    assert len(lines) == MAX_LINES
    assert told == [Notice("full", f"Produit {MAX_LINES}", limit=MAX_LINES)]
    lines, told = taken_in(lines, [Wanted("sku-0")], shelf, version=2)
    assert (lines[0].quantity, told) == (2, [])


def test_lines_follow_the_shelf():
    galette = CartLine("galette", "Galette des rois", 1, 2200, since=1)
    gone = CartLine("flan", "Flan", 1, 350, since=1)
    dearer = CROISSANT.__class__("croissant", "Croissant pur beurre", 150, False)
    lines, told = refreshed((galette, TWO_CROISSANTS, gone), {**SHELF, "croissant": dearer})
    assert lines == (CartLine("croissant", "Croissant pur beurre", 2, 150, since=1),)
    assert told == [
        Notice("sold_out", "Galette des rois"),
        Notice("price", "Croissant pur beurre", 140, 150),
        Notice("gone", "Flan"),
    ]


@pytest.mark.parametrize(("at_most", "kind"), [(3, "scarce"), (98, "scarce"), (99, "capped"), (None, "capped")])
def test_a_cart_holds_no_more_than_there_is(at_most, kind):
    shelf = {"croissant": msgspec.structs.replace(CROISSANT, at_most=at_most)}
    limit = 99 if at_most is None else at_most
    told = [Notice(kind, "Croissant au beurre", limit=limit)]
    lines, notices = taken_in((TWO_CROISSANTS,), [Wanted("croissant", 98)], shelf, version=2)
    assert ([line.quantity for line in lines], notices) == ([limit], told)
    assert refreshed((msgspec.structs.replace(TWO_CROISSANTS, quantity=100),), shelf) == (lines, told)
    assert taken_in((), [Wanted("croissant", limit)], shelf, version=1)[1] == []


def test_a_new_name_alone_is_taken_over_without_a_word():
    renamed = CROISSANT.__class__("croissant", "Croissant pur beurre", 140, False)
    lines, told = refreshed((TWO_CROISSANTS,), {"croissant": renamed})
    assert (lines[0].title, told) == ("Croissant pur beurre", [])


def test_lines_that_are_right_stay_as_they_are():
    assert refreshed((TWO_CROISSANTS,), SHELF) == ((TWO_CROISSANTS,), [])


def test_finds_the_first_other_currency():
    items = [OrderItem("a", 1, "1", "EUR"), OrderItem("b", 1), OrderItem("c", 1, "2", "USD")]
    assert other_currency(items, "EUR") == "USD"
    assert other_currency(items[:2], "EUR") is None


def test_what_is_wanted_carries_the_price_that_was_seen():
    assert wanted_of_order([OrderItem("a", 2, "1.5", "EUR")], "EUR") == [Wanted("a", 2, 150)]
    assert wanted_again([Line("a", "Tarte", 2, 150)]) == [Wanted("a", 2, 150, "Tarte")]
