"""Orders that exist: seen, paid, cancelled, repeated by their customer, and moved on by the shop."""

import re

import pytest
from msgspec import structs
from msgspec.structs import replace
from panier_checkout.order import cancellation, number_of
from panier_common.contracts import events as e
from panier_common.contracts.outbound import LinkMessage, ListMessage

STRANGER = "0b2c6f60-2c3f-5b6e-9a53-2a1b7a0c0d11"


def advance(stage, order, state, key="k"):
    stage.play(e.OrderAdvanced(stage.conversation, order.order_id, state, f"{key}-{state}", "shop", stage.now))
    return stage.desk.results[-1]


def refund(stage, order, key="r"):
    stage.play(e.RefundRequested(stage.conversation, order.order_id, key, "shop", stage.now))
    return stage.desk.results[-1]


def test_my_orders_lists_the_last_ten_newest_first(stage):
    orders = [stage.later(minutes=1).placed() for _ in range(12)]
    stage.say("commandes")
    (listed,) = stage.messages
    assert isinstance(listed, ListMessage)
    assert stage.buttons == [f"checkout:order:{o.order_id}" for o in reversed(orders[2:])]
    assert "G3-111 · à payer" in [row.title for row in listed.sections[0].rows]
    assert "8,20 €" in listed.sections[0].rows[0].description.replace("\xa0", " ")


def test_no_orders_yet_says_so_with_the_menu(stage):
    assert "catalog:menu" in stage.press("checkout:orders").buttons


@pytest.mark.parametrize("verb", ["order", "pay", "cancel", "again"])
@pytest.mark.parametrize("reference", [STRANGER, "Z-999", "", "é" * 50])
def test_an_order_that_is_not_theirs_is_not_found(stage, verb, reference):
    stage.placed()
    stage.press(f"checkout:{verb}:{reference}")
    assert "checkout:orders" in stage.buttons
    assert [x for x in stage.effects if not hasattr(x, "event")] == []
    assert stage.happened(e.OrderCancelled) == []


def test_another_customer_s_order_is_not_found(make_stage, stage):
    order = stage.placed()
    other = make_stage(desk=stage.desk, conversation="106540352242922:FR.2")
    assert order.number not in other.press(f"checkout:order:{order.order_id}").text
    assert "checkout:orders" in other.buttons


@pytest.mark.parametrize("by", ["order_id", "number"])
def test_an_order_is_shown_by_its_id_and_by_its_number(stage, by):
    order = stage.placed()
    stage.press(f"checkout:order:{getattr(order, by)}")
    assert order.number in stage.text
    assert "Croissant" in stage.text
    assert stage.buttons == [
        f"checkout:pay:{order.order_id}",
        f"checkout:cancel:{order.order_id}",
        "console:person",
    ]


def test_an_order_is_paid_where_it_was_placed(stage):
    order = stage.placed()
    stage.shop = replace(stage.shop, payment_provider="on_collection")
    assert isinstance(stage.press(f"checkout:pay:{order.order_id}").messages[0], LinkMessage)
    assert stage.told(order).order.state == "paid"


def test_numbers_of_a_shop_are_all_different():
    numbers = {number_of("bakery", serial) for serial in range(3000)}
    assert len(numbers) == 3000
    assert all(re.fullmatch("[A-Z][2-9]-[0-9]{3,4}", number) for number in numbers)


def test_the_link_is_sent_again(stage):
    order = stage.placed()
    (link,) = stage.press(f"checkout:pay:{order.order_id}").messages
    assert isinstance(link, LinkMessage)
    assert order.order_id in str(link.url)


def test_paying_what_is_paid_says_so(stage):
    order = stage.placed()
    stage.told(order).press(f"checkout:pay:{order.order_id}")
    assert "déjà payée" in stage.text


def test_cancelling_frees_once_and_repeats_are_friendly(stage):
    order = stage.placed()
    stage.press(f"checkout:cancel:{order.order_id}")
    assert stage.happened(e.OrderCancelled)[0].by == "customer"
    assert f"checkout:again:{order.order_id}" in stage.buttons
    assert stage.timers == {}
    stage.press(f"checkout:cancel:{order.order_id}")
    assert stage.happened(e.OrderCancelled) == []
    assert "déjà annulée" in stage.text
    assert "déjà annulée" in stage.press(f"checkout:pay:{order.order_id}").text


def test_a_paid_order_is_not_cancelled_by_a_button(stage):
    order = stage.placed()
    stage.told(order).press(f"checkout:cancel:{order.order_id}")
    assert stage.happened(e.OrderCancelled) == []
    assert "console:person" in stage.buttons
    assert stage.order.state == "paid"


def test_the_same_again_is_the_cart_s_to_answer(stage):
    order = stage.placed()
    stage.press(f"checkout:again:{order.number.lower()}")
    (again,) = stage.happened(e.OrderRepeated)
    assert (again.lines, again.order_id) == (order.lines, order.order_id)
    assert stage.messages == []


def test_the_shop_moves_a_paid_order_on_and_the_customer_is_told(stage):
    order = stage.placed()
    stage.told(order)
    for state in ("accepted", "ready", "completed"):
        assert advance(stage, order, state).code == ""
        assert [c.state for c in stage.happened(e.OrderStatusChanged)] == [state]
        assert [r.lane for r in stage.happened(e.MessageRequested)] == ["news"]
    assert [s.what for s in stage.desk.history] == ["placed", "paid", "accepted", "ready", "completed"]


@pytest.mark.parametrize(
    ("moves", "refused", "lawful"),
    [
        ([], "accepted", "paid, cancelled, expired"),
        ([], "paid", "paid, cancelled, expired; paid comes by itself, with the payment"),
        ([], "placed", "paid, cancelled, expired"),
        (["paid"], "paid", "accepted"),
        (["paid"], "cancelled", "refunded"),
        (["paid", "ready"], "accepted", "on_the_way, completed, refunded"),
        (["paid", "on_the_way"], "refunded", "completed"),
        (["paid", "completed"], "completed", "none"),
    ],
)
def test_unlawful_moves_are_refused_with_the_lawful_ones_named(stage, moves, refused, lawful):
    order = stage.placed()
    for move in moves:
        stage.told(order) if move == "paid" else advance(stage, order, move)
    before = stage.order
    result = advance(stage, order, refused, "refused")
    assert result.code == "unlawful_move"
    assert lawful in result.hint
    assert stage.order == before
    assert stage.messages == []


def test_the_same_command_again_has_no_effect(stage):
    order = stage.placed()
    stage.told(order)
    advance(stage, order, "ready")
    advance(stage, order, "ready")
    assert stage.effects == []
    assert len(stage.desk.results) == 1


def test_a_command_for_an_order_elsewhere_is_answered(stage):
    stage.play(e.CancelRequested(stage.conversation, STRANGER, "k", "shop", stage.now))
    assert stage.desk.results[-1].code == "not_found"


def test_the_shop_cancels_what_is_not_paid(stage):
    order = stage.placed()
    stage.play(e.CancelRequested(stage.conversation, order.order_id, "k", "shop", stage.now))
    assert stage.happened(e.OrderCancelled)[0].by == "shop"
    assert stage.order.state == "cancelled"
    assert stage.timers == {}
    assert "annulé" in stage.text


def test_a_refund_gives_back_what_was_paid(stage):
    order = stage.placed()
    stage.told(order)
    assert refund(stage, order).code == ""
    [refunded] = stage.happened(e.OrderRefunded)
    assert (refunded.refunded_minor, refunded.sold_minor, refunded.lines) == (820, 0, ())
    assert (stage.order.state, stage.order.payment_state) == ("refunded", "refunded")
    assert "8,20 €" in stage.text
    assert refund(stage, order, "r2").code == "unlawful_move"


def test_an_order_to_be_paid_on_collection_that_nobody_fetches_was_never_sold(make_stage, stage):
    other = make_stage(shop=replace(stage.shop, payment_provider="on_collection"))
    order = other.placed()
    assert advance(other, order, "accepted").code == ""
    assert refund(other, order).code == ""
    [ended] = other.happened(e.OrderRefunded)
    assert (ended.refunded_minor, ended.sold_minor, ended.lines) == (0, order.total_minor, order.lines)
    assert other.order.payment_state == "none"


def test_an_order_paid_on_collection_goes_all_the_way(make_stage, stage):
    other = make_stage(shop=replace(stage.shop, payment_provider="on_collection"))
    order = other.placed()
    other.press(f"checkout:order:{order.order_id}")
    assert f"checkout:cancel:{order.order_id}" in other.buttons
    assert "se règle" in other.press(f"checkout:pay:{order.order_id}").text
    assert advance(other, order, "completed").code == ""
    assert other.order.payment_state == "none"


@pytest.mark.parametrize("state", ["accepted", "ready", "on_the_way", "completed", "refunded"])
@pytest.mark.parametrize("way", ["collect", "deliver"])
def test_every_state_is_told_and_shown_in_every_language(make_stage, state, way):
    for language in ("fr", "en"):
        stage = make_stage(language=language)
        order = stage.placed(way, lines=(e.Line("gateau", "Gâteau", 2, 1000),))
        stage.told(order)
        if state == "on_the_way":
            advance(stage, order, "ready")
        assert advance(stage, order, state).code == ""
        assert order.number in stage.text
        assert order.number in stage.press(f"checkout:order:{order.order_id}").text
        assert len(stage.buttons) == 3


def test_cancelling_tells_what_had_counted_as_sold(stage):
    """An order to be paid on collection counts when it is placed; one that waits for its payment does not."""
    waiting = stage.placed()
    assert cancellation(waiting, "shop", stage.now).sold_minor == 0
    placed = structs.replace(waiting, state="placed", payment_state="none")
    gone = cancellation(placed, "shop", stage.now)
    assert (gone.currency, gone.sold_minor, gone.lines) == (placed.currency, placed.total_minor, placed.lines)
