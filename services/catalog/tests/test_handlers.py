"""One test an event and a kind of question: what the customer is answered."""

import pytest
from panier_catalog import handlers
from panier_catalog.loops import browsing_loop
from panier_catalog.search import ALL_WORDS, Hit
from panier_catalog.shelf import CollectionSize, Shelf
from panier_common.contracts.events import CartAbandoned, Event
from panier_common.contracts.inbound import Context, ReferredProduct
from panier_common.contracts.outbound import Message, offered
from panier_common.event import Received

from .story import (
    CONVERSATION,
    CUSTOMER,
    GARDEN,
    NOON,
    NUMBER,
    SHOP,
    enquires,
    message,
    presses,
    product,
    received,
    says,
    shown,
    texts,
)


def shelf(got: Received, *hits: Hit) -> Shelf:
    return Shelf(
        shops={SHOP: GARDEN},
        collections={SHOP: [CollectionSize("Graines", 4), CollectionSize("Outils", 31)]},
        pages={(SHOP, "Outils", 1): [f"s{n}" for n in range(30)]},
        products={(SHOP, "spade"): product("spade"), (SHOP, "123"): product("spade")},
        hits={got.id: list(hits)},
    )


def answers(event: Event, *hits: Hit, language: str | None = None) -> list[Message]:
    got = received(event, language=language)
    return shown(publish.event for publish in browsing_loop().decide(shelf(got, *hits), got))


def kinds(*arguments: object, **named: object) -> list[str]:
    return [one.kind for one in answers(*arguments, **named)]  # type: ignore[arg-type]


SPADE = Hit(ALL_WORDS, "spade", "Bêche", "Outils", False, 0.9)


def test_an_answer_says_whom_it_answers_and_when_that_was():
    event = says("menu")
    got = received(event)
    for request in handlers.answer_message(shelf(got), got, event):
        assert (request.phone_number_id, request.conversation, request.shop) == (NUMBER, CONVERSATION, SHOP)
        assert (request.customer, request.lane) == (CUSTOMER, "answer")
        assert (request.answers, request.answers_at) == (event.wamid, event.at)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (says("bonjour"), ["catalogue", "buttons"]),
        (says("menu"), ["catalogue", "buttons"]),
        (says("aide"), ["buttons"]),
        (presses("catalog:menu"), ["list"]),
        (presses("catalog:collection:Outils"), ["product_list", "buttons"]),
        (presses("catalog:collection:Outils:7"), ["list"]),
        (presses("catalog:collection:Gone"), ["list"]),
        (presses("catalog:product:spade"), ["product", "buttons"]),
        (presses("catalog:product:gone"), ["buttons"]),
        (presses("from another time"), ["buttons"]),
        (says("c'est du bon acier ?", Context(product=ReferredProduct("1", "spade"))), ["product", "buttons"]),
        (says("https://wa.me/p/123/33100"), ["product", "buttons"]),
        (says("https://wa.me/p/999/33100"), ["buttons"]),
        (says("https://wa.me/c/33100"), ["catalogue"]),
        (says("Envoyez m'en plus", Context(ad="120")), ["catalogue", "buttons"]),
        (enquires("Voir les rayons", "catalog:menu"), ["list"]),
        (enquires("bonsoir"), ["catalogue", "buttons"]),
        (enquires("merci"), ["buttons"]),
        (enquires("une licorne"), ["buttons"]),
        (enquires("🙂"), ["buttons"]),
        (enquires("م" * 4096), ["buttons"]),
    ],
)
def test_every_question_has_its_answer(event, expected):
    assert kinds(event) == expected


def test_a_search_shows_what_was_found():
    (found,) = answers(enquires("une beche"), SPADE)
    assert found.kind == "product_list"
    assert found.sections[0].skus == ("spade",)


def test_a_greeting_that_finds_something_is_a_search():
    assert kinds(enquires("bonsoir"), SPADE) == ["product_list"]


def test_thanks_are_answered_where_they_name_no_product():
    assert "Avec plaisir" in texts(answers(enquires("Merci beaucoup !")))
    assert "You are welcome" in texts(answers(enquires("thank you 🙏"), language="en"))
    assert "Nous n’avons rien trouvé" in texts(answers(enquires("merci de me dire si vous avez une licorne")))
    assert kinds(enquires("merci"), SPADE) == ["product_list"]


def test_the_language_is_the_customers_else_the_shops_first():
    assert "Bonjour" in texts(answers(says("menu")))
    assert "Hello" in texts(answers(says("menu"), language="en"))


def test_every_refusal_offers_a_way_on():
    for event in (presses("x"), presses("catalog:product:gone"), presses("catalog:collection:Gone"), enquires("zzz")):
        assert [one for part in answers(event) for one in offered(part)]


def test_a_shop_nobody_knows_and_other_events_get_no_answer():
    assert answers(message(says("menu").content, shop=None)) == []
    assert answers(enquires("une beche", shop="elsewhere")) == []
    assert answers(CartAbandoned(CONVERSATION, SHOP, "c", 1, NOON)) == []
