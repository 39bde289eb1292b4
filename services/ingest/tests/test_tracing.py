"""One span a webhook, one a record under it, whose context travels with the record."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind
from panier_common import telemetry
from panier_common.spans import Span
from panier_common.testing.traces import recorded


@pytest.fixture
def spans() -> Iterator[list[Span]]:
    with recorded() as spans:
        yield spans


async def test_a_webhook_is_the_parent_of_what_it_sends(door: Any, spans: list[Span], make_webhook: Any) -> None:
    message = {"from": "33699999999", "id": "wamid.secret", "timestamp": "1750000000", "type": "text",
               "text": {"body": "a private word"}}  # fmt: skip
    status = {"id": "wamid.out", "status": "read", "recipient_id": "33699999999"}
    assert (await door.post(make_webhook(message, statuses=[status]))).status == 200
    records = await door.records(2)
    found = {span.name: span for span in spans}
    server = found["POST /webhooks/whatsapp"]
    assert (server.kind, server.parent_id) == (SpanKind.SERVER, "")
    assert server.attributes["http.response.status_code"] == 200
    for record in records:
        span = found[f"send {record.topic}"]
        assert span.kind is SpanKind.PRODUCER
        assert span.parent_id == server.span_id
        version, trace_id, span_id, flags = dict(record.headers)["traceparent"].decode().split("-")
        assert (version, trace_id, span_id) == ("00", span.trace_id, span.span_id)
        assert int(flags, 16) & 1
    told = json.dumps([[span.name, span.attributes] for span in found.values()])
    for secret in ("33699999999", "a private word", "wamid.", "Zoé", "Zo\\u00e9"):
        assert secret not in told


async def test_what_is_not_kept_travels_without_a_context(
    door: Any, spans: list[Span], make_webhook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry._State, "sampler", ALWAYS_OFF)
    message = {"from": "33699999999", "id": "wamid.other", "timestamp": "1750000000", "type": "text",
               "text": {"body": "hello"}}  # fmt: skip
    assert (await door.post(make_webhook(message))).status == 200
    [record] = await door.records(1)
    assert "traceparent" not in dict(record.headers)
    assert spans == []


async def test_a_refusal_is_told_in_the_span(door: Any, spans: list[Span]) -> None:
    assert (await door.post(b"{}", "sha256=00")).status == 401
    (span,) = spans
    assert span.attributes["http.response.status_code"] == 401


async def test_a_payment_has_a_trace_too(door: Any, spans: list[Span], sign: Any) -> None:
    body = b'{"id": "note-9", "order_id": "o", "state": "paid", "minor": 1, "currency": "EUR"}'
    headers = {"X-Panier-Signature": sign(body, "payment-secret")}
    assert (await door.send("POST", "/webhooks/payments/simulated", data=body, headers=headers)).status == 200
    send, server = spans
    assert (server.name, send.name) == ("POST /webhooks/payments/{provider}", "send panier.payment.v1")
    assert send.parent_id == server.span_id


async def test_the_handshakes_token_is_in_no_span(door: Any, spans: list[Span]) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "verify-token", "hub.challenge": "1"}
    assert (await door.send("GET", "/webhooks/whatsapp", params=query)).status == 200
    assert not [span for span in spans if "verify-token" in str(span.attributes)]
