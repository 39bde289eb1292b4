"""What PostgreSQL finds, in a generated catalogue: accents, case, plurals, slips, two languages, many products."""

import random
from collections.abc import AsyncIterator

import pytest
from panier_catalog import db, search
from panier_common.postgres import Connection, Pool

from .story import GARDEN, SHOP, fed

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
        await db.upsert_products(connection, GARDEN, products)
        await db.save_vocabulary(connection, SHOP, search.named(*(p.names for p in products)))
        yield connection


async def find(connection: Connection, text: str, *languages: str) -> search.Found:
    terms = search.terms(text, languages or ("fr", "en"))
    return search.choose((await db.search(connection, [(SHOP, terms)]))[0])


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


async def test_a_sold_out_product_is_named_and_not_shown(stocked):
    found = await find(stocked, "bêche zinc")
    assert found.sold_out == ("Bêche en zinc",)
    assert "Bêche-zinc" not in {hit.sku for hit in found.products}


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
    assert search.choose(found[2]).products[0].sku == "Arrosoir-cuivre"
