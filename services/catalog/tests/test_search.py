"""Words to look for, and which hits are shown; what PostgreSQL finds is in test_finding.py."""

import pytest
from panier_catalog.search import ALL_WORDS, MAX_WORDS, Hit, choose, terms, words


def hit(sku: str, position: int, rank: float = 0.5, *, sold_out: bool = False) -> Hit:
    return Hit(position, sku, sku.title(), "Tools", sold_out, rank)


def skus(*hits: Hit) -> list[str]:
    return [one.sku for one in choose(hits, "").products]


def test_words_that_only_ask_are_left_out_unless_there_is_nothing_else():
    assert words("Bonjour, je voudrais une bêche s'il vous plaît") == ["je", "une", "bêche", "s", "il", "vous"]
    assert words("bonjour merci") == ["bonjour", "merci"]


def test_long_texts_emoji_and_other_scripts_are_words_or_nothing():
    assert words("🙂🎉") == []
    assert words("") == []
    assert words("مجرفة حديقة") == ["مجرفة", "حديقة"]
    assert len(words(" ".join(f"mot{n}" for n in range(5000)))) == MAX_WORDS
    assert words("x" * 4096) == []


def test_each_word_is_looked_for_in_the_languages_and_in_none():
    assert [(t.position, t.word, t.configuration) for t in terms("bêche", ("fr-FR", "en", "fr", "ja"))] == [
        (0, "bêche", "french"),
        (0, "bêche", "english"),
        (0, "bêche", "simple"),
    ]


def test_products_with_all_words_come_alone_and_best_first():
    assert skus(hit("spade", ALL_WORDS, 0.2), hit("fork", ALL_WORDS, 0.9)) == ["fork", "spade"]


def test_a_product_with_more_of_the_words_hides_those_with_fewer_of_them():
    assert skus(hit("rake", 0, 0.9), hit("spade", 0), hit("spade", 1), hit("fork", 1, 0.9)) == ["spade"]


def test_a_word_that_no_better_product_has_still_counts():
    assert skus(hit("spade", 0), hit("spade", 1), hit("seeds", 2)) == ["spade", "seeds"]
    assert skus(hit("spade", 0), hit("seeds", 1)) == ["seeds", "spade"]


def test_a_sold_out_product_is_named_and_never_offered():
    found = choose([hit("spade", 0, sold_out=True), hit("spade", 1, sold_out=True), hit("fork", 1)], "")
    assert ([h.sku for h in found.products], found.sold_out) == (["fork"], ("Spade",))
    assert choose([hit("spade", 0, sold_out=True)], "").sold_out == ("Spade",)
    assert choose([hit("spade", 0, sold_out=True), hit("fork", 0)], "").sold_out == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("steel spade", True),
        ("3 steel spades", False),  # no product has `spades`: which word is like it, only PostgreSQL knows
        ("3 steel spade", True),
        ("steel spade vegan", False),
        ("steel, spade", True),
        ("steel and spade", True),
        ("steel and vegan", False),
        ("steel spade 2026", False),
        ("spade not steel", False),
        ("spade, no steel", False),
    ],
)
def test_each_thing_that_a_text_lists_has_a_product_with_all_its_words(text, found):
    asked = words(text)
    meant = frozenset(at for at, word in enumerate(asked) if word not in {"and", "not", "no"})
    hits = [
        Hit(asked.index(word), "s", "Tool", "Tools", False, 0.5, meant) for word in ("steel", "spade") if word in asked
    ]
    assert choose(hits, text).matches is found


def test_a_word_between_things_is_no_list_when_one_product_has_all():
    whole = Hit(ALL_WORDS, "set", "Spade and fork", "Tools", False, 0.5, frozenset({0, 2}))
    assert choose([whole], "spade and fork").matches


def test_a_denial_that_is_in_the_title_is_met():
    whole = Hit(ALL_WORDS, "gloves", "Gloves without latex", "Tools", False, 0.5, frozenset({0, 2}))
    assert choose([whole], "gloves without latex").matches


def test_no_more_than_a_list_holds():
    assert len(choose([hit(f"s{n}", ALL_WORDS) for n in range(90)], "").products) == 30
    assert choose([], "anything").products == ()
