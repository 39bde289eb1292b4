"""Answers: what they hold, and that WhatsApp would take them whatever shops and customers write."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from panier_catalog import menu
from panier_catalog.handlers import WORDS
from panier_catalog.search import Found, Hit
from panier_catalog.shelf import CollectionSize
from panier_catalog.voice import Voice
from panier_common.contracts.outbound import (
    ButtonsMessage,
    CatalogueMessage,
    ListMessage,
    ProductListMessage,
    ProductMessage,
    offered,
)
from panier_common.routing import word_of

from .story import GARDEN, product, texts

FRENCH, ENGLISH = Voice(WORDS, "fr"), Voice(WORDS, "en")


def ids(messages):
    return [one for message in messages for one, _ in offered(message)]


def sizes(n: int) -> list[CollectionSize]:
    return [CollectionSize(f"Collection {at:03}", at) for at in range(1, n + 1)]


def test_a_greeting_shows_the_catalogue_and_three_ways():
    catalogue, ways = menu.greeting(FRENCH, GARDEN, stocked=True)
    assert isinstance(catalogue, CatalogueMessage)
    assert "Le Jardin d'Ada" in catalogue.body
    assert ids([ways]) == ["catalog:menu", "cart:show", "checkout:orders"]


def test_without_anything_to_sell_no_catalogue_is_shown():
    for answer in (
        menu.greeting(FRENCH, GARDEN, stocked=False),
        menu.catalogue(FRENCH, GARDEN, stocked=False),
        menu.collections(FRENCH, [], 1),
    ):
        assert [type(message) for message in answer] == [ButtonsMessage]
        assert "console:person" in ids(answer)


def test_ten_collections_are_one_list_and_more_are_paged():
    assert len(ids(menu.collections(FRENCH, sizes(10), 1))) == 10
    pages = [ids(menu.collections(FRENCH, sizes(20), page)) for page in (1, 2, 3)]
    assert [page[-1] for page in pages] == ["catalog:menu:2", "catalog:menu:3", "catalog:menu:1"]
    assert [one for page in pages for one in page[:-1]] == [
        f"catalog:collection:Collection%20{at:03}" for at in range(1, 21)
    ]
    assert ids(menu.collections(FRENCH, sizes(20), 99)) == pages[0]


def test_a_collection_of_one_page_is_one_message_and_more_offer_the_next():
    skus = [f"s{n}" for n in range(30)]
    (only,) = menu.collection(FRENCH, GARDEN, CollectionSize("Outils", 30), skus, 1)
    assert isinstance(only, ProductListMessage)
    assert only.catalog_id == GARDEN.catalog_id
    assert only.sections[0].skus == tuple(skus)
    _, paging = menu.collection(ENGLISH, GARDEN, CollectionSize("Outils à main", 61), skus, 2)
    assert ids([paging])[0] == "catalog:collection:Outils%20%C3%A0%20main:3"
    assert "2 of 3" in texts([paging])
    assert len(menu.collection(FRENCH, GARDEN, CollectionSize("Outils", 61), ["s60"], 3)) == 1


def test_a_product_shows_price_and_availability_and_can_be_put_in_the_cart():
    card, words = menu.product(FRENCH, GARDEN, product("spade", price_minor=123456))
    assert isinstance(card, ProductMessage)
    assert card.sku == "spade"
    assert "1\u202f234,56\xa0€ · disponible" in words.body
    assert ids([words]) == ["cart:add:spade", "console:person", "catalog:menu"]
    assert "€1,234.56 · only 2 left" in menu.product(ENGLISH, GARDEN, product(price_minor=123456, available=2))[1].body


def test_a_sold_out_product_is_shown_and_not_offered():
    (words,) = menu.product(FRENCH, GARDEN, product("spade", available=0, sold_out=True))
    assert "épuisé" in words.body
    assert ids([words]) == ["catalog:menu", "console:person"]


def test_what_is_found_is_a_product_list_by_collection():
    hits = tuple(Hit(0, f"s{n}", f"S{n}", f"C{n % 12}", False, 1.0) for n in range(30))
    (found,) = menu.found(FRENCH, GARDEN, "bêche", Found(hits))
    assert isinstance(found, ProductListMessage)
    assert len(found.sections) == 10
    assert found.sections[0].skus == ("s0", "s12", "s24")
    assert "« bêche »" in found.body


def test_what_only_comes_near_is_not_called_found_and_names_the_way_to_a_person():
    near = Found((Hit(0, "spade", "Spade", "Tools", False, 1.0),), matches=False)
    for voice, said, word in ((FRENCH, "Rien ne correspond tout à fait", "conseiller"), (ENGLISH, "quite", "person")):
        (shown,) = menu.found(voice, GARDEN, "sans plastique", near)
        assert said in shown.body
        assert word_of(word, ()).asks == "person"
        assert word in shown.body
        assert "sans plastique" in shown.body


def test_nothing_found_offers_the_menu_and_a_person():
    (nothing,) = menu.found(ENGLISH, GARDEN, "مجرفة 🙂", Found())
    assert "“مجرفة 🙂”" in nothing.body
    assert ids([nothing]) == ["catalog:menu", "console:person"]
    (gone,) = menu.found(ENGLISH, GARDEN, "spade", Found((), ("Spade",)))
    assert "Sold out at the moment: Spade." in gone.body
    assert ids([gone]) == ["catalog:menu", "console:person"]


LONG = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300).filter(
    lambda text: bool(text.strip())
)


@given(
    name=LONG,
    text=LONG,
    sku=st.text(min_size=1, max_size=16),
    count=st.integers(1, 400),
    language=st.sampled_from(["fr", "en", "de"]),
)
def test_whatever_people_write_fits(name, text, sku, count, language):
    voice, shop = Voice(WORDS, language), replace(GARDEN, name=name)
    size = CollectionSize(name.strip()[:10], count)
    shown = product(sku, title=name, description=text * 30, collection=name)
    hit = Hit(0, sku, name, name, False, 1.0)
    answers = [
        menu.greeting(voice, shop, stocked=True),
        menu.greeting(voice, shop, stocked=False),
        menu.collections(voice, [size], 1),
        menu.collection(voice, shop, size, [sku], 1),
        menu.collection_gone(voice, [size]),
        menu.product(voice, shop, shown),
        menu.found(voice, shop, text * 20, Found((hit,), (name,) * 3)),
        menu.found(voice, shop, text * 20, Found((), (name,) * 3)),
        menu.found(voice, shop, text * 20, Found()),
        menu.found(voice, shop, text * 20, Found((hit,), matches=False)),
        menu.thanked(voice),
        menu.foreign(voice),
        menu.help_(voice),
        menu.product_gone(voice),
    ]
    assert all(answers)


def test_a_list_is_what_the_menu_is():
    assert isinstance(menu.collections(FRENCH, sizes(3), 1)[0], ListMessage)
