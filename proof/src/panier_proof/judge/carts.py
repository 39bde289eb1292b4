"""What was put into carts and taken out again is what was ordered and what is left. Pure.

Per customer and product: a lost action leaves too little, one taken twice too much. Of products that run out
a cart may hold less than was asked for, so only too much is a break.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from panier_proof.evidence import Evidence
from panier_proof.judge.findings import Finding
from panier_proof.ledger import Act, Customer, Ledger
from panier_proof.shop import Good, plentiful


def check(ledger: Ledger, evidence: Evidence, goods: Mapping[str, Good]) -> Iterator[Finding]:
    ordered = ordered_by(evidence)
    order = inbound_order(evidence)
    titles = {good.title: sku for sku, good in goods.items()}
    for page in ledger.customers:
        wanted = put_in(page, order.get(page.conversation, {}), titles)
        found = ordered.get(page.conversation, Counter()) + Counter(evidence.carts.get(page.conversation, {}))
        for sku in sorted(wanted.keys() | found.keys()):
            less = wanted[sku] - found[sku]
            if less < 0:
                yield Finding("once", f"{-less} × {sku} too many in orders and cart", page.conversation, -less)
            elif less > 0 and plentiful(goods[sku]):
                yield Finding("effect", f"{less} × {sku} neither ordered nor in the cart", page.conversation, less)


def ordered_by(evidence: Evidence) -> dict[str, Counter[str]]:
    """All that left a customer's cart by an order, whatever became of the order."""
    found: dict[str, Counter[str]] = {}
    for order in evidence.orders:
        counted = found.setdefault(order["conversation"], Counter())
        for line in order["lines"]:
            counted[line["sku"]] += line["quantity"]
    return found


def inbound_order(evidence: Evidence) -> dict[str, dict[str, int]]:
    """conversation → wamid → its place in `inbound`, of the first time it is there."""
    found: dict[str, dict[str, int]] = {}
    for message in evidence.inbound:
        places = found.setdefault(message.conversation, {})
        places.setdefault(message.wamid, len(places))
    return found


def put_in(page: Customer, order: Mapping[str, int], titles: Mapping[str, str]) -> Counter[str]:
    """What the acknowledged actions leave, taken in the order in which `inbound` has them.

    One that `inbound` does not have at all is taken last: its effect is then found missing.
    """
    held: Counter[str] = Counter()
    acknowledged = [act for act in page.acts if act.acknowledged]
    for act in sorted(acknowledged, key=lambda act: order.get(act.wamid, len(order) + 1)):
        _apply(held, act, page, titles)
    return +held


def _apply(held: Counter[str], act: Act, page: Customer, titles: Mapping[str, str]) -> None:
    for line in act.action.get("cart", ()):
        held[line["sku"]] += line["quantity"]
    owner, _, rest = act.press.partition(":")
    verb, _, argument = rest.partition(":")
    if owner == "cart":
        _edit(held, verb, argument)
    elif (owner, verb) == ("checkout", "again"):
        for sku, quantity in confirmed_lines(page, argument, titles).items():
            held[sku] += quantity


def _edit(held: Counter[str], verb: str, sku: str) -> None:
    match verb:
        case "add":
            held[sku] += 1
        case "more" if held[sku] > 0:
            held[sku] += 1
        case "fewer" if held[sku] > 0:
            held[sku] -= 1
        case "remove":
            held[sku] = 0
        case "empty":
            held.clear()


def confirmed_lines(page: Customer, order_id: str, titles: Mapping[str, str]) -> Mapping[str, int]:
    """sku → quantity of the summary whose confirmation brought the link to pay this order."""
    for confirmation in page.confirmations:
        if confirmation.order_id == order_id:
            return by_sku(confirmation.lines, titles)
    return {}


def by_sku(lines: Mapping[str, int], titles: Mapping[str, str]) -> dict[str, int]:
    """The lines that a message said, by sku; a title that the shop does not have stays as it is."""
    return {titles.get(title, title): quantity for title, quantity in lines.items()}
