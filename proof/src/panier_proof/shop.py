"""The shop of the proof: its goods, its prices and its rules, known to the customers before anybody else.

The ledger judges by this table alone: what things cost, how many there are, what a delivery costs. Pure.
"""

import csv
import io
import random
from collections.abc import Mapping
from dataclasses import dataclass

ID = "boulangerie"
# Several: each takes only so many messages a second, and each keeps an order of its own.
NUMBERS = tuple(f"1065403522429{n}" for n in range(22, 30))
NUMBER = NUMBERS[0]
CATALOG = "194836987003835"
CURRENCY = "EUR"
FEE_MINOR, FREE_FROM_MINOR = 450, 4000
EXPIRES_MINUTES = 1
PLENTY = 24
SCARCE = 8

_NUMBER_TABLES = "".join(
    f"""
[[shop.number]]
phone_number_id = "{number}"
display = "+33 6 12 34 56 {n + 70}"
access_token_env = "PROOF_TOKEN"
"""
    for n, number in enumerate(NUMBERS)
)
_SHOP = f"""\
[[shop]]
id = "{ID}"
name = "Boulangerie du Port"
languages = ["fr", "en"]
currency = "{CURRENCY}"
timezone = "Europe/Paris"
catalog_id = "{CATALOG}"
catalogue = "catalogue.csv"
{_NUMBER_TABLES}

[shop.fulfilment]
collect = true
delivery = {{ fee = "4.50", free_from = "40.00", minimum = "15.00" }}

[shop.payment]
provider = "simulated"
expires_after_minutes = {EXPIRES_MINUTES}
"""
_COLUMNS = (
    *("id", "title", "description", "availability", "condition", "price", "link", "image_link", "brand"),
    *("product_type", "quantity_to_sell_on_facebook"),
)


@dataclass(frozen=True)
class Good:
    """One product. `stock` is what there is for all customers together; None is more than anybody counts."""

    sku: str
    title: str
    price_minor: int
    stock: int | None
    collection: str


def goods(seed: int, customers: int) -> dict[str, Good]:
    """By sku: plenty of most, and of some so few that not every customer who wants one gets it."""
    chance = random.Random(f"{seed}/goods")
    made = {}
    for n in range(PLENTY + SCARCE):
        scarce = n >= PLENTY
        sku = f"{'rare' if scarce else 'good'}-{n:02}"
        stock = chance.randint(2, max(3, customers // 12)) if scarce else None if n % 3 else 1_000_000
        price = chance.randrange(90, 900, 5)
        made[sku] = Good(sku, f"{'Rare' if scarce else 'Good'} {n:02}", price, stock, f"Shelf {n % 5}")
    return made


def plentiful(good: Good) -> bool:
    """Whether no customer can meet its end."""
    return good.stock is None or good.stock >= 1_000_000


def feed(table: Mapping[str, Good]) -> str:
    """The catalogue as Meta's product feed."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS)
    writer.writeheader()
    for good in table.values():
        writer.writerow(
            {
                "id": good.sku,
                "title": good.title,
                "description": f"{good.title} of the proof",
                "availability": "in stock",
                "condition": "new",
                "price": f"{good.price_minor // 100}.{good.price_minor % 100:02} {CURRENCY}",
                "link": f"https://boulangerie.example/{good.sku}",
                "image_link": f"https://boulangerie.example/{good.sku}.png",
                "brand": "Boulangerie du Port",
                "product_type": good.collection,
                "quantity_to_sell_on_facebook": "" if good.stock is None else good.stock,
            }
        )
    return out.getvalue()


def shops_file() -> str:
    return _SHOP


def fee_minor(way: str, goods_minor: int) -> int:
    """What the way of getting it costs."""
    return FEE_MINOR if way == "deliver" and goods_minor < FREE_FROM_MINOR else 0
