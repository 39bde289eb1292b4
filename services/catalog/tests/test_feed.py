"""Reading Meta's feed: what is a product, and why a row is none."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from panier_catalog.feed import FeedError, chunks, decoded, read
from panier_catalog.intake import read_feed

from .story import FEED_HEADER, GARDEN, fed, feed_text, row


def products(text: str):
    return read(text, "EUR", "Autres").products


def on(text: str) -> str:
    """Such a sale in the feed."""
    return f"{FEED_HEADER},sale_price,sale_price_effective_date\n{row('b')},17.50 EUR,{text}\n"


def reasons(text: str) -> dict[int, str]:
    return {r.row: r.reason for r in read(text, "EUR", "Autres").rejected}


def test_a_row_is_a_product():
    text = (
        f"{FEED_HEADER},sale_price\n"
        '"b-1","Bêche, ""forgée""","Acier\ntrempé",in stock,new,19.90 EUR,https://wa.me/p/123/33100,'
        "https://e.test/b.jpg,Ada,Jardin > Outils,12,17.50 EUR\n"
    )
    (spade,) = products(text)
    assert spade == fed(
        "b-1",
        'Bêche, "forgée"',
        description="Acier trempé",
        brand="Ada",
        price_minor=1750,
        link="https://wa.me/p/123/33100",
        image_link="https://e.test/b.jpg",
        meta_id="123",
        quantity=12,
    )


def test_without_a_type_it_goes_to_the_other_products_and_without_a_quantity_it_is_not_counted():
    (spade,) = products(feed_text(row("b", quantity="", collection="")))
    assert (spade.collection, spade.quantity) == ("Autres", None)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_byte_order_mark_and_line_ends_do_not_matter(newline):
    body = b"\xef\xbb\xbf" + feed_text(row("a"), "", row("b")).replace("\n", newline).encode()
    assert [p.sku for p in products(decoded(body))] == ["a", "b"]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_spreadsheets_may_separate_otherwise(delimiter):
    assert [p.sku for p in products(feed_text(row("a")).replace(",", delimiter))] == ["a"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row("", "Bêche"), "`id` is empty"),
        (row("b", ""), "`title` is empty"),
        (row("b", price="19,90 EUR").replace("19,90", '"19,90'), "quote"),
        (row("b", price="19.90"), "`price`"),
        (row("b", price="-1.00 EUR"), "`price`"),
        (row("b", price="1.234 EUR"), "more decimals"),
        (row("b", price="NaN EUR"), "`price`"),
        (row("b", price="9.90 USD"), "the shop sells in EUR"),
        (row("b", quantity="two"), "`quantity_to_sell_on_facebook` is `two`"),
        (row("b", quantity="-1"), "no whole number"),
        (row("b", quantity="1.5"), "no whole number"),
        (row("b", quantity="99999999999999999999"), "no whole number"),
        (row("b", availability="perhaps"), "`availability` is `perhaps`"),
        (row("b" * 101), "100 are allowed"),
        (row("é" * 90), "too long for a button"),
        (row("b", "x" * 201), "`title` has 201 characters"),
        (row("b") + ",one,too,many", "fields for 11 columns"),
        ("b,Bêche", "`availability` is empty"),
        (row("b\0"), "U+0000"),
        (row("b").replace("new,19.90 EUR,,", "new,19.90 EUR,javascript:alert(1),"), "no address"),
        (row("b", "x" * 200_000), "field larger"),
    ],
)
def test_a_bad_row_is_named_and_stops_no_other(bad, reason):
    text = feed_text(row("good-1"), bad, row("good-2"))
    assert reason in reasons(text)[3]
    assert [p.sku for p in products(text)] == ["good-1", "good-2"]


@pytest.mark.parametrize("begins", ["https://", "http://", "HTTPS://"])
def test_addresses_may_be_of_the_web_with_or_without_tls(begins):
    text = feed_text(row("b").replace("new,19.90 EUR,,", f"new,19.90 EUR,{begins}shop.test/b,"))
    assert [p.link for p in products(text)] == [f"{begins}shop.test/b"]


def test_an_open_quote_swallows_no_other_row():
    quoted = row("good-2", '"Bêche, forgée"')
    text = feed_text(row("good-1"), row("b", '"Bêche'), quoted, row("good-3", '"two\nlines"'), row("good-4"))
    assert [p.sku for p in products(text)] == ["good-1", "good-2", "good-3", "good-4"]
    assert "is a quote left open?" in reasons(text)[3]
    assert len(reasons(text)) == 1


def test_an_id_twice_keeps_the_first_row():
    text = feed_text(row("a", "Bêche"), row("a", "Râteau"))
    assert [p.title for p in products(text)] == ["Bêche"]
    assert reasons(text) == {3: "id `a` was already in row 2"}


def test_a_header_without_a_required_column_is_refused_as_a_whole():
    with pytest.raises(FeedError, match="lacks `price`, `brand`") as refused:
        read("id,title,description,availability,condition,link,image_link\n", "EUR", "Autres")
    assert refused.value.code == "feed_columns"
    with pytest.raises(FeedError, match="lacks `id`"):
        read("", "EUR", "Autres")
    assert read(feed_text(), "EUR", "Autres").products == ()


def test_what_is_not_utf8_is_refused_as_a_whole():
    with pytest.raises(FeedError, match="byte 2 is not UTF-8"):
        decoded("bêche".encode("latin-1")[:1] + b"x\xea")


def test_half_a_character_is_not_utf8():
    for half in range(0xD800, 0xE000):
        with pytest.raises(FeedError, match="byte 0 is not UTF-8"):
            decoded(chr(half).encode("utf-8", "surrogatepass"))


async def test_a_feed_is_read_while_other_things_go_on():
    reading = asyncio.create_task(read_feed(GARDEN, feed_text(*(row(f"s{n}") for n in range(2000))).encode()))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(reading.result().products) == 2000
    assert turns > 10


def test_a_currency_without_decimals_has_none():
    (spade,) = read(feed_text(row("b", price="1990 JPY")), "JPY", "Autres").products
    assert spade.price_minor == 1990


JULY = "2026-07-01T08:00+02:00/2026-07-31T20:00+02:00"


@pytest.mark.parametrize(
    ("dates", "now", "price"),
    [
        ("", "2026-07-15T12:00+00:00", 1750),
        (JULY, "2026-07-01T05:59+00:00", 1990),
        (JULY, "2026-07-01T06:00+00:00", 1750),
        (JULY, "2026-07-31T17:59+00:00", 1750),
        (JULY, "2026-07-31T18:00+00:00", 1990),
        ("2026-07-01T08:00 / 2026-07-31T20:00", "2026-07-31T19:59+00:00", 1750),
        ("2026-07-01/2026-07-31", "2026-07-31T23:59+00:00", 1750),
        ("2026-07-01/2026-07-31", "2026-08-01T00:00+00:00", 1990),
        (JULY, None, 1990),
    ],
)
def test_a_sale_price_counts_within_its_dates(dates, now, price):
    time = None if now is None else datetime.fromisoformat(now)
    assert [p.price_minor for p in read(on(dates), "EUR", "Autres", time).products] == [price]


@pytest.mark.parametrize(
    "dates",
    [
        "July",
        "2026-07-01",
        "2026-07-01/",
        "2026-07-31/2026-07-01",
        "2026-07-01/2026-07-02/2026-07-03",
        "2026-07-01/9999-12-31",
        "2026-13-01/2026-14-01",
    ],
)
def test_a_sale_of_dates_that_cannot_be_read_is_refused(dates):
    assert f"`sale_price_effective_date` is `{dates}`" in reasons(on(dates))[2]


async def test_an_import_takes_the_sales_of_its_own_moment():
    begin, end = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    past = on(f"2020-01-01/{begin.isoformat()}").encode()
    present = on(f"{begin.isoformat()}/{end.isoformat()}").encode()
    assert [(await read_feed(GARDEN, feed)).products[0].price_minor for feed in (past, present)] == [1990, 1750]


def test_a_collection_always_fits_into_the_id_of_its_row():
    (spade,) = products(feed_text(row("b", collection="أدوات الحديقة الكبيرة والصغيرة لكل المواسم والفصول")))
    assert len(spade.collection) > 10
    assert spade.collection.endswith("…")


def test_chunks_are_in_the_order_of_skus():
    parts = list(chunks([fed(sku, sku) for sku in ("c", "a", "B", "é")], 3))
    assert [[p.sku for p in part] for part in parts] == [["B", "a", "c"], ["é"]]
