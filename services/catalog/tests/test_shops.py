"""The shops file: what is told of a shop, and where in the file a fault is."""

from dataclasses import dataclass

import pytest
from panier_catalog.shops import ShopsError, configured, numbers_taken_twice, parse
from panier_common.contracts.events import Delivery, Number

from .story import GARDEN

GOOD = """
[[shop]]
id = "garden"
name = "Le Jardin d'Ada"
languages = ["fr", "en"]
currency = "EUR"
timezone = "Europe/Paris"
catalog_id = "700000000000077"
catalogue = "catalogue.csv"

[[shop.number]]
phone_number_id = "700000000000099"
display = "+33 1 00 00 00 99"
access_token_env = "GARDEN_TOKEN"

[shop.fulfilment]
collect = true
delivery = { fee = "4.50", free_from = "40.00", minimum = "15.00" }

[shop.payment]
provider = "simulated"
expires_after_minutes = 0.5
"""


def test_a_shop_is_told_in_minor_units_and_seconds():
    (table,) = parse(GOOD).shop
    shop = configured(table, None)
    assert shop.version == 1
    assert shop.delivery == Delivery(fee_minor=450, free_from_minor=4000, minimum_minor=1500)
    assert shop.expires_after_seconds == 30.0
    assert shop.numbers == (Number("700000000000099", "+33 1 00 00 00 99", "GARDEN_TOKEN"),)
    assert shop.languages == ("fr", "en")


def test_the_version_goes_up_when_something_changed_and_only_then():
    first = configured(parse(GOOD).shop[0], None)
    assert configured(parse(GOOD).shop[0], first) == first
    renamed = configured(parse(GOOD.replace("d'Ada", "de Lin")).shop[0], first)
    assert (renamed.version, renamed.name) == (2, "Le Jardin de Lin")


@dataclass
class Fault:
    old: str
    new: str
    said: str


@pytest.mark.parametrize(
    "fault",
    [
        Fault('id = "garden"', "", "shop[0].id: is missing"),
        *(
            Fault('id = "garden"', f'id = "{wrong}"', f"shop[0].id: `{wrong}` is no shop id: letters, digits")
            for wrong in ("garden+1", "garden|1", "garden/1", "the garden", " garden", "", "jardín", "x" * 64)
        ),
        Fault('languages = ["fr", "en"]', 'languages = ["fr", "tlh"]', "shop[0].languages[1]: "),
        Fault(
            '["fr", "en"]', '["fr", "xx"]', "shop[0].languages: there are no words in `xx`; the languages there are: fr"
        ),
        Fault('currency = "EUR"', 'currency = "EURO"', "shop[0].currency: `EURO` is no currency"),
        Fault('"Europe/Paris"', '"Europe/Lutece"', "shop[0].timezone: `Europe/Lutece` is no time zone"),
        Fault('"Europe/Paris"', '"../etc"', "shop[0].timezone: "),
        Fault('languages = ["fr", "en"]', "languages = []", "shop[0].languages: is empty"),
        Fault('display = "+33 1 00 00 00 99"', "", "shop[0].number[0].display: is missing"),
        Fault('"GARDEN_TOKEN"', '"EAAG a token"', "shop[0].number[0].access_token_env: "),
        Fault('fee = "4.50"', 'fee = "4.505"', "shop[0]: fulfilment.delivery.fee: "),
        Fault('fee = "4.50"', 'fee = "-1"', "less than nothing"),
        Fault('minimum = "15.00"', "minimum = 15.0", "shop[0].fulfilment.delivery.minimum: "),
        Fault('provider = "simulated"', 'provider = "barter"', "shop[0].payment.provider: "),
        Fault('provider = "simulated"', 'provider = "stripe"', "should be 'simulated' or 'on_collection'"),
        Fault("expires_after_minutes = 0.5", "expires_after_minutes = 0", "shop[0].payment.expires_after_minutes: "),
        Fault("collect = true", "colect = true", "shop[0].fulfilment.colect: is no setting"),
        Fault("[[shop]]", "[[shop", "not TOML"),
        Fault("[[shop]]", "[[shops]]", "shop: is missing"),
    ],
    ids=lambda fault: fault.new or fault.old,
)
def test_a_fault_is_named_with_its_place(fault):
    text = GOOD.replace(fault.old, fault.new, 1)
    if "shops" in fault.new:
        text = 'title = "no shops"\n'
    with pytest.raises(ShopsError) as error:
        parse(text)
    assert fault.said in str(error.value)
    assert "at least 1 item" not in str(error.value)  # a refused shop is not told again as a shop too few


def test_a_shop_needs_a_way_to_hand_over():
    lines = [line for line in GOOD.splitlines() if not line.startswith("delivery")]
    with pytest.raises(ShopsError, match="needs a way"):
        parse("\n".join(lines).replace("collect = true", "collect = false"))


def test_ids_and_numbers_belong_to_one_shop():
    with pytest.raises(ShopsError, match="same id"):
        parse(GOOD + GOOD)
    other = configured(parse(GOOD.replace('"garden"', '"other"')).shop[0], None)
    assert numbers_taken_twice([GARDEN, other]) == ["phone_number_id 700000000000099 is used by `garden` and `other`"]
    assert numbers_taken_twice([GARDEN]) == []
