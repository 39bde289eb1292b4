"""Words to look for, and which hits are shown; what PostgreSQL finds is in test_finding.py."""

from panier_catalog.search import ALL_WORDS, MAX_WORDS, Hit, choose, terms, words


def hit(sku: str, position: int, rank: float = 0.5, *, sold_out: bool = False) -> Hit:
    return Hit(position, sku, sku.title(), "Tools", sold_out, rank)


def skus(*hits: Hit) -> list[str]:
    return [one.sku for one in choose(hits).products]


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
    found = choose([hit("spade", 0, sold_out=True), hit("spade", 1, sold_out=True), hit("fork", 1)])
    assert ([h.sku for h in found.products], found.sold_out) == (["fork"], ("Spade",))
    assert choose([hit("spade", 0, sold_out=True)]).sold_out == ("Spade",)
    assert choose([hit("spade", 0, sold_out=True), hit("fork", 0)]).sold_out == ()


def test_no_more_than_a_list_holds():
    assert len(choose([hit(f"s{n}", ALL_WORDS) for n in range(90)]).products) == 30
    assert choose([]) == choose([])
    assert choose([]).products == ()
