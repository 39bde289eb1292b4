"""Who answers what, by one pure function, and the promise of reply ids."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from panier_common.contracts import inbound as m
from panier_common.contracts.inbound import Context, ReferredProduct
from panier_common.routing import folded, owner_of, parse_reply, product_link, reply_id, word_of

BOTH = ("fr", "en")


@pytest.mark.parametrize(
    ("content", "owner"),
    [
        (m.Order("c", (m.OrderItem("croissant", 2),)), "cart"),
        (m.Reply("cart:add:croissant"), "cart"),
        (m.Reply("checkout:start"), "cart"),
        (m.Reply("checkout:confirm:42"), "checkout"),
        (m.Reply("catalog:menu"), "catalog"),
        (m.Reply("console:person"), "console"),
        (m.Reply("from another system"), "catalog"),
        (m.Location(48.1, -1.6), "checkout"),
        (m.Form("address_message", "{}"), "checkout"),
        (m.Text("Bonjour !"), "catalog"),
        (m.Text("PANIER 🧺"), "cart"),
        (m.Text("cart"), "cart"),
        (m.Text("commandes"), "checkout"),
        (m.Text("aide"), "catalog"),
        (m.Text("conseiller"), "console"),
        (m.Text("stop."), "sender"),
        (m.Text("stop sending me croissants"), "checkout"),
        (m.Text("un panier garni"), "checkout"),
        (m.Text("https://wa.me/p/18462710640/33612345678"), "catalog"),
        (m.Media("image", "1"), "console"),
        (m.Reaction("wamid.1", "👍"), "console"),
        (m.Edit("wamid.1"), "console"),
        (m.Unknown("hologram"), "console"),
        (m.Unknown("request_welcome"), "catalog"),
    ],
)
def test_every_message_has_one_owner(content: m.Content, owner: str) -> None:
    assert owner_of(content, None, BOTH) == owner


def test_a_question_about_a_product_is_the_catalogues_whatever_its_words() -> None:
    context = Context(product=ReferredProduct("c", "croissant"))
    assert owner_of(m.Text("panier"), context, BOTH) == "catalog"


@pytest.mark.parametrize(
    ("text", "language"), [("Bonjour", "fr"), ("HELLO!!", "en"), ("menu", None), ("stop", None), ("Commandés", "fr")]
)
def test_a_word_of_one_language_tells_the_language(text: str, language: str | None) -> None:
    word = word_of(text, BOTH)
    assert word is not None
    assert word.language == language


@pytest.mark.parametrize(
    ("text", "languages", "language"),
    [
        ("Bonjour", ("fr-FR", "en-GB"), "fr-FR"),
        ("hello", ("fr-FR", "en-GB"), "en-GB"),
        ("menu", ("fr-FR", "en-GB"), None),
        ("bonjour", ("en-GB", "fr-CH", "fr-FR"), "fr-CH"),
        ("bonjour", ("en-GB",), None),
    ],
)
def test_the_language_told_is_one_of_the_shop_s_own_tags(
    text: str, languages: tuple[str, ...], language: str | None
) -> None:
    word = word_of(text, languages)
    assert word is not None
    assert (word.asks, word.language) == ("menu", language)


def test_words_of_other_languages_work_and_change_nothing() -> None:
    word = word_of("bonjour", ("en",))
    assert word is not None
    assert (word.asks, word.language) == ("menu", None)


WORDS = st.text(st.characters(exclude_characters="\x00"), max_size=12)


@given(st.sampled_from(["catalog", "cart", "checkout", "console"]), st.lists(WORDS, max_size=3))
def test_a_reply_id_is_read_as_it_was_built(owner: str, arguments: list[str]) -> None:
    try:
        built = reply_id(owner, "verb", *arguments)
    except (ValueError, UnicodeEncodeError):
        return  # too long, or no text that could be sent
    parsed = parse_reply(built)
    assert parsed is not None
    assert (parsed.owner, parsed.verb, list(parsed.arguments)) == (owner, "verb", arguments)


def test_a_made_up_reply_id_brings_no_character_that_a_database_refuses() -> None:
    parsed = parse_reply("cart:add:a%00b%ED%A0%80")
    assert parsed is not None
    assert parsed.argument == "a\ufffdb\ufffd\ufffd\ufffd"


def test_a_reply_id_that_is_too_long_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="200"):
        reply_id("cart", "add", "x" * 200)


@given(st.text(max_size=60))
@example("𝕊𝕋𝕆ℙ")
def test_folding_is_stable(text: str) -> None:
    assert folded(folded(text)) == folded(text)


def test_links_are_recognised_with_words_around_them() -> None:
    assert product_link("look: https://wa.me/p/123/336") == "123"
    assert product_link("https://wa.me/c/33612345678") == ""
    assert product_link("https://example.test/p/1/2") is None
