"""Free text, typed titles, the floor, and what nobody asked for."""

import pytest
from panier_common.contracts import events as e
from panier_common.contracts import inbound as m

PLACES = [m.Location(1.0, 2.0), m.Form("address", '{"values":{"street":"12 rue des Lilas"}}')]


def test_free_text_that_nobody_waits_for_is_the_catalogue_s(stage):
    (enquiry,) = stage.say("vous avez du pain ?").happened(e.EnquiryRaised)
    assert (enquiry.owner, enquiry.text, enquiry.reply_id) == ("catalog", "vous avez du pain ?", None)
    assert stage.messages == []


def test_free_text_is_the_console_s_while_a_person_answers(stage):
    def floor(person: bool, version: int) -> None:
        stage.play(e.FloorChanged(stage.conversation, "bakery", person, version, stage.now))

    floor(True, 2)
    assert stage.say("encore moi").happened(e.EnquiryRaised)[0].owner == "console"
    floor(False, 1)  # older than what is known
    assert stage.say("encore moi").happened(e.EnquiryRaised)[0].owner == "console"
    floor(False, 3)
    assert stage.say("encore moi").happened(e.EnquiryRaised)[0].owner == "catalog"


def test_only_presses_are_answered_while_a_person_answers(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 2, 1000),)).press("checkout:deliver").sent()
    stage.play(e.FloorChanged(stage.conversation, "bakery", True, 1, stage.now))
    for content in (m.Text("12 rue des Lilas, mais plutôt demain ?"), *PLACES):
        (enquiry,) = stage.send(content).happened(e.EnquiryRaised)
        assert (enquiry.owner, stage.messages) == ("console", [])
    assert "catalog:menu" in stage.say("commandes").buttons
    stage.play(e.FloorChanged(stage.conversation, "bakery", False, 2, stage.now))
    assert stage.say("12 rue des Lilas").buttons[0].startswith("checkout:confirm:")


@pytest.mark.parametrize("content", PLACES)
def test_a_place_that_nobody_asked_for_is_left_to_the_person_who_answers(stage, content):
    """The console is told, as of text: should that person have just gone, it answers."""
    stage.play(e.FloorChanged(stage.conversation, "bakery", True, 1, stage.now))
    (enquiry,) = stage.send(content).happened(e.EnquiryRaised)
    assert (enquiry.owner, enquiry.text, stage.messages) == ("console", "", [])


def test_a_typed_title_of_the_last_message_is_a_press(stage):
    stage.checkout().sent().say("RETRAIT !")
    assert stage.buttons[0].startswith("checkout:confirm:")
    stage.sent().say("confirmer")
    assert stage.happened(e.StockRequested)


def test_a_typed_title_of_an_older_message_is_a_search(stage):
    stage.checkout().sent().press("checkout:collect").sent()
    assert stage.say("retrait").happened(e.EnquiryRaised)[0].reply_id is None


def test_a_typed_title_of_another_service_is_passed_on_as_its_press(stage):
    stage.press("checkout:orders").sent().say("Catalogue")
    (enquiry,) = stage.happened(e.EnquiryRaised)
    assert (enquiry.owner, enquiry.reply_id) == ("catalog", "catalog:menu")


def test_a_typed_start_is_the_cart_s(stage):
    stage.checkout().press("checkout:collect").press("checkout:confirm").fire("stock:").sent()
    (enquiry,) = stage.say("commander").happened(e.EnquiryRaised)
    assert (enquiry.owner, enquiry.reply_id) == ("cart", "checkout:start")


def test_a_typed_title_wins_over_an_open_question(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 2, 1000),)).press("checkout:deliver")
    stage.play(
        e.MessageSent(stage.conversation, "n", "1", "w", "buttons", stage.now, (e.Button("cart:show", "Mon panier"),))
    )
    assert stage.say("mon panier").happened(e.EnquiryRaised)[0].reply_id == "cart:show"
    assert "checkout:confirm" in stage.say("12 rue des Lilas").buttons[0]


def test_a_contract_word_is_answered_and_the_question_stays_open(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 2, 1000),)).press("checkout:deliver")
    assert "catalog:menu" in stage.say("Commandes !").buttons
    assert stage.say("12 rue des Lilas").buttons[0].startswith("checkout:confirm:")


@pytest.mark.parametrize("content", PLACES)
def test_a_place_that_nobody_asked_for_gets_a_friendly_answer(stage, content):
    assert "catalog:menu" in stage.send(content).buttons


@pytest.mark.parametrize("press", ["checkout:nonsense", "checkout:pay", "checkout:order:", "checkout:order:%00x"])
def test_a_button_from_another_time_gets_a_friendly_answer(stage, press):
    assert "catalog:menu" in stage.press(press).buttons


def test_a_number_of_no_shop_is_answered_by_nobody(stage):
    message = e.MessageReceived("x:y", "x", stage.customer, "w", stage.now, m.Text("hello"))
    assert stage.play(message) == []
