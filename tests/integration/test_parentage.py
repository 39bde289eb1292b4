"""The rule of who is whose parent, over traces with a fault planted in each."""

from dataclasses import replace

import pytest
from panier_common import conventions
from parentage import faults, steps, traces_of, way
from spans import Span

_HASH = "5ca1ab1e"


def span(
    name: str, kind: str, service: str, of: str = "", event: str = "", *, links: str = "", trace: str = ""
) -> Span:
    """Its id is made of what it is: `service name`."""
    about = {conventions.DESTINATION: name.split()[1], conventions.EVENT_TYPE: event} if event else {}
    if kind == "CONSUMER" and service != "ingest":
        about[conventions.CONVERSATION] = _HASH
    return Span(
        trace or "action",
        f"{service} {name}",
        of,
        name,
        kind,
        f"panier-{service}",
        about,
        tuple(links.split("+")) if links else (),
    )


RECEIVED, REQUESTED, CHANGED = "panier.message.received.v1", "panier.message.requested.v1", "panier.delivery.changed.v1"
ACTION = (
    span("POST /webhooks/whatsapp", "SERVER", "ingest"),
    span("send panier.inbound.v1", "PRODUCER", "ingest", "ingest POST /webhooks/whatsapp", RECEIVED),
    span("process panier.inbound.v1", "CONSUMER", "cart", "ingest send panier.inbound.v1", RECEIVED),
    span("send panier.outbound.v1", "PRODUCER", "cart", "cart process panier.inbound.v1", REQUESTED),
    span("process timer", "CONSUMER", "cart", "cart process panier.inbound.v1"),
    span("process panier.outbound.v1", "CONSUMER", "sender", "cart send panier.outbound.v1", REQUESTED),
    span("POST", "CLIENT", "sender", "sender process panier.outbound.v1"),
    span("send panier.sent.v1", "PRODUCER", "sender", "sender POST", "panier.message.sent.v1"),
)
TOLD = (
    span("POST /webhooks/status", "SERVER", "ingest", trace="told"),
    span(
        "send panier.delivery.v1",
        "PRODUCER",
        "ingest",
        "ingest POST /webhooks/status",
        CHANGED,
        links="sender process panier.outbound.v1",
        trace="told",
    ),
)


def spoiled(number: int, **by: object) -> list[Span]:
    """The two traces, with one of the spans otherwise."""
    spans = [*ACTION, *TOLD]
    spans[number] = replace(spans[number], **by)
    return spans


def test_a_trace_as_it_should_be_has_no_fault() -> None:
    assert faults([*ACTION, *TOLD]) == []


def test_a_timer_may_be_left_by_a_call_that_was_refused_for_now() -> None:
    assert faults(spoiled(4, parent="sender POST", service="panier-sender")) == []


@pytest.mark.parametrize(
    ("spans", "fault"),
    [
        ([s for s in ACTION if s.id != "ingest send panier.inbound.v1"], "was not received"),
        ([*ACTION, span("POST /webhooks/payments", "SERVER", "ingest")], "2 roots in one trace"),
        (spoiled(1, parent=""), "has no parent"),
        (spoiled(0, parent="sender POST"), "ingest: POST /webhooks/whatsapp has a parent"),
        (spoiled(2, parent="ingest POST /webhooks/whatsapp"), "is the child of ingest: POST /webhooks/whatsapp"),
        (spoiled(2, parent="cart send panier.outbound.v1"), "is the child of cart: send message.requested"),
        (spoiled(3, parent="ingest send panier.inbound.v1"), "is the child of ingest: send message.received"),
        (spoiled(3, service="panier-catalog"), "is the child of cart: process message.received"),
        (spoiled(4, parent="cart send panier.outbound.v1"), "cart: process timer is the child of cart: send"),
        (spoiled(4, parent="sender POST"), "cart: process timer is the child of sender: POST"),
        (spoiled(6, parent="sender POST"), "sender: POST is the child of sender: POST"),
        (spoiled(6, trace="told"), "is in another trace than sender: process message.requested"),
        (spoiled(7, parent="sender process panier.outbound.v1", service="panier-cart"), "is the child of sender"),
        (spoiled(9, links=()), "links to [], not to its message"),
        (spoiled(9, links=("sender POST",)), "links to ['sender: POST'], not to its message"),
        (spoiled(9, links=("nowhere",)), "links to ['what was not received']"),
        (spoiled(9, links=("sender process panier.outbound.v1",) * 2), "not to its message"),
        (spoiled(9, trace="action", parent="ingest POST /webhooks/whatsapp"), "is in the trace of its message"),
        (spoiled(3, links=("sender POST",)), "cart: send message.requested links to something"),
    ],
)
def test_what_is_not_as_it_should_be_is_told(spans: list[Span], fault: str) -> None:
    assert any(fault in told for told in faults(spans)), faults(spans)


def test_a_customers_traces_are_their_actions_what_repeats_them_and_what_is_told_about_them() -> None:
    repeated = replace(ACTION[1], trace="again", id="again", attributes={conventions.MESSAGE_ID: "one"})
    first = replace(ACTION[1], attributes={**ACTION[1].attributes, conventions.MESSAGE_ID: "one"})
    mine = [ACTION[0], first, *ACTION[2:], *TOLD, repeated]
    stranger = span("POST /webhooks/whatsapp", "SERVER", "ingest", trace="another's")
    assert {s.trace for s in traces_of([*mine, stranger], {_HASH})} == {"action", "told", "again"}


def test_steps_and_ways_are_told_in_words() -> None:
    assert way(ACTION[6], ACTION) == [
        "ingest: POST /webhooks/whatsapp",
        "ingest: send message.received",
        "cart: process message.received",
        "cart: send message.requested",
        "sender: process message.requested",
        "sender: POST",
    ]
    assert steps([*ACTION[5:6], *TOLD]) == {
        "ingest: POST /webhooks/status > ingest: send delivery.changed",
        "ingest: send delivery.changed ~ sender: process message.requested",
    }
