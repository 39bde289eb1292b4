"""What the shelf says is what the orders hold, and never more than was there. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping

from panier_proof.evidence import Evidence
from panier_proof.judge.findings import Finding
from panier_proof.judge.money import SOLD
from panier_proof.shop import Good


def check(evidence: Evidence, goods: Mapping[str, Good]) -> Iterator[Finding]:
    reserved: Counter[str] = Counter()
    sold: Counter[str] = Counter()
    for order in evidence.orders:
        into = (
            sold if order["state"] in SOLD | {"placed"} else reserved if order["state"] == "awaiting_payment" else None
        )
        if into is not None:
            for line in order["lines"]:
                into[line["sku"]] += line["quantity"]
    shelf = {product["sku"]: product for product in evidence.products}
    for sku, good in goods.items():
        held = reserved[sku] + sold[sku]
        if good.stock is not None and held > good.stock:
            yield Finding("oversold", f"{held} of {sku} are promised, {good.stock} were there", times=held - good.stock)
        product = shelf.get(sku)
        if product is None:
            yield Finding("stock", f"{sku} is on no shelf")
        elif (product["reserved"], product["sold"]) != (reserved[sku], sold[sku]):
            yield Finding(
                "stock",
                f"{sku}: reserved {product['reserved']} and sold {product['sold']} on the shelf,"
                f" {reserved[sku]} and {sold[sku]} in orders",
            )
        elif good.stock is not None and product["available"] != good.stock - held:
            yield Finding("stock", f"{sku}: {product['available']} available, {good.stock - held} left")
