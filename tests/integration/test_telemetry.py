"""What the pager's people look at, over real processes: traces of failures, exemplars, bounded series, no customer.

The stack of this module is its own: it is made to fail.
"""

import re
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest
from panier_common import conventions
from parentage import CALL, OUTBOUND, faults
from spans import Collector, Span
from stack import NUMBER, Customer, Stack, eventually, link_of, reply_ids, request

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

WORDS = ("Bien cuits", "quai des Bateaux", "Saint-Malo", "Quenouille", "Maëlys")
INBOUND = "process panier.inbound.v1"


@pytest.fixture(scope="module")
def told() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, told: Collector) -> Iterator[Stack]:
    marks = tmp_path_factory.mktemp("marks")
    stack = Stack(
        tmp_path_factory.mktemp("telemetry"),
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": told.url,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_TRACES_SAMPLER": "always_on",
            "PANIER_FAIL_POINTS": "before_publish:cart.conversations",
            "PANIER_FAIL_MARKS": str(marks),
        },
    )
    try:
        yield stack.start()
    finally:
        stack.stop()


def pages(stack: Stack) -> dict[str, str]:
    """/metrics of every service, as Prometheus asks for it."""
    found = {}
    for service in stack.ask_status()["services"]:
        if service["name"] != "simulator":
            headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
            with urllib.request.urlopen(urllib.request.Request(f"{service['admin']}/metrics", headers=headers)) as page:
                found[service["name"]] = page.read().decode()
    return found


LOST = "a parent that was not received"


def offers(prefix: str):
    return lambda messages: any(i.startswith(prefix) for m in messages for i in reply_ids(m["body"]))


def buy(stack: Stack, name: str, wa_id: str | None = None) -> Customer:
    """One purchase, delivered to an address and paid, with words of the customer's own in every place."""
    customer = Customer(stack, name, wa_id)
    customer.act(text="Bonjour !")
    customer.answers(offers("catalog:menu"))
    customer.act(cart=[{"sku": "brioche-sucre", "quantity": 10}], text="Bien cuits svp, pour Quenouille")
    customer.answers(offers("checkout:start"))
    customer.press("checkout:start", enough=offers("checkout:deliver"))
    customer.press("checkout:deliver")
    customer.act(text="3 quai des Bateaux, 35400 Saint-Malo")
    customer.answers(offers("checkout:confirm:"))
    link = link_of(customer.press("checkout:confirm:", enough=lambda m: link_of(m) is not None))
    assert link is not None
    order = stack.ask("orders", "show", link.partition("?")[0].rpartition("/")[2])
    assert stack.pay(order, f"pay-{order['order_id']}") == 200
    customer.answers()
    return customer


@pytest.fixture(scope="module")
def buyers(shop: Stack) -> list[Customer]:
    return [buy(shop, "Maëlys Quenouille", "33612349871")]


def trace_with(collector: Collector, *needs: str) -> list[Span] | None:
    for trace in collector.by_trace().values():
        if set(needs) <= {span.name for span in trace}:
            return trace
    return None


def orphans(trace: list[Span]) -> set[str]:
    """The names of those whose parent was not received."""
    known = {span.id for span in trace}
    return {span.name for span in trace if span.parent and span.parent not in known}


def test_what_a_killed_process_had_decided_goes_on_in_the_same_trace(shop: Stack, told: Collector) -> None:
    """The cart dies after its commit and before it publishes; who takes over publishes under the message's trace.

    The spans that the dead process had not sent are lost with it, and nothing else.
    """
    customer = Customer(shop, "taken over")
    customer.act(cart=[{"sku": "croissant", "quantity": 2}])
    customer.answers(offers("checkout:start"), seconds=60)

    def whole() -> list[Span] | None:
        trace = trace_with(told, "POST /webhooks/whatsapp", OUTBOUND, "POST")
        return trace if trace is not None and orphans(trace) <= {OUTBOUND, "process panier.cart.v1"} else None

    trace = eventually("the whole trace", whole, 30)
    # The new process tells what it makes of the sender's news; of the message itself only the dead one knew.
    assert INBOUND not in {span.name for span in trace if span.service == "panier-cart"}
    assert OUTBOUND in orphans(trace)
    [message] = [span for span in trace if span.name == OUTBOUND and span.service == "panier-sender"]
    [call] = [span for span in trace if span.name == CALL]
    assert call.parent == message.id
    assert {fault.partition(" has ")[2] for fault in faults(trace)} == {LOST}


def test_every_span_of_the_purchase_is_one_of_the_registry(
    shop: Stack, buyers: list[Customer], told: Collector
) -> None:
    eventually("the receipt's trace", lambda: trace_with(told, "POST /webhooks/payments/{provider}", "POST"), 20)
    wrong = set()
    for span in list(told.spans):
        kind = next((k for k in conventions.SPANS if re.fullmatch(k.name, span.name)), None)
        if kind is None or kind.kind != span.kind:
            wrong.add(f"{span.service}: {span.kind} {span.name}")
        else:
            wrong |= {f"{span.name} has {name}" for name in span.attributes if name not in kind.attributes}
    assert not wrong


@pytest.mark.parametrize("alone", [False, True])
def test_a_customer_who_calls_is_found_by_the_hash_that_spans_have(
    shop: Stack, buyers: list[Customer], told: Collector, alone: bool
) -> None:
    """From the number on the telephone, by asking the services; from the user id, by the token alone."""
    stranger = Customer(shop, "a stranger")
    stranger.act(text="Bonjour !")
    stranger.answers(offers("catalog:menu"))
    who = buyers[0].user_id if alone else "+33 6 12 34 98 71"
    asked = shop.ask("trace-key", "--number", NUMBER, "--customer", who, *(["--alone"] if alone else []))
    assert asked["attribute"] == conventions.CONVERSATION
    hashes = {one["hash"] for one in asked["conversations"]}

    def heard() -> tuple[set[str], set[str]] | None:
        """Which services tell of this customer, and what the sender, which hears everybody, calls the others."""
        spans = [span for span in list(told.spans) if asked["attribute"] in span.attributes]
        services = {span.service for span in spans if span.attributes[asked["attribute"]] in hashes}
        others = {s.attributes[asked["attribute"]] for s in spans if s.service == "panier-sender" and s.name == INBOUND}
        return (services, others - hashes) if "panier-sender" in services and others - hashes else None

    services, _ = eventually("the spans of both", heard, 20)
    assert {"panier-catalog", "panier-cart", "panier-checkout", "panier-sender"} <= services


def test_a_status_links_to_the_trace_of_its_message(shop: Stack, buyers: list[Customer], told: Collector) -> None:
    def linked() -> tuple[Span, Span] | None:
        by_id = {span.id: span for span in list(told.spans)}
        for span in by_id.values():
            if span.name == "send panier.delivery.v1":
                for link in span.links:
                    if link in by_id:
                        return span, by_id[link]
        return None

    status, message = eventually("a status' link", linked, 20)
    assert (message.name, message.service) == (OUTBOUND, "panier-sender")
    assert status.trace != message.trace, "a status is an action of its own"
    others = [span for span in told.spans if span.links and span.name != "send panier.delivery.v1"]
    assert not others


def test_a_bucket_leads_to_a_trace_that_exists(shop: Stack, buyers: list[Customer], told: Collector) -> None:
    traces = set(told.by_trace())
    seen: Counter[str] = Counter()
    for page in pages(shop).values():
        for name, trace in re.findall(r'^(panier_\w+)_bucket\{.*?\} \S+ # \{.*?trace_id="([0-9a-f]{32})"', page, re.M):
            assert trace in traces, f"{name} leads nowhere"
            seen[name] += 1
    without = {"panier_provider_call_seconds", "panier_http_request_seconds"}
    expected = {m.exposed for m in conventions.METRICS if m.kind == "histogram"} - without
    assert set(seen) >= expected, f"no exemplar: {expected - set(seen)}"


def test_no_word_or_id_of_a_customer_is_in_spans_metrics_or_logs(
    shop: Stack, buyers: list[Customer], told: Collector
) -> None:
    [customer] = buyers
    phone = customer.about["wa_id"]
    ids = [message.get("wamid") or message["id"] for message in customer.chat()]
    secrets = [*WORDS, customer.user_id, phone, *ids]
    everything = {"spans": b"".join(told.raw).decode("utf-8", "replace"), "logs": shop.log, **pages(shop)}
    assert len(ids) > 6
    assert all(len(page) > 500 for page in everything.values())
    found = {(where, secret) for where, page in everything.items() for secret in map(str, secrets) if secret in page}
    assert not found


def series(stack: Stack) -> dict[str, set[str]]:
    """Names and labels of all that is exposed, without what Python's own collector counts."""
    found = {}
    for service, page in pages(stack).items():
        lines = (line for line in page.splitlines() if line.startswith("panier_"))
        found[service] = {re.match(r"panier_\w+(\{[^}]*\})?", line).group() for line in lines}  # type: ignore[union-attr]
    return found


def test_series_do_not_grow_with_customers(shop: Stack, buyers: list[Customer]) -> None:
    """Two customers, then three times as many; what a purchase brings for the first time, the two brought already."""
    buy(shop, "another client")
    before = series(shop)
    for n in range(4):
        buy(shop, f"customer {n}", f"3361234000{n}")
    after = series(shop)
    # Repeats, busy brokers, calls put off, receipts let go: they happen or not, and their labels are our own words.
    seldom = (
        "panier_duplicates",
        "panier_waits",
        "panier_numbers_held",
        "panier_graph_c",
        "panier_graph_resent",
        "panier_ingest_webhooks",
        "panier_receipts",
        "panier_published",
        'panier_events_total{loop="sender.numbers"',
    )
    grown = {one for service in after for one in after[service] - before[service] if not one.startswith(seldom)}
    assert not grown
    assert sum(map(len, after.values())) < 3000


def test_each_try_of_a_message_is_a_span_of_the_same_parent(shop: Stack, told: Collector) -> None:
    """The Graph API refuses the first call for a moment: two calls, both under the one message."""
    simulator = f"http://127.0.0.1:{shop.ports['simulator']}/api"
    customer = Customer(shop, "retried")
    status, body = request("POST", f"{simulator}/faults/next", {"code": 131016, "number": NUMBER})
    assert status in (200, 201), body
    customer.act(text="menu")
    customer.answers(offers("catalog:menu"))

    def tries() -> list[Span] | None:
        for trace in told.by_trace().values():
            calls = [span for span in trace if span.name == "POST"]
            if any("error.type" in call.attributes for call in calls):
                same = Counter(call.parent for call in calls)
                if max(same.values()) >= 2 and not faults(trace):
                    return trace
        return None

    trace = eventually("both calls", tries, 30)
    calls = [span for span in trace if span.name == "POST"]
    [(parent, _)] = Counter(call.parent for call in calls).most_common(1)
    assert parent in {span.id for span in trace if span.name == OUTBOUND}
    mine = [call for call in calls if call.parent == parent]
    assert sorted("error.type" in call.attributes for call in mine) == [False, True]
    assert {span.trace for span in mine} == {trace[0].trace}
    assert faults(trace) == []


def test_a_message_that_cannot_be_sent_tells_so_below_its_call(shop: Stack, told: Collector) -> None:
    """The Graph API refuses it for good: the news of it, and what services make of that, are in the same trace."""
    simulator = f"http://127.0.0.1:{shop.ports['simulator']}/api"
    customer = Customer(shop, "not reached")
    before = set(told.by_trace())
    status, body = request("POST", f"{simulator}/faults/next", {"code": 131026, "number": NUMBER})
    assert status in (200, 201), body
    customer.act(text="menu")

    def refused() -> list[Span] | None:
        traces = told.by_trace()
        found = [t for name, t in traces.items() if name not in before and any(map(tells_of_it, t))]
        return found[0] if found and not faults(found[0]) else None

    def tells_of_it(span: Span) -> bool:
        return (span.kind, span.attributes.get(conventions.EVENT_TYPE)) == ("CONSUMER", "panier.message.failed.v1")

    trace = eventually("what was made of the refusal, with all above it", refused, 30)
    [call] = [span for span in trace if span.name == CALL and "error.type" in span.attributes]
    [news] = [span for span in trace if span.parent == call.id]
    assert [span.service for span in trace if span.parent == news.id] == ["panier-console"]


def test_over_purchases_and_failures_only_what_was_killed_lost_a_parent(
    shop: Stack, buyers: list[Customer], told: Collector
) -> None:
    """Every span that this stack has sent keeps the rule, but those below what one killed process never sent."""
    seen: dict[str, list[str]] = {}

    def kept() -> bool:
        traces = told.by_trace()
        found = faults([span for trace in traces.values() for span in trace])
        seen["faults"] = [fault for fault in found if not fault.endswith(LOST)]
        bereft = {name: faults(trace) for name, trace in traces.items()}
        seen["bereft"] = [name for name, some in bereft.items() if any(fault.endswith(LOST) for fault in some)]
        return not seen["faults"] and len(seen["bereft"]) <= 1

    try:
        eventually("every span to have its place", kept, 20)
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen}") from error


def test_doctor_finds_nothing_wrong_until_something_is(shop: Stack) -> None:
    code, found = shop.panier("doctor")
    assert code == 0, [one for one in found["findings"] if one["level"] == "fail"]
    checked = {one["check"].partition(".")[0] for one in found["findings"]}
    parts = {"settings", "kafka", "postgres", "schema", "clock", "meta", "service", "dead-letters", "sales"}
    assert checked == parts
    request("PATCH", f"http://127.0.0.1:{shop.ports['simulator']}/api/numbers/{NUMBER}", {"token_expires_at": 1})
    code, found = shop.panier("doctor", "--only", "meta.", check=False)
    assert code == 1
    assert [one["check"] for one in found["findings"] if one["level"] == "fail"] == [f"meta.token.{NUMBER}"]
