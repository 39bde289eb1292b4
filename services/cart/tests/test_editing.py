"""How a cart's lines, note and version change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panier_cart.cart import CartLine
from panier_cart.editing import (
    NOTE_LIMIT,
    joined_note,
    remaining_note,
    revised,
    subtracted,
    with_quantity,
)
from panier_cart.pricing import MAX_QUANTITY, Wanted, taken_in

from .story import NOON, SHELF, new_cart

CROISSANTS = CartLine("croissant", "Croissant au beurre", 2, 140, since=1)
TRADITION = CartLine("tradition", "Baguette tradition", 1, 130, since=3)


@pytest.mark.parametrize("quantity", [5, 99, 1])
def test_sets_a_quantity(quantity):
    lines = with_quantity((CROISSANTS, TRADITION), "croissant", quantity)
    assert [line.quantity for line in lines] == [quantity, 1]


@pytest.mark.parametrize("quantity", [0, -1])
def test_none_of_it_takes_the_line_out(quantity):
    assert with_quantity((CROISSANTS, TRADITION), "croissant", quantity) == (TRADITION,)


def test_an_order_takes_out_its_own_lines_and_no_more():
    ordered = (CROISSANTS.published(),)
    assert subtracted((CROISSANTS, TRADITION), ordered, version=2) == (TRADITION,)


def test_a_line_that_came_back_after_the_order_was_asked_for_stays():
    assert subtracted((TRADITION,), (TRADITION.published(),), version=2) == (TRADITION,)


def test_less_than_was_ordered_leaves_nothing():
    one = with_quantity((CROISSANTS,), "croissant", 1)
    assert subtracted(one, (CROISSANTS.published(),), version=2) == ()


WANTS = st.lists(st.builds(Wanted, st.sampled_from(["croissant", "tradition"]), st.integers(1, 40)), max_size=6)


@given(ordered=WANTS, later=WANTS)
def test_what_came_after_an_order_was_asked_for_stays(ordered, later):
    at_order, _ = taken_in((), ordered, SHELF, version=1)
    now, _ = taken_in(at_order, later, SHELF, version=2)
    left = subtracted(now, [line.published() for line in at_order], version=1)
    before = {line.sku: line.quantity for line in at_order}
    for sku in ("croissant", "tradition"):
        came = sum(want.quantity for want in later if want.sku == sku)
        room = MAX_QUANTITY - before.get(sku, 0)  # more than that never got into the cart
        kept = next((line.quantity for line in left if line.sku == sku), 0)
        assert kept == min(came, room)


@pytest.mark.parametrize(
    ("note", "more", "joined"),
    [
        ("", "Bien cuits svp", "Bien cuits svp"),
        ("", "  \n ", ""),
        ("Bien cuits", "", "Bien cuits"),
        ("Bien cuits", "Bien cuits", "Bien cuits"),
        ("Bien cuits", "Sans sachet", "Bien cuits\nSans sachet"),
        ("", "شكرا 🥐", "شكرا 🥐"),
    ],
)
def test_notes_add_up(note, more, joined):
    assert joined_note(note, more) == joined


def test_a_long_note_is_kept_to_its_limit():
    assert len(joined_note("Bien cuits", "é" * 5000)) == NOTE_LIMIT


def test_what_was_written_after_the_order_was_asked_for_stays():
    assert remaining_note("Bien cuits\nSans sachet", "Bien cuits") == "Sans sachet"
    assert remaining_note("Bien cuits", "Bien cuits") == ""
    assert remaining_note("Sans sachet", "Bien cuits") == "Sans sachet"


def test_a_version_a_change_and_an_id_a_filling():
    cart = new_cart()
    first = revised(cart, (CROISSANTS,), "note", NOON, "wamid.1")
    assert (first.version, first.note, first.updated_at) == (1, "note", NOON)
    assert revised(first, first.lines, "note", NOON, "wamid.2") is first
    second = revised(first, (CROISSANTS, TRADITION), "note", NOON, "wamid.3")
    assert (second.version, second.cart_id) == (2, first.cart_id)
    emptied = revised(second, (), "note", NOON, "wamid.4")
    assert (emptied.version, emptied.cart_id, emptied.note) == (3, first.cart_id, "")
    again = revised(emptied, (CROISSANTS,), "", NOON, "wamid.5")
    assert again.version == 4
    assert again.cart_id not in ("", first.cart_id)


def test_the_same_cause_makes_the_same_cart_id():
    made = {revised(new_cart(), (CROISSANTS,), "", NOON, "wamid.1").cart_id for _ in range(2)}
    assert len(made) == 1
