"""One span a webhook, one a record under it, whose context travels with the record."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from panier_common import telemetry


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(telemetry, "_TRACER", provider.get_tracer("panier"))
    monkeypatch.setattr(telemetry, "tracing", lambda: True)
    yield exporter
    provider.shutdown()


async def test_a_webhook_is_the_parent_of_what_it_sends(
    door: Any, spans: InMemorySpanExporter, make_webhook: Any
) -> None:
    message = {"from": "33699999999", "id": "wamid.secret", "timestamp": "1750000000", "type": "text",
               "text": {"body": "a private word"}}  # fmt: skip
    status = {"id": "wamid.out", "status": "read", "recipient_id": "33699999999"}
    assert (await door.post(make_webhook(message, statuses=[status]))).status == 200
    records = await door.records(2)
    found = {span.name: span for span in spans.get_finished_spans()}
    server = found["POST /webhooks/whatsapp"]
    assert (server.kind, server.parent) == (SpanKind.SERVER, None)
    assert server.attributes is not None
    assert server.attributes["http.response.status_code"] == 200
    for record in records:
        span = found[f"send {record.topic}"]
        assert span.kind is SpanKind.PRODUCER
        assert span.parent is not None
        assert span.parent.span_id == server.context.span_id
        version, trace_id, span_id, flags = dict(record.headers)["traceparent"].decode().split("-")
        assert (version, int(trace_id, 16), int(span_id, 16)) == ("00", span.context.trace_id, span.context.span_id)
        assert int(flags, 16) & 1
    told = json.dumps([span.to_json() for span in found.values()])
    for secret in ("33699999999", "a private word", "wamid.", "Zoé", "Zo\\u00e9"):
        assert secret not in told


async def test_a_refusal_is_told_in_the_span(door: Any, spans: InMemorySpanExporter) -> None:
    assert (await door.post(b"{}", "sha256=00")).status == 401
    (span,) = spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 401


async def test_a_payment_has_a_trace_too(door: Any, spans: InMemorySpanExporter, sign: Any) -> None:
    body = b'{"id": "note-9", "order_id": "o", "state": "paid", "minor": 1, "currency": "EUR"}'
    headers = {"X-Panier-Signature": sign(body, "payment-secret")}
    assert (await door.send("POST", "/webhooks/payments/simulated", data=body, headers=headers)).status == 200
    send, server = spans.get_finished_spans()
    assert (server.name, send.name) == ("POST /webhooks/payments/{provider}", "send panier.payment.v1")
    assert send.parent is not None
    assert send.parent.span_id == server.context.span_id


async def test_the_handshakes_token_is_in_no_span(door: Any, spans: InMemorySpanExporter) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "verify-token", "hub.challenge": "1"}
    assert (await door.send("GET", "/webhooks/whatsapp", params=query)).status == 200
    assert not [span for span in spans.get_finished_spans() if "verify-token" in span.to_json()]
