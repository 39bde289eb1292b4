"""What a message or an enquiry asks the catalogue for."""

import pytest
from panier_catalog import browsing
from panier_catalog.browsing import (
    Catalogue,
    Collection,
    Foreign,
    Greeting,
    Help,
    Menu,
    Product,
    Search,
    asked,
    greets,
)
from panier_common.contracts.events import StockReserved
from panier_common.contracts.inbound import Context, Location, ReferredProduct, Unknown

from .story import NOON, enquires, message, presses, says


@pytest.mark.parametrize(
    ("reply", "ask"),
    [
        ("catalog:menu", Menu()),
        ("catalog:menu:2", Menu(2)),
        ("catalog:collection:Graines", Collection("Graines")),
        ("catalog:collection:Graines%20%C3%A0%20semer:3", Collection("Graines à semer", 3)),
        ("catalog:collection:Graines:nonsense", Collection("Graines", 1)),
        ("catalog:collection:Graines:-4", Collection("Graines", 1)),
        ("catalog:collection:Graines:99999999999999", Collection("Graines", 1)),
        ("catalog:collection:Graines:99999999", Collection("Graines", browsing.MAX_PAGE)),
        ("catalog:collection:Graines:٣", Collection("Graines", 1)),
        ("catalog:product:a%3Ab", Product("a:b")),
        ("catalog:collection:", Foreign()),
        ("catalog:product:", Foreign()),
        ("catalog:dance", Foreign()),
        ("cart:show", Foreign()),
        ("somebody else's button", Foreign()),
        ("", Foreign()),
    ],
)
def test_a_press_asks_for_what_its_id_says(reply, ask):
    assert asked(presses(reply)) == ask
    assert asked(enquires("the title of the button", reply)) == ask


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        ("Bonjour !", Greeting()),
        ("MENU", Greeting()),
        ("hello", Greeting()),
        ("Aide 🙏", Help()),
        ("help", Help()),
        ("une bêche", Search("une bêche")),
        ("regarde https://wa.me/p/18462710640/33100000099", Product("18462710640")),
        ("https://wa.me/c/33100000099", Catalogue()),
        ("bonjour, une bêche", Search("bonjour, une bêche")),
    ],
)
def test_a_text_asks_for_a_word_a_link_or_a_search(text, ask):
    assert asked(says(text)) == ask
    assert asked(enquires(text)) == ask


def test_a_question_about_a_product_asks_for_it_whatever_the_words():
    about = Context(product=ReferredProduct("1", "spade"))
    assert asked(says("elle est solide ?", about)) == Product("spade")
    assert asked(says("menu", about)) == Product("spade")


def test_an_ad_brings_a_greeting():
    assert asked(says("Je veux en savoir plus", Context(ad="120"))) == Greeting()


def test_a_chat_opened_for_the_first_time_is_greeted():
    assert asked(message(Unknown("request_welcome"))) == Greeting()


def test_other_messages_and_events_ask_for_nothing():
    assert asked(message(Location(1.0, 2.0))) is None
    assert asked(message(Unknown("hologram"))) is None
    assert asked(StockReserved("c", "s", "o", NOON)) is None


@pytest.mark.parametrize(
    ("text", "is_greeting"),
    [
        ("Bonsoir madame", True),
        ("hey there 👋", True),
        ("salut je cherche une belle bêche", False),
        ("🙂", False),
        ("bêche", False),
    ],
)
def test_greetings_are_short_and_begin_with_one(text, is_greeting):
    assert greets(text) is is_greeting
