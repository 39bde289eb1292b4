"""A button acts for 24 hours after its own message was sent: after that it shows how things stand."""

import pytest
from panier_common.contracts import events as e


def test_an_old_way_asks_the_question_that_is_open_now(stage):
    stage.checkout().sent("monday")
    stage.press("checkout:collect").press("checkout:confirm").reserved().told(stage.order)
    stage.later(hours=25).checkout(last_order=stage.order.order_id).sent("tuesday")
    stage.press("checkout:collect", "monday")
    assert stage.buttons == ["checkout:collect"]
    assert stage.desk.dialogue(stage.conversation).draft.stage == "way"
    stage.press("checkout:collect", "tuesday")
    assert stage.desk.dialogue(stage.conversation).draft.stage == "summary"


def test_an_old_confirm_shows_the_order_or_the_present_summary(stage):
    confirm = stage.checkout().press("checkout:collect").buttons[0]
    stage.sent("monday").press(confirm).reserved()
    number = stage.order.number
    stage.later(hours=25).press(confirm, "monday")
    assert number in stage.text
    stage.checkout(last_order=stage.order.order_id).press("checkout:collect")
    summary = stage.buttons
    stage.sent("tuesday").press(confirm, "monday")
    assert stage.buttons == summary
    assert stage.happened(e.StockRequested) == []
    stage.press(summary[0], "tuesday")
    assert len(stage.happened(e.StockRequested)) == 1


def test_an_old_dismiss_keeps_the_draft(stage):
    stage.checkout().press("checkout:collect").sent("monday")
    stage.later(hours=25).press("checkout:dismiss", "monday")
    assert stage.desk.dialogue(stage.conversation).draft is not None
    assert stage.buttons[1] == "checkout:dismiss"


@pytest.mark.parametrize("verb", ["cancel", "again"])
def test_an_old_button_of_an_order_shows_the_order(stage, verb):
    order = stage.placed()
    stage.press("checkout:orders").press(f"checkout:order:{order.number}").sent("monday")
    stage.later(hours=24, seconds=1).press(f"checkout:{verb}:{order.order_id}", "monday")
    assert stage.happened(e.OrderCancelled) == stage.happened(e.OrderRepeated) == []
    assert order.number in stage.text
    assert f"checkout:cancel:{order.order_id}" in stage.buttons
    stage.sent("tuesday").press(f"checkout:{verb}:{order.order_id}", "tuesday")
    assert stage.happened(e.OrderCancelled) or stage.happened(e.OrderRepeated)


def test_what_only_shows_is_never_too_old(stage):
    order = stage.placed()
    stage.sent("monday").later(hours=100).press(f"checkout:pay:{order.order_id}", "monday")
    assert stage.messages[0].kind == "link"


def test_a_typed_title_is_as_old_as_its_message(stage):
    order = stage.placed()
    stage.press(f"checkout:order:{order.order_id}").sent()
    stage.later(hours=25).say("Annuler")
    assert stage.happened(e.OrderCancelled) == []
    assert order.number in stage.text
    stage.sent().say("Annuler")
    assert len(stage.happened(e.OrderCancelled)) == 1


def test_another_services_title_is_passed_on_with_its_age(stage):
    sent_at = stage.now
    stage.play(e.MessageSent(stage.conversation, "1", "1", "w", "buttons", sent_at, (e.Button("cart:empty", "Vider"),)))
    stage.later(hours=25).say("vider")
    (enquiry,) = stage.happened(e.EnquiryRaised)
    assert (enquiry.reply_id, enquiry.shown_at) == ("cart:empty", sent_at)
