"""What PostgreSQL finds, in a generated catalogue: accents, case, plurals, slips, two languages, many products."""

import random
from collections.abc import AsyncIterator, Sequence

import pytest
from panier_catalog import db, search
from panier_catalog.feed import FeedProduct
from panier_catalog.loops import browsing_loop
from panier_common.contracts.outbound import Message
from panier_common.postgres import Connection, Pool, migrations

from .story import GARDEN, SHOP, enquires, fed, received, shown

MADE_OF = ("acier", "bambou", "chêne", "cuivre", "hêtre", "laiton", "osier", "zinc")
THINGS = {
    "Outils": ("Bêche", "Râteau", "Sécateur", "Serfouette", "Transplantoir"),
    "Arrosage": ("Arrosoir", "Pomme d'arrosage", "Tuyau"),
    "Graines": ("Graines de radis", "Graines de tournesol", "Oignons à fleurs"),
    "Pots": ("Jardinière", "Pot à feu", "Soucoupe"),
}


def catalogue(seed: int = 20261123):
    """Every thing of every matter, each with a size; the sku says what it is."""
    chance = random.Random(seed)
    for collection, things in THINGS.items():
        for thing in things:
            for matter in MADE_OF:
                title = f"{thing} en {matter}"
                yield fed(
                    f"{thing}-{matter}".replace(" ", "-"),
                    title,
                    collection,
                    description=f"Longueur {chance.randrange(20, 90)} cm, très robuste",
                    quantity=0 if matter == "zinc" else 9,
                )


@pytest.fixture
async def stocked(pool: Pool) -> AsyncIterator[Connection]:
    products = sorted(catalogue(), key=lambda p: p.sku)
    products += [fed("z-thé", "Thé vert du jardin", "Divers"), fed("z-english", "Garden gloves and boots", "Divers")]
    async with pool.acquire() as connection, connection.transaction():
        await put(connection, products)
        yield connection


async def put(connection: Connection, products: Sequence[FeedProduct]) -> None:
    await db.upsert_products(connection, GARDEN, products)
    await db.save_vocabulary(connection, SHOP, search.named(*(p.names for p in products)))


async def find(connection: Connection, text: str, *languages: str) -> search.Found:
    terms = search.terms(text, languages or ("fr", "en"))
    return search.choose((await db.search(connection, [(SHOP, terms)]))[0], text)


async def answer(connection: Connection, text: str) -> Message:
    """What a customer who writes this is told."""
    loop, asked = browsing_loop(), received(enquires(text))
    shelf = await loop.load(connection, [asked])
    (message,) = shown(publish.event for publish in loop.decide(shelf, asked))
    return message


@pytest.mark.parametrize(
    ("text", "sku"),
    [
        ("bêche bambou", "Bêche-bambou"),
        ("BECHES EN BAMBOU", "Bêche-bambou"),
        ("vous avez des bêches en bambous ?", "Bêche-bambou"),
        ("becche bamboo", "Bêche-bambou"),
        ("Je voudrais un secateur en laiton svp", "Sécateur-laiton"),
        ("sequateur laitton", "Sécateur-laiton"),
        ("arosoir cuivre", "Arrosoir-cuivre"),
        ("arrosoirs, cuivre !!!", "Arrosoir-cuivre"),
        ("grains de tournesols en hetre", "Graines-de-tournesol-hêtre"),
        ("pot a feu chene", "Pot-à-feu-chêne"),
        ("the vert", "z-thé"),
        ("thé", "z-thé"),
        ("do you have any glove?", "z-english"),
        ("boot", "z-english"),
        ("z-english", "z-english"),
    ],
)
async def test_the_best_match_comes_first(stocked, text, sku):
    assert [hit.sku for hit in (await find(stocked, text)).products][:1] == [sku]


async def test_one_word_finds_every_product_that_has_it(stocked):
    assert {hit.sku for hit in (await find(stocked, "transplantoirs")).products} == {
        f"Transplantoir-{matter}" for matter in MADE_OF if matter != "zinc"
    }


async def test_two_things_are_both_found(stocked):
    titles = {hit.title.split()[0] for hit in (await find(stocked, "un arrosoir et un sécateur")).products}
    assert titles == {"Arrosoir", "Sécateur"}


async def test_a_sold_out_product_is_named_and_others_that_one_may_like_are_shown(stocked):
    found = await find(stocked, "bêche zinc")
    assert found.sold_out == ("Bêche en zinc",)
    assert {hit.sku for hit in found.products} == {f"Bêche-{matter}" for matter in MADE_OF if matter != "zinc"}
    assert "Bêche en zinc. Ceci vous plaira peut-être" in (await answer(stocked, "bêche zinc")).body


@pytest.mark.parametrize(
    "text",
    [
        "bêche vegan",
        "bêche sans bambou",
        "bêche pas en bambou",
        "gloves without boots",
        "arrosoir et sécateur sans cuivre",
        "un tuyau et une bêche en plastique",
    ],
)
async def test_what_lacks_a_word_that_matters_is_not_said_to_be_what_was_looked_for(stocked, text):
    near = await answer(stocked, text)
    assert near.kind == "product_list"
    assert near.body.startswith(f"Rien ne correspond tout à fait à « {text} »")
    assert "« conseiller »" in near.body


@pytest.mark.parametrize(
    "text",
    [
        "vous avez des bêches en bambou ?",
        "becche bamboo",
        "2 bêches en bambou",
        "vous avez quoi comme bêches pour ce soir ?",
        "deux bêches, 1 tuyau et un arrosoir en cuivre",
        "gloves or a bêche please",
        "jardinière",
    ],
)
async def test_what_has_every_word_that_matters_is_said_to_be_found(stocked, text):
    found = await answer(stocked, text)
    assert found.body.startswith("Voici ce que nous avons trouvé")


async def test_many_sold_out_products_hide_none_that_can_be_bought(stocked):
    gone = [fed(f"a{n:04}", f"Brouette bleue {n}", quantity=0) for n in range(900)]
    left = [fed(f"b{n:04}", f"Roue de brouette rouge {n}", quantity=9) for n in range(40)]
    await put(stocked, gone + left)
    for text in ("brouette", "brouettes"):
        found = await find(stocked, text)
        assert {hit.sku[0] for hit in found.products} == {"b"}, text
        assert found.sold_out == ()


APART = [
    fed("slash", "Gants noir/blanc"),
    fed("point", "Semences Bio.Verte"),
    fed("litre", "Purin 1.5L d'ortie"),
    fed("gnt-0042", "Années 2019-2020", brand="A+12"),
    fed("sentence", "Fourche", description="Pour creuser.Et pour planter"),
]
BESIDE = [
    ("gants blancs", "slash"),
    ("noir", "slash"),
    ("gant blannc", "slash"),
    ("bio", "point"),
    ("verte", "point"),
    ("1.5l", "litre"),
    ("0042", "gnt-0042"),
    ("gnt-0042", "gnt-0042"),
    ("2020", "gnt-0042"),
    ("creuser", "sentence"),
]


@pytest.mark.parametrize(("text", "sku"), BESIDE)
async def test_words_with_a_sign_between_them_are_each_found(stocked, text, sku):
    await put(stocked, sorted(APART, key=lambda p: p.sku))
    found = await find(stocked, text)
    assert [hit.sku for hit in found.products][:1] == [sku]
    assert found.matches


async def test_words_with_a_sign_between_them_are_found_in_rows_of_before(stocked):
    made = dict(migrations("panier_catalog"))
    before = made["panier_catalog/0001_catalogue.sql"]
    function = before[before.index("CREATE FUNCTION searchable") : before.index("CREATE TABLE shop")]
    await stocked.execute(function.replace("CREATE", "CREATE OR REPLACE", 1))
    await put(stocked, sorted(APART, key=lambda p: p.sku))
    assert [text for text, sku in BESIDE if await has(stocked, text, sku)] == []
    await stocked.execute(made["panier_catalog/0004_words_apart.sql"])
    assert [text for text, sku in BESIDE if not await has(stocked, text, sku)] == []


async def has(connection: Connection, text: str, sku: str) -> bool:
    found = await find(connection, text)
    return found.matches and sku in {hit.sku for hit in found.products}


@pytest.mark.parametrize("text", ["licorne", "🙂", "مجرفة", "q" * 4096, "' & | ! :* <-> (", "%_\\", "a b c"])
async def test_what_is_not_there_is_not_found(stocked, text):
    assert (await find(stocked, text)).products == ()


async def test_a_search_finds_nothing_of_another_shop(stocked):
    (hits,) = await db.search(stocked, [("elsewhere", search.terms("bêche bambou", ("fr",)))])
    assert hits == []


async def test_many_searches_get_each_its_own(stocked):
    texts = ["sécateur laiton", "🙂", "arosoir cuivre", "licorne"] * 25
    found = await db.search(stocked, [(SHOP, search.terms(text, ("fr",))) for text in texts])
    first = [hits[0].sku if hits else None for hits in found]
    assert first == ["Sécateur-laiton", None, first[2], None] * 25
    assert search.choose(found[2], texts[2]).products[0].sku == "Arrosoir-cuivre"
