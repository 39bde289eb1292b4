"""Each confirmation is one order, that very order, told by a link; each order's events are lawful. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise

from panier_proof.evidence import Evidence, Json
from panier_proof.judge.carts import by_sku
from panier_proof.judge.findings import Finding
from panier_proof.ledger import Confirmation, Customer, Ledger
from panier_proof.shop import Good, fee_minor, plentiful

# kind of event → those that may follow; the first is one of `_FIRST`.
_FOLLOWS: dict[str, frozenset[str]] = {
    "stock.requested": frozenset({"order.placed", "order.cancelled"}),
    "order.placed": frozenset({"order.paid", "order.cancelled", "order.expired", "order.status-changed"}),
    "order.paid": frozenset({"order.status-changed", "order.refunded"}),
    "order.status-changed": frozenset({"order.status-changed", "order.refunded"}),
    "order.cancelled": frozenset(),
    "order.expired": frozenset(),
    "order.refunded": frozenset(),
}
_FIRST = "stock.requested"
_CONFIRM = "checkout:confirm:"
_OF_ORDERS = frozenset(_FOLLOWS)


def check(ledger: Ledger, evidence: Evidence, goods: Mapping[str, Good]) -> Iterator[Finding]:
    pages = {page.conversation: page for page in ledger.customers}
    for order in evidence.orders:
        page = pages.get(order["conversation"])
        if page is None:
            yield Finding("one_order", f"order {order['number']} belongs to no customer")
            continue
        yield from _as_confirmed(page, order, goods)
    by_conversation: dict[str, list[Json]] = {}
    for order in evidence.orders:
        by_conversation.setdefault(order["conversation"], []).append(order)
    answers = _answers(evidence)
    for page in ledger.customers:
        yield from _told(page, by_conversation.get(page.conversation, []))
        yield from _receipted(page, by_conversation.get(page.conversation, []), goods)
        yield from _each_once(page, by_conversation.get(page.conversation, []), goods, answers)
    yield from _lawful(evidence)


def _as_confirmed(page: Customer, order: Json, goods: Mapping[str, Good]) -> Iterator[Finding]:
    """The order is the summary that the press confirmed, at the prices of the shop's own table."""
    number, conversation = order["number"], page.conversation
    confirmed = next((c for c in page.confirmations if order["caused_by"] in c.wamids), None)
    if confirmed is None:
        yield Finding("one_order", f"order {number} was confirmed by no press", conversation)
        return
    acknowledged = {act.wamid for act in page.acts if act.acknowledged}
    if order["caused_by"] not in acknowledged:
        yield Finding("one_order", f"order {number} was confirmed by a press that no door took", conversation)
    lines = Counter({line["sku"]: line["quantity"] for line in order["lines"]})
    titles = {good.title: sku for sku, good in goods.items()}
    if lines != Counter(by_sku(confirmed.lines, titles)):
        yield Finding("confirmation", f"order {number} has {dict(lines)}, not {confirmed.lines}", conversation)
    fulfilment = order["fulfilment"]
    address = (fulfilment["address"] or {}).get("text", "")
    if fulfilment["way"] != confirmed.way or (confirmed.address and confirmed.address != address):
        yield Finding("confirmation", f"order {number} goes another way than confirmed", conversation)
    worth = sum(goods[sku].price_minor * quantity for sku, quantity in lines.items() if sku in goods)
    due = worth + fee_minor(confirmed.way, worth)
    if order["total_minor"] != due:
        yield Finding("overcharged", f"order {number} costs {order['total_minor']}, not {due}", conversation)


def _told(page: Customer, orders: list[Json]) -> Iterator[Finding]:
    """Every order's link was seen, for its very amount, and no link is for an order that is not there."""
    links = {message.order_id: message for message in page.seen if message.link}
    for order in orders:
        link = links.pop(order["order_id"], None)
        if link is None:
            yield Finding("confirmation", f"the link to pay order {order['number']} never came", page.conversation)
        elif link.asked_minor != order["total_minor"]:
            yield Finding("overcharged", f"the link asks {link.asked_minor} for {order['number']}", page.conversation)
    for order_id in links:
        yield Finding("effect", f"the link was for order {order_id}, which does not exist", page.conversation)


def _receipted(page: Customer, orders: list[Json], goods: Mapping[str, Good]) -> Iterator[Finding]:
    """Who paid was told so: with the order's lines and what was paid, down to the cent."""
    titles = {good.title: sku for sku, good in goods.items()}
    paid = {order["order_id"]: order for order in orders if order["paid_minor"]}
    receipts = [(message, message.receipt_for) for message in page.seen if message.receipt_for]
    for order_id in paid.keys() - {of for _, of in receipts}:
        yield Finding("confirmation", f"no receipt for {paid[order_id]['number']} came", page.conversation)
    for message, order_id in receipts:
        order = paid.get(order_id)
        if order is None:
            yield Finding("confirmation", f"a receipt came for {order_id}, which is not paid", page.conversation)
            continue
        lines = Counter({line["sku"]: line["quantity"] for line in order["lines"]})
        if Counter(by_sku(message.lines, titles)) != lines or message.last_minor != order["total_minor"]:
            yield Finding("confirmation", f"the receipt for {order['number']} says something else", page.conversation)


def _answers(evidence: Evidence) -> dict[str, set[int]]:
    """wamid → which messages on the phone answer it."""
    of = {request.id: request.answers for request in evidence.requested if request.answers}
    found: dict[str, set[int]] = {}
    for message in evidence.accepted:
        if message.id in of:
            found.setdefault(of[message.id], set()).add(message.seq)
    return found


def _each_once(
    page: Customer, orders: list[Json], goods: Mapping[str, Good], answers: Mapping[str, set[int]]
) -> Iterator[Finding]:
    """No confirmation is two orders; one of goods that never run out is one, unless the shop said it is none."""
    titles = {good.title: good for good in goods.values()}
    acknowledged = {act.wamid for act in page.acts if act.acknowledged}
    for confirmation in page.confirmations:
        made = [order for order in orders if order["caused_by"] in confirmation.wamids]
        if len(made) > 1:
            numbers = ", ".join(order["number"] for order in made)
            yield Finding("one_order", f"one confirmation, {len(made)} orders: {numbers}", page.conversation)
        pressed = acknowledged & set(confirmation.wamids)
        plenty = all(title in titles and plentiful(titles[title]) for title in confirmation.lines)
        if (
            pressed
            and not made
            and plenty
            and not (_said_no(page, confirmation) or _asked_anew(page, confirmation, answers))
        ):
            yield Finding("effect", "a confirmed summary is no order, and nobody said so", page.conversation)


def _said_no(page: Customer, confirmation: Confirmation) -> bool:
    """Whether the phone showed, after the press, that nothing was ordered: no word of the stock, or another draft."""
    pressed_at = min(act.at for act in page.acts if act.wamid in confirmation.wamids)
    return any(
        message.at >= pressed_at
        and ({"checkout:start", "cart:show"} <= (ways := {reply.id for reply in message.replies}))
        and "cart:edit" not in ways
        for message in page.seen
    )


def _asked_anew(page: Customer, confirmation: Confirmation, answers: Mapping[str, set[int]]) -> bool:
    """Whether a press was answered with a question of another draft: the customer had asked to order once more, and
    the cart's second request came between the summary and its confirmation.
    """
    shown = set().union(*(answers.get(wamid, ()) for wamid in confirmation.wamids))
    ways = [{reply.id for reply in message.replies} for message in page.seen if message.seq in shown]
    return any(
        "checkout:collect" in way
        or "checkout:deliver" in way
        or any(one.startswith(_CONFIRM) and one != _CONFIRM + confirmation.draft for one in way)
        for way in ways
    )


def _lawful(evidence: Evidence) -> Iterator[Finding]:
    """Each order's events, the repeats of one id left out, in an order that the life of an order allows."""
    lives: dict[str, list[str]] = {}
    known: set[str] = set()
    for event in evidence.order_events:
        if event.kind in _OF_ORDERS and event.id not in known:
            known.add(event.id)
            lives.setdefault(event.order_id, []).append(event.kind)
    of = {order["order_id"]: order for order in evidence.orders}
    for order_id, life in lives.items():
        conversation = of[order_id]["conversation"] if order_id in of else ""
        paid, placed = life.count("order.paid"), life.count("order.placed")
        if paid > 1 or placed > 1:
            yield Finding("paid_once" if paid > 1 else "one_order", f"{order_id}: {life}", conversation)
        elif life[0] != _FIRST or any(b not in _FOLLOWS[a] for a, b in pairwise(life)):
            yield Finding("lawful", f"{order_id}: {life}", conversation)
        if placed and order_id not in of:
            yield Finding("effect", f"{order_id} was placed and is no order", conversation)
    for order_id, order in of.items():
        if "order.placed" not in lives.get(order_id, ()):
            yield Finding("effect", f"order {order['number']} was never told of", order["conversation"])
