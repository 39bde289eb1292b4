"""What the cart does about each message and press, told as a customer meets it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from panier_cart.cart import Product
from panier_cart.handlers import (
    Decision,
    answer,
    answer_waiting,
)
from panier_common.contracts.events import (
    Customer,
    Event,
    Line,
    MessageRequested,
)
from panier_common.contracts.inbound import Content, Reply, Text

from .story import (
    CONVERSATION,
    CUSTOMER,
    EMPTY,
    HELLO,
    SHELF,
    START,
    TWO_CROISSANTS,
    WAYS_ON,
    asks,
    buttons,
    changes,
    messages,
    new_cart,
    order,
    press,
    quantities,
    requests,
    said,
    told,
)


def test_a_whatsapp_cart_is_listed_with_its_total():
    decision = told(new_cart(), order(("croissant", 4, "1.40"), ("tradition", 2, "1.30"), text="Bien cuits svp"))
    assert "4 × Croissant au beurre — 5,60\xa0€\n2 × Baguette tradition — 2,60\xa0€" in said(decision)
    assert "8,20\xa0€" in said(decision)
    assert "Bien cuits svp" in said(decision)
    assert "À savoir" not in said(decision)
    assert buttons(decision) == WAYS_ON
    [changed] = changes(decision)
    assert (changed.version, changed.total_minor, changed.note) == (1, 820, "Bien cuits svp")
    assert changed.lines == (
        Line("croissant", "Croissant au beurre", 4, 140),
        Line("tradition", "Baguette tradition", 2, 130),
    )


def test_an_answer_says_which_message_it_answers():
    ask = asks(HELLO)
    [requested] = answer(new_cart(), ask, SHELF).events
    assert isinstance(requested, MessageRequested)
    assert (requested.answers, requested.answers_at, requested.lane) == (ask.wamid, ask.at, "answer")
    assert (requested.conversation, requested.customer) == (CONVERSATION, CUSTOMER)


def test_sold_out_is_told_and_another_price_is_shown_not_charged():
    decision = told(new_cart(), order(("galette", 1, "22.0"), ("croissant", 1, "9.99")))
    assert "Galette des rois : épuisé" in said(decision)
    assert "Croissant au beurre : 1,40\xa0€ maintenant (vous aviez vu 9,99\xa0€)" in said(decision)
    assert decision.cart.total_minor == 140


def test_a_second_whatsapp_cart_adds_to_the_open_one_and_says_so():
    decision = told(new_cart(), TWO_CROISSANTS, order(("croissant", 98), ("tradition", 1)))
    assert quantities(decision.cart) == {"croissant": 99, "tradition": 1}
    assert "déjà dans votre panier" in said(decision)
    assert "ramenée à 99" in said(decision)
    assert [change.version for change in changes(decision)] == [2]


@pytest.mark.parametrize("quantity", [0, -1, None])
def test_a_quantity_that_is_none_is_told(quantity):
    decision = told(new_cart(), order(("croissant", quantity)))
    assert "quantité non valable" in said(decision)
    assert "Rien n’a été ajouté" in said(decision)
    assert (decision.cart.version, changes(decision)) == (0, [])
    assert buttons(decision) == ["catalog:menu", "checkout:orders"]


@pytest.mark.parametrize("quantity", [100, 10**6, 2**63])
def test_a_quantity_that_is_too_many_is_capped_and_told(quantity):
    decision = told(new_cart(), order(("croissant", quantity), ("tradition", 1)))
    assert quantities(decision.cart) == {"croissant": 99, "tradition": 1}
    assert "ramenée à 99" in said(decision)
    assert decision.cart.total_minor == 99 * 140 + 130


def test_a_whatsapp_cart_in_another_currency_is_refused_with_a_way_on():
    decision = told(new_cart(), TWO_CROISSANTS, order(("tradition", 1, "1.30"), currency="USD"))
    assert "USD" in said(decision)
    assert "EUR" in said(decision)
    assert quantities(decision.cart) == {"croissant": 2}
    assert buttons(decision) == ["catalog:menu", "cart:show"]


def test_a_whatsapp_cart_without_items_is_answered():
    assert "vide" in said(told(new_cart(), order()))


@pytest.mark.parametrize("lines", [80, 100, 130])
def test_a_long_cart_is_listed_whole_within_whatsapps_limits(lines):
    shelf = {f"sku-{i}": Product(f"sku-{i}", f"Produit {i:03} " + "très long " * 8, 100, False) for i in range(lines)}
    decision = told(new_cart(), order(*[(sku, 1) for sku in shelf]), shelf=shelf)
    text = said(decision)
    assert [i for i in range(lines) if f"1 × Produit {i:03}" in text] == list(range(min(lines, 100)))
    assert ("100 produits, le maximum" in text) == (lines > 100)
    assert "Total : 80,00\xa0€" in text if lines == 80 else "Total : 100,00\xa0€" in text
    assert buttons(decision) == WAYS_ON
    assert messages(decision.events)[-1].kind == "buttons"


def test_thousands_of_unknown_products_are_told_briefly():
    waiting = told(new_cart(), order(*[(f"gone-{i}", 1) for i in range(5000)])).cart
    decision = answer_waiting(waiting, SHELF)
    assert "et 4980 autres produits" in said(decision)
    assert len(messages(decision.events)) <= 2


def test_rtl_and_emoji_in_names_and_notes_are_shown_as_they_are():
    shelf = {"x": Product("x", "🥐 كرواسون " * 30, 140, False)}
    decision = told(new_cart(), order(("x", 1), text="شكرا 🙏" * 400), shelf=shelf)
    assert "كرواسون" in said(decision)
    assert "شكرا" in said(decision)


# Buttons


def test_adding_by_button_names_what_was_added():
    decision = told(new_cart(), TWO_CROISSANTS, press("cart:add:tradition"))
    assert "Baguette tradition : c’est ajouté." in said(decision)
    assert quantities(decision.cart) == {"croissant": 2, "tradition": 1}


def test_a_sold_out_product_is_not_added_by_button():
    decision = told(new_cart(), press("cart:add:galette"))
    assert "épuisé" in said(decision)
    assert decision.cart.lines == ()


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        ("cart:more:croissant", {"croissant": 3, "tradition": 1}),
        ("cart:fewer:croissant", {"croissant": 1, "tradition": 1}),
        ("cart:fewer:tradition", {"croissant": 2}),
        ("cart:remove:croissant", {"tradition": 1}),
        ("cart:empty", {}),
    ],
)
def test_editing_changes_one_version(reply, left):
    decision = told(new_cart(), order(("croissant", 2), ("tradition", 1)), press(reply))
    assert quantities(decision.cart) == left
    assert [(change.version, len(change.lines)) for change in changes(decision)] == [(2, len(left))]


def test_two_carts_come_to_no_more_than_is_left():
    shelf = {**SHELF, "croissant": replace(SHELF["croissant"], at_most=5)}
    decision = told(new_cart(), order(("croissant", 4)), order(("croissant", 4)), shelf=shelf)
    assert quantities(decision.cart) == {"croissant": 5}
    assert "ramenée à 5" in said(decision)
    decision = told(decision.cart, press("cart:more:croissant"), shelf=shelf)
    assert quantities(decision.cart) == {"croissant": 5}
    assert "ramenée à 5" in said(decision)


def test_more_than_99_is_told():
    decision = told(new_cart(), order(("croissant", 99)), press("cart:more:croissant"))
    assert quantities(decision.cart) == {"croissant": 99}
    assert "ramenée à 99" in said(decision)
    assert changes(decision) == []


def test_a_line_is_offered_with_more_fewer_and_remove():
    decision = told(new_cart(), TWO_CROISSANTS, press("cart:line:croissant"))
    assert buttons(decision) == ["cart:more:croissant", "cart:fewer:croissant", "cart:remove:croissant"]
    assert changes(decision) == []


@pytest.mark.parametrize("lines", [1, 9, 10, 17, 80])
def test_every_line_can_be_reached_by_paging(lines):
    shelf = {f"é {i}": Product(f"é {i}", f"Produit {i}", 100, False) for i in range(lines)}
    cart = told(new_cart(), order(*[(sku, 1) for sku in shelf]), shelf=shelf).cart
    following, reached = "cart:edit", []
    while following and following != "cart:edit:1":
        shown = buttons(told(cart, press(following), shelf=shelf))
        assert shown[-1] == "cart:empty"
        reached += [reply for reply in shown if reply.startswith("cart:line:")]
        following = next((reply for reply in shown if reply.startswith("cart:edit")), "")
    assert len(set(reached)) == len(reached) == lines
    assert told(cart, press(reached[-1]), shelf=shelf).cart.lines == cart.lines


@pytest.mark.parametrize("page", ["0", "7", "-1", "x", "99999999", ""])
def test_a_page_that_is_not_there_shows_another(page):
    assert "cart:line:croissant" in buttons(told(new_cart(), TWO_CROISSANTS, press(f"cart:edit:{page}")))


def test_a_sku_too_long_for_a_button_stays_in_the_cart_and_stops_nothing():
    shelf = {"é" * 100: Product("é" * 100, "Éclair", 300, False)}
    cart = told(new_cart(), order(("é" * 100, 2)), shelf=shelf).cart
    assert cart.total_minor == 600
    assert buttons(told(cart, press("cart:edit"), shelf=shelf)) == ["cart:empty"]


@pytest.mark.parametrize(
    "reply",
    ["cart:line:flan", "cart:more:flan", "cart:fewer:flan", "cart:remove:flan", "cart:more", "cart:line:"],
)
def test_a_line_that_is_gone_gets_the_cart_as_it_is(reply):
    decision = told(new_cart(), TWO_CROISSANTS, press(reply))
    assert "n’est plus dans votre panier" in said(decision)
    assert buttons(decision) == WAYS_ON
    assert quantities(decision.cart) == {"croissant": 2}


@pytest.mark.parametrize("reply", ["cart:coupon:NOEL", "cart:", "cart", "", "checkout:later"])
def test_a_button_of_another_time_shows_the_cart(reply):
    assert buttons(told(new_cart(), TWO_CROISSANTS, press(reply))) == WAYS_ON


@pytest.mark.parametrize("content", [HELLO, press("cart:show"), press("cart:edit"), START, EMPTY])
def test_an_empty_cart_offers_the_catalogue(content):
    decision = told(new_cart(), content)
    assert "vide" in said(decision)
    assert buttons(decision) == ["catalog:menu", "checkout:orders"]
    assert (changes(decision), requests(decision)) == ([], [])


@pytest.mark.parametrize("reply", ["cart:more:croissant", "cart:empty", "checkout:start"])
def test_an_old_button_shows_the_present_state_instead_of_acting(reply):
    cart = told(new_cart(), TWO_CROISSANTS).cart
    late = cart.shown_at + timedelta(hours=24, seconds=1)
    decision = answer(cart, asks(press(reply), at=late), SHELF)
    assert quantities(decision.cart) == {"croissant": 2}
    assert "Ce bouton date un peu" in said(decision)
    assert requests(decision) == []
    acting = answer(decision.cart, asks(press(reply), at=late + timedelta(seconds=5)), SHELF)
    assert changes(acting) or requests(acting)


def test_the_cart_speaks_the_customers_language():
    decision = answer(new_cart(), asks(TWO_CROISSANTS, language="en"), SHELF)
    assert "Total: €2.80" in said(decision)


# Products that changed since


def test_showing_the_cart_brings_it_up_to_date_and_tells():
    cart = told(new_cart(), order(("croissant", 2), ("tradition", 1))).cart
    shelf = {"croissant": Product("croissant", "Croissant au beurre", 150, False)}
    decision = told(cart, HELLO, shelf=shelf)
    assert "1,50\xa0€ maintenant (vous aviez vu 1,40\xa0€)" in said(decision)
    assert "Baguette tradition : n’est plus au catalogue" in said(decision)
    assert [change.total_minor for change in changes(decision)] == [300]
    assert changes(told(decision.cart, HELLO, shelf=shelf)) == []


# Products nobody has heard of yet


def test_an_unknown_product_is_waited_for_once_and_its_answer_keeps_its_place():
    first = told(new_cart(), order(("brioche", 1), ("croissant", 1)))
    assert (first.events, first.awaits) == ((), True)
    second = answer(first.cart, asks(HELLO), SHELF)
    assert (second.events, second.awaits) == ((), False)
    brioche = Product("brioche", "Brioche", 600, False)
    decision = answer_waiting(second.cart, {**SHELF, "brioche": brioche})
    assert [requested.answers for requested in decision.events if isinstance(requested, MessageRequested)] == [
        ask.wamid for ask in second.cart.waiting
    ]
    assert quantities(decision.cart) == {"brioche": 1, "croissant": 1}
    assert (decision.cart.waiting, decision.awaits) == ((), False)


def test_a_product_still_unknown_is_told_as_gone():
    decision = answer_waiting(told(new_cart(), order(("brioche", 1), ("croissant", 1))).cart, SHELF)
    assert "brioche : n’est plus au catalogue" in said(decision)
    assert quantities(decision.cart) == {"croissant": 1}


def test_another_unknown_product_behind_the_first_has_its_own_wait():
    cart = told(new_cart(), press("cart:add:brioche"), press("cart:add:flan"), HELLO).cart
    decision = answer_waiting(cart, SHELF)
    assert decision.awaits
    assert [ask.content for ask in decision.cart.waiting] == [Reply("cart:add:flan"), HELLO]
    last = answer_waiting(decision.cart, SHELF)
    assert (last.cart.waiting, last.awaits) == ((), False)
    assert len(messages(last.events)) == 2


def test_a_wait_that_nobody_waits_for_does_nothing():
    cart = new_cart()
    assert answer_waiting(cart, SHELF) == Decision(cart)


# Whatever comes

SKUS = st.sampled_from([*SHELF, "brioche", "é" * 100, ""])
CONTENTS: st.SearchStrategy[Content] = st.one_of(
    st.builds(
        lambda items, text: order(*items, text=text),
        st.lists(st.tuples(SKUS, st.one_of(st.none(), st.integers()))),
        st.text(),
    ),
    st.builds(
        lambda verb, sku: Reply(f"cart:{verb}:{sku}"),
        st.sampled_from(["add", "line", "more", "fewer", "remove", "edit"]),
        SKUS,
    ),
    st.sampled_from([START, EMPTY, HELLO, Text("🥐")]),
    st.builds(Reply, st.text()),
)


@given(contents=st.lists(CONTENTS, max_size=12), customer=st.sampled_from([CUSTOMER, Customer(wa_id="33600000001")]))
def test_whatever_comes_every_message_is_answered_and_versions_count_changes(contents, customer):
    cart, events, asked = new_cart(), [], []
    for content in contents:
        ask = asks(content)
        asked.append(ask.wamid)
        decision = answer(cart, ask, SHELF)
        cart, events = decision.cart, [*events, *decision.events]
    while cart.waiting:
        decision = answer_waiting(cart, SHELF)
        cart, events = decision.cart, [*events, *decision.events]
    assert _answered(events) == asked
    versions = [event.version for event in events if hasattr(event, "total_minor") and not hasattr(event, "wamid")]
    assert versions == list(range(1, cart.version + 1))
    assert all(1 <= line.quantity <= 99 and not SHELF[line.sku].sold_out for line in cart.lines)


def _answered(events: list[Event]) -> list[str]:
    """The messages that got an answer, ours or checkout's, in the order of their answers."""
    wamids = [getattr(event, "answers", None) or getattr(event, "wamid", None) for event in events]
    return list(dict.fromkeys(wamid for wamid in wamids if wamid))
