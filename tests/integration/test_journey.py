"""The bakery story over the running services: real Kafka, real PostgreSQL, the simulator's phones."""

import pathlib
from collections import Counter
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import pytest
from parentage import CALL, STATUS, faults, steps, traces_of, way
from spans import Collector, Span
from stack import CATALOG, NUMBER, SHOP, Customer, Stack, eventually, link_of, reply_ids, words_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def has(prefix: str):
    return lambda messages: any(i.startswith(prefix) for m in messages for i in reply_ids(m["body"]))


def confirmed(customer: Customer) -> str:
    """From a cart to the link to pay; the order's id."""
    customer.press("checkout:start", enough=has("checkout:collect"))
    customer.press("checkout:collect", enough=has("checkout:confirm:"))
    link = link_of(customer.press("checkout:confirm:", enough=lambda m: link_of(m) is not None))
    assert link is not None
    return link.partition("?")[0].rpartition("/")[2]


def order_of(stack: Stack, order_id: str) -> dict:
    return stack.ask("orders", "show", order_id)


@pytest.fixture(scope="module")
def purchase(stack: Stack) -> tuple[Customer, str]:
    """Two items in one cart, ordered and paid; three notifications of one payment."""
    customer = Customer(stack, "Inès Le Goff", wa_id="33612340001")
    customer.act(text="Bonjour !")
    customer.answers(has("catalog:menu"))
    customer.act(cart=[{"sku": "croissant", "quantity": 4}, {"sku": "tradition", "quantity": 2}], text="Bien cuits svp")
    assert "8,20" in words_of(customer.answers(has("checkout:start")))
    order_id = confirmed(customer)
    assert [stack.pay(order_of(stack, order_id), "pay-journey") for _ in range(3)] == [200] * 3
    assert "8,20" in words_of(customer.answers())
    return customer, order_id


# One customer action is one trace. First of all: later the shop acts of itself, and nobody traces that.

STEPS = pathlib.Path(__file__).with_name("steps_of_a_purchase.txt")


@pytest.fixture(scope="module")
def traced(stack: Stack, purchase: tuple[Customer, str], collector: Collector) -> list[Span]:
    """Every span of the purchase, once all are there that its messages and the shop's answers must have."""
    customer, _ = purchase
    asked = stack.ask("trace-key", "--number", NUMBER, "--customer", customer.user_id)
    hashes = {one["hash"] for one in asked["conversations"]}
    seen: list[Span] = []

    def whole() -> bool:
        seen[:] = traces_of(list(collector.spans), hashes)
        answers = len(customer.received())
        calls = [span for span in seen if span.name == CALL]
        told = Counter(link for span in seen for link in span.links)
        # "sent" and "delivered" of each; what is read nobody says here.
        return len(calls) == len(told) == answers and set(told.values()) == {2} and not amiss()

    def amiss() -> dict[str, object]:
        """What is not as it should be."""
        expected = {line for line in STEPS.read_text().splitlines() if line and not line.startswith("#")}
        found = {"missing": expected - steps(seen), "unexpected": steps(seen) - expected, "faults": faults(seen)}
        return {name: some for name, some in found.items() if some}

    try:
        eventually("all spans of the purchase", whole, 30)
    except AssertionError as error:
        names = Counter(span.name for span in seen)
        raise AssertionError(f"{error}: {amiss()}; {len(customer.received())} answers; {names}") from error
    return seen


def test_every_span_of_the_purchase_has_its_place(purchase: tuple[Customer, str], traced: list[Span]) -> None:
    """One root for each message, notification and status; every other span below it, where the rule wants it."""
    customer, _ = purchase
    assert faults(traced) == []
    roots = Counter(next(one.name for one in traced if one.parent == root.id) for root in traced if not root.parent)
    sent, received = len(customer.chat()) - len(customer.received()), len(customer.received())
    assert roots == {"send panier.inbound.v1": sent, "send panier.payment.v1": 3, STATUS: 2 * received}


def test_each_answer_comes_of_one_webhook_by_a_known_way(traced: list[Span]) -> None:
    """From the webhook down to the call of the Graph API, whoever decided between: the receipt's begins at the till."""
    ways = [way(span, traced) for span in traced if span.name == CALL]
    assert {tuple(name for name, _ in groupby(step.partition(": ")[0] for step in taken)) for taken in ways} == {
        ("ingest", "catalog", "sender"),  # the greeting
        ("ingest", "cart", "sender"),  # what is in the cart
        ("ingest", "cart", "checkout", "sender"),  # collect or deliver?
        ("ingest", "checkout", "sender"),  # the summary, and the receipt
        ("ingest", "checkout", "catalog", "checkout", "sender"),  # the link to pay, once the stock is reserved
    }
    [receipt] = [taken for taken in ways if taken[0] == "ingest: POST /webhooks/payments/{provider}"]
    assert receipt[1:] == [
        "ingest: send payment.notified",
        "checkout: process payment.notified",
        "checkout: send payment.recorded",
        "checkout: process payment.recorded",
        "checkout: send message.requested",
        "sender: process message.requested",
        "sender: POST",
    ]


def test_two_items_in_one_cart_are_paid_once(stack: Stack, purchase: tuple[Customer, str]) -> None:
    customer, order_id = purchase
    order = order_of(stack, order_id)
    assert (order["state"], order["payment_state"], order["paid_minor"]) == ("paid", "paid", 820)
    assert {(line["sku"], line["quantity"]) for line in order["lines"]} == {("croissant", 4), ("tradition", 2)}
    assert order["customer"]["user_id"] == customer.user_id
    stock = {p["sku"]: p for p in stack.ask("catalog", "list", "--shop", SHOP)}
    assert (stock["croissant"]["reserved"], stock["croissant"]["sold"]) == (0, 4)
    assert stack.ask("carts", "show", "--number", NUMBER, "--customer", customer.user_id)["lines"] == []


def test_the_order_is_found_again_and_moved_on(stack: Stack, purchase: tuple[Customer, str]) -> None:
    customer, order_id = purchase
    customer.act(text="commandes")
    customer.answers(has(f"checkout:order:{order_id}"))
    stack.ask("orders", "advance", order_id, "ready")
    customer.answers()
    code, _ = stack.panier("orders", "advance", order_id, "accepted", check=False)
    assert code == 1, "an order moved back"
    assert order_of(stack, order_id)["state"] == "ready"


def test_the_sale_is_counted_to_the_cent(stack: Stack, purchase: tuple[Customer, str]) -> None:
    today = datetime.now(ZoneInfo("Europe/Paris")).date()

    def counted() -> bool:
        """Today or, just after midnight, yesterday."""
        days = [stack.ask("sales", "show", "--shop", SHOP, "--day", str(today - timedelta(days=n))) for n in (0, 1)]
        euros = [one for day in days for one in day["currencies"] if one["currency"] == "EUR"]
        return sum(one["revenue_minor"] for one in euros) >= 820

    eventually("the sale to be counted", counted)
    assert stack.ask("sales", "verify") == {"equal": True, "differences": []}


def test_the_conversation_is_kept_both_ways(stack: Stack, purchase: tuple[Customer, str]) -> None:
    customer, _ = purchase
    messages = eventually(
        "both directions",
        lambda: {m["direction"] for m in kept(stack, customer)} == {"in", "out"} and kept(stack, customer),
    )
    assert messages[0]["text"] == "Bonjour !"
    assert all(m["state"] in ("sent", "delivered", "read", "received", "queued") for m in messages)


def kept(stack: Stack, customer: Customer) -> list[dict]:
    return stack.ask("messages", "list", "--number", NUMBER, "--customer", customer.user_id)


def test_a_customer_without_a_phone_number_delivers_to_an_address(stack: Stack) -> None:
    customer = Customer(stack, "anonyme")
    customer.act(text="hello")
    customer.answers(has("catalog:menu"))
    customer.act(cart=[{"sku": "pain-campagne", "quantity": 6}])
    customer.answers(has("checkout:start"))
    customer.press("checkout:start", enough=has("checkout:deliver"))
    customer.press("checkout:deliver")
    customer.act(text="3 quai des Bateaux 🚤, 35400 Saint-Malo — بيت")
    summary = words_of(customer.answers(has("checkout:confirm:")))
    assert "€23.70" in summary, "19.20 and a fee of 4.50"
    link = link_of(customer.press("checkout:confirm:", enough=lambda m: link_of(m) is not None))
    assert link is not None
    order = order_of(stack, link.partition("?")[0].rpartition("/")[2])
    assert order["fulfilment"]["way"] == "deliver"
    assert "quai des Bateaux" in order["fulfilment"]["address"]["text"]


def test_the_last_one_is_sold_once(stack: Stack) -> None:
    buyers = [Customer(stack, f"buyer {n}") for n in range(2)]
    for buyer in buyers:
        buyer.act(cart=[{"sku": "kouign-amann", "quantity": 1}])
    for buyer in buyers:
        buyer.answers(has("checkout:start"))
        buyer.press("checkout:start", enough=has("checkout:collect"))
        buyer.press("checkout:collect", enough=has("checkout:confirm:"))
    links = [link_of(buyer.press("checkout:confirm:")) for buyer in buyers]
    assert sum(link is not None for link in links) == 1, links


def cart_of(sku: str, quantity: object, currency: str = "EUR") -> dict:
    """A WhatsApp cart as no phone would send it."""
    item = {"product_retailer_id": sku, "quantity": quantity, "item_price": 1.4, "currency": currency}
    return {"type": "order", "order": {"catalog_id": CATALOG, "product_items": [item]}}


def test_odd_input_gets_a_clear_answer_and_stops_nobody(stack: Stack) -> None:
    customer = Customer(stack, "Zoé")
    for action in (
        {"text": "a" * 4000},
        {"text": "null \u0000 byte"},
        {"text": "مرحبا 🥐"},
        {"press": "cart:add:no-such-thing", "force": True},
        {"press": "checkout:order:not-an-order", "force": True},
        {"press": "from:another:age", "force": True},
        {"raw": cart_of("croissant", 0)},
        {"raw": cart_of("croissant", 100)},
        {"raw": cart_of("croissant", "two")},
        {"raw": cart_of("croissant", 1, currency="USD")},
        {"location": {"latitude": 48.6, "longitude": -2.0}},
    ):
        customer.act(**action)
        customer.answers()
    assert all(letters == [] for letters in [stack.ask("dead", "list")])


def test_telemetry_knows_no_customer(stack: Stack, purchase: tuple[Customer, str], collector: Collector) -> None:
    customer, _ = purchase
    secret = ["Inès", "Le Goff", "33612340001", customer.user_id, "Bien cuits", "quai des Bateaux"]
    spans = b"".join(collector.raw)
    found = [word for word in secret if word.encode() in spans]
    assert not found, f"in spans: {found}"
    assert not [word for word in secret if word in stack.log], "in logs"
