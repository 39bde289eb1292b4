"""From the request to the order: the questions, and what each answer leads to."""

import pytest
from msgspec.structs import replace
from panier_common.contracts import events as e
from panier_common.contracts import inbound as m
from panier_common.contracts.outbound import LinkMessage, LocationRequestMessage, TextMessage


def test_the_way_is_always_asked_and_a_missing_minimum_is_named(stage):
    stage.checkout()
    assert stage.buttons == ["checkout:collect"]
    assert "8,20 €" in stage.text
    assert "15,00 €" in stage.text
    assert "6,80 €" in stage.text


def test_both_ways_are_offered_to_a_cart_that_qualifies(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 2, 1000),))
    assert stage.buttons == ["checkout:collect", "checkout:deliver"]
    assert "4,50 €" in stage.text
    assert "40,00 €" in stage.text


def test_the_only_way_is_asked_as_well(make_stage, stage):
    only = make_stage(shop=replace(stage.shop, delivery=None))
    assert only.checkout().buttons == ["checkout:collect"]


def test_a_cart_that_qualifies_for_nothing_is_shown_a_way_on(make_stage, stage):
    only = make_stage(shop=replace(stage.shop, collect=False))
    only.checkout()
    assert only.buttons == ["catalog:menu", "cart:edit"]
    assert "6,80 €" in only.text


def test_a_shop_without_ways_offers_a_person(make_stage, stage):
    none = make_stage(shop=replace(stage.shop, collect=False, delivery=None))
    assert "console:person" in none.checkout().buttons


def test_collected_confirmed_reserved_and_to_be_paid(stage):
    stage.checkout(note="Bien cuits").press("checkout:collect")
    confirm = stage.buttons[0]
    assert confirm.startswith("checkout:confirm:")
    assert stage.buttons[1] == "checkout:dismiss"
    assert "4 × Croissant" in stage.text
    assert "Bien cuits" in stage.text
    assert "8,20 €" in stage.text
    stage.press(confirm)
    assert stage.messages == []
    (asked,) = stage.happened(e.StockRequested)
    confirmed_by = f"wamid.{stage.serial}"
    stage.reserved()
    (placed,) = stage.happened(e.OrderPlaced)
    assert placed.order_id == asked.order_id
    assert placed.caused_by == confirmed_by
    assert (placed.total_minor, placed.fees_minor, placed.state) == (820, 0, "awaiting_payment")
    assert (placed.cart_version, placed.note) == (1, "Bien cuits")
    (link,) = stage.messages
    assert isinstance(link, LinkMessage)
    assert str(link.url) == f"http://localhost:8070/pay/{placed.order_id}"
    assert placed.number in link.body
    (request,) = stage.happened(e.MessageRequested)
    assert (request.lane, request.answers) == ("answer", confirmed_by)


def test_delivered_to_a_written_address_with_the_fee(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 2, 1000),)).press("checkout:deliver")
    assert isinstance(stage.messages[0], LocationRequestMessage)
    stage.say("12 rue des Lilas, Marseille")
    assert "12 rue des Lilas" in stage.text
    assert "24,50 €" in stage.text
    stage.press("checkout:confirm").reserved()
    assert stage.order.fulfilment == e.Fulfilment("deliver", e.Address("12 rue des Lilas, Marseille"))
    assert (stage.order.fees_minor, stage.order.total_minor) == (450, 2450)


def test_a_shared_location_is_an_address(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 4, 1000),)).press("checkout:deliver")
    stage.send(m.Location(43.2965, 5.3698, name="Vieux-Port", address="Quai"))
    assert "Vieux-Port, Quai" in stage.text
    stage.press("checkout:confirm").reserved()
    address = stage.order.fulfilment.address
    assert (address.latitude, address.longitude) == (43.2965, 5.3698)
    assert stage.order.fees_minor == 0


def test_a_nameless_place_is_shown_by_its_coordinates(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 4, 1000),)).press("checkout:deliver")
    assert "43.29650, 5.36980" in stage.send(m.Location(43.2965, 5.3698)).text


def test_an_address_form_is_an_address(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 4, 1000),)).press("checkout:deliver")
    stage.send(m.Form("address_message", '{"values": {"name": "Inès", "address": "3 quai"}, "saved": true}'))
    assert "Inès, 3 quai" in stage.text
    assert stage.buttons[0].startswith("checkout:confirm:")


def test_an_address_form_brings_no_character_that_a_database_refuses(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 4, 1000),)).press("checkout:deliver")
    stage.send(m.Form("address_message", '{"values": {"address": "3 quai\\u0000", "city": "\\u0000"}}'))
    assert stage.desk.dialogue(stage.conversation).draft.address.text == "3 quai\ufffd, \ufffd"


def test_an_address_form_without_fields_asks_again(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 4, 1000),)).press("checkout:deliver")
    for response in ("", "{", "[]", '{"values": {}}', '{"values": {"floor": 3}}'):
        stage.send(m.Form("address_message", response))
        assert isinstance(stage.messages[0], LocationRequestMessage)


def test_a_long_address_is_answered_and_asked_again(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 2, 1000),)).press("checkout:deliver")
    stage.say("x" * 5000)
    assert "5000" in stage.text
    assert "1000" in stage.text
    assert isinstance(stage.messages[0], LocationRequestMessage)
    stage.say("y" * 1000)
    assert any(i.startswith("checkout:confirm:") for i in stage.buttons)


def test_an_address_without_words_is_asked_again(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 2, 1000),)).press("checkout:deliver")
    for text in ("   ", "🙂🙂", "…"):
        assert isinstance(stage.say(text).messages[0], LocationRequestMessage)
    stage.say("شارع ١٢ 🙂")
    assert any(i.startswith("checkout:confirm:") for i in stage.buttons)


def test_a_way_that_does_not_qualify_is_refused_with_what_is_missing(stage):
    stage.checkout().press("checkout:deliver")
    assert "6,80 €" in stage.text
    assert stage.buttons == ["checkout:collect"]


def test_a_question_of_yesterday_does_not_swallow_a_search(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 2, 1000),)).press("checkout:deliver").later(hours=25)
    assert stage.say("croissants").happened(e.EnquiryRaised)[0].owner == "catalog"


def test_buttons_without_a_draft_get_a_way_on(stage):
    for press in ("collect", "deliver", "confirm", "confirm:0b2c6f60-2c3f-5b6e-9a53-2a1b7a0c0d11"):
        assert "cart:show" in stage.press(f"checkout:{press}").buttons


def test_dismiss_ends_the_questions_and_leads_back_to_the_cart(stage):
    stage.checkout().press("checkout:collect").press("checkout:dismiss")
    assert "cart:show" in stage.buttons
    assert stage.press("checkout:confirm").happened(e.StockRequested) == []


def test_dismiss_after_the_order_never_says_that_nothing_is_ordered(stage):
    order = stage.placed()
    assert f"checkout:cancel:{order.order_id}" in stage.press("checkout:dismiss").buttons
    stage.checkout(last_order=order.order_id).press("checkout:collect").press("checkout:dismiss")
    assert "cart:show" in stage.buttons


def test_dismiss_right_behind_confirm_shows_the_order_that_came_of_it(stage):
    stage.checkout().press("checkout:collect").press(stage.buttons[0]).press("checkout:dismiss")
    assert stage.messages == []
    stage.reserved()
    assert f"checkout:cancel:{stage.order.order_id}" in stage.buttons


def test_a_newer_request_replaces_the_draft(stage):
    stage.checkout().press("checkout:collect")
    old = stage.buttons[0]
    stage.checkout((e.Line("tradition", "Baguette", 1, 130),))
    assert stage.press(old).happened(e.StockRequested) == []
    assert stage.buttons == ["checkout:collect"]
    stage.press("checkout:collect")
    shown = stage.buttons[0]
    assert stage.press(old).buttons[0] == shown
    assert stage.happened(e.StockRequested) == []
    assert stage.press(shown).happened(e.StockRequested)[0].lines[0].quantity == 1


def test_an_older_summary_s_button_does_not_confirm_another_total(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 2, 1000),)).press("checkout:collect")
    old = stage.buttons[0]
    stage.press("checkout:deliver").say("12 rue des Lilas")
    shown = stage.buttons[0]
    assert stage.press(old).happened(e.StockRequested) == []
    assert stage.buttons[0] == shown


def test_confirming_twice_orders_once_and_answers_each_press(stage):
    stage.checkout().press("checkout:collect")
    confirm = stage.buttons[0]
    stage.press(confirm).press(confirm)
    assert stage.effects == []
    stage.press("checkout:confirm")
    assert stage.effects == []
    stage.reserved()
    assert len(stage.happened(e.OrderPlaced)) == 1
    answered = [request.answers for request in stage.happened(e.MessageRequested)]
    assert len(answered) == len(set(answered)) == 3
    stage.press(confirm)
    assert stage.happened(e.StockRequested) == []
    assert stage.order.number in stage.text
    stage.press("checkout:confirm")
    assert stage.order.number in stage.text


def test_a_request_while_the_stock_is_asked_for_waits_and_then_asks_the_cart(stage):
    stage.checkout().press("checkout:collect").press("checkout:confirm")
    stage.checkout()
    assert stage.effects == []
    stage.reserved()
    (asked,) = stage.happened(e.CartAsked)
    assert asked.last_order == stage.order.order_id
    assert len(stage.happened(e.OrderPlaced)) == 1


def test_a_request_that_waited_goes_on_when_the_stock_is_refused(stage):
    stage.checkout().press("checkout:collect").press("checkout:confirm").checkout()
    stage.refused(short=(e.ShortLine("croissant", 4, 1),))
    assert "checkout:collect" in stage.buttons


def test_a_cart_that_has_not_heard_of_the_last_order_is_asked_anew(stage):
    order = stage.placed()
    stage.checkout(last_order=None)
    assert stage.happened(e.CartAsked)[0].last_order == order.order_id
    assert stage.messages == []
    assert stage.checkout(last_order=order.order_id).buttons == ["checkout:collect"]


def test_a_cart_is_asked_anew_only_once_for_one_request(stage):
    stage.placed()
    stage.checkout(last_order=None, wamid="w").checkout(last_order=None, wamid="w")
    assert stage.happened(e.CartAsked) == []
    assert "cart:show" in stage.buttons
    assert stage.checkout(last_order=None, wamid="another").happened(e.CartAsked)


def test_a_cart_begun_since_the_last_order_need_not_have_heard_of_it(stage):
    """Its row may be another than that which the order came out of: that one was erased."""
    stage.placed()
    assert stage.checkout(last_order=None, cart_id="begun since").buttons == ["checkout:collect"]


def test_a_dialogue_of_an_earlier_version_does_not_know_the_cart_of_its_last_order(stage):
    stage.placed()
    known = stage.desk.dialogue(stage.conversation)
    stage.desk.dialogues[stage.conversation] = replace(known, last_cart="")
    assert stage.checkout(last_order=None, cart_id="begun since").happened(e.CartAsked)


def test_short_stock_is_named_with_a_way_on(stage):
    stage.checkout().press("checkout:collect").press("checkout:confirm")
    stage.refused(short=(e.ShortLine("croissant", 4, 3), e.ShortLine("tradition", 2, 0)))
    assert "Croissant : il en reste 3" in stage.text
    assert "Baguette de tradition : épuisé" in stage.text
    assert stage.buttons[:2] == ["cart:edit", "catalog:menu"]
    assert stage.happened(e.OrderPlaced) == []
    assert stage.timers == {}


def test_another_price_is_shown_and_confirmed_anew(stage):
    stage.checkout().press("checkout:collect")
    old = stage.buttons[0]
    stage.press(old).refused(repriced=(e.ShortLine("croissant", 4, None, unit_minor=150),))
    assert "1,50 €" in stage.text
    assert "1,40 €" in stage.text
    assert "8,60 €" in stage.text
    shown = stage.buttons[0]
    assert shown != old
    assert stage.press(old).happened(e.StockRequested) == []
    (asked,) = stage.press(shown).happened(e.StockRequested)
    assert asked.lines[0].unit_minor == 150
    assert stage.reserved().order.total_minor == 860


@pytest.mark.parametrize("bare", ["checkout:confirm", "checkout:confirm:"])
def test_a_press_made_before_the_new_prices_were_shown_does_not_confirm_them(stage, bare):
    stage.checkout().press("checkout:collect").press("checkout:confirm").press(bare)
    stage.refused(repriced=(e.ShortLine("croissant", 4, None, unit_minor=150),))
    assert stage.happened(e.StockRequested) == []
    assert stage.text.count("8,60 €") == 2  # each press is answered by the summary
    (asked,) = stage.press("checkout:confirm").happened(e.StockRequested)
    assert asked.lines[0].unit_minor == 150


def test_a_lower_price_below_the_minimum_asks_the_way_again(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 1, 1500),)).press("checkout:deliver").say("12 rue X")
    stage.press("checkout:confirm").refused(repriced=(e.ShortLine("gateau", 1, None, unit_minor=1400),))
    assert stage.buttons == ["checkout:collect"]
    assert "1,00 €" in stage.text


def test_a_stock_wait_that_nobody_answers_frees_and_says_so(stage):
    stage.checkout().press("checkout:collect").press("checkout:confirm")
    asked = stage.asked
    stage.fire("stock:")
    (cancelled,) = stage.happened(e.OrderCancelled)
    assert cancelled.order_id == asked
    assert "checkout:start" in stage.buttons
    assert stage.reserved(asked).effects == []


def test_a_summary_older_than_a_day_is_shown_again_instead_of_ordering(stage):
    stage.checkout().press("checkout:collect").later(hours=24, seconds=1)
    old = stage.desk.dialogue(stage.conversation).draft.draft_id
    stage.press(f"checkout:confirm:{old}")
    assert stage.happened(e.StockRequested) == []
    assert stage.buttons[0] not in {f"checkout:confirm:{old}", ""}
    assert stage.press(stage.buttons[0]).happened(e.StockRequested)


def test_a_long_cart_is_split_before_the_buttons(stage):
    lines = tuple(e.Line(f"sku{n}", f"Produit au nom plutôt long numéro {n}", 9, 100) for n in range(80))
    stage.checkout(lines, note="n" * 3000).press("checkout:deliver").say("z" * 1000)
    *texts, last = stage.messages
    assert all(isinstance(text, TextMessage) for text in texts)
    shown = "\n".join(text.body for text in texts)
    assert all(line.title in shown for line in lines)
    assert "z" * 1000 in shown
    assert "720,00 €" in last.body.replace("\xa0", " ")
    assert stage.buttons[0].startswith("checkout:confirm:")


def test_paid_on_collection_is_placed_at_once(make_stage, stage):
    other = make_stage(shop=replace(stage.shop, payment_provider="on_collection"))
    order = other.placed()
    assert (order.state, order.payment_state) == ("placed", "none")
    assert other.timers == {}
    assert f"checkout:order:{order.order_id}" in other.buttons


def test_nothing_to_pay_is_placed_at_once(stage):
    order = stage.placed(lines=(e.Line("free", "Échantillon", 1, 0),))
    assert (order.state, order.total_minor) == ("placed", 0)
    assert "rien à payer" in stage.text


def test_numbers_follow_each_other(stage):
    assert [stage.placed().number for _ in range(3)] == ["G3-100", "G3-101", "G3-102"]


def test_english_for_who_speaks_it(make_stage):
    english = make_stage(language="en")
    assert "How would you like to get it?" in english.checkout().text
    assert "€8.20" in english.text
