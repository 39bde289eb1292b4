"""Traces of the runner's work over failures: who is whose parent, and that it stays one trace."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind
from panier_common import telemetry
from panier_common.dead_letters import ask_replay
from panier_common.event import TRACEPARENT, with_context, without_context
from panier_common.spans import Recorder, Shape, Span, encoded
from panier_common.testing.traces import recorded
from panier_common.topics import INBOUND
from structlog.testing import capture_logs

from .tally import Tally, conversation, enquiries_of, eventually, running, say, texts_of

TRACE, SENT = uuid4().hex, "b7ad6b7169203331"
CONTEXT = f"00-{TRACE}-{SENT}-01"
PROCESS, TIMER, SEND = "process panier.inbound.v1", "process timer", "send panier.enquiry.v1"


@pytest.fixture
def spans() -> Iterator[list[Span]]:
    with recorded() as spans:
        yield spans


@dataclass
class Trace:
    """One of the test's own: the topic is shared with the other tests."""

    spans: list[Span]
    id: str = field(default_factory=lambda: uuid4().hex)

    @property
    def context(self) -> str:
        return f"00-{self.id}-{SENT}-01"

    def of(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id == self.id and span.name == name]


@pytest.fixture
def trace(spans: list[Span]) -> Trace:
    return Trace(spans)


async def test_a_dead_letter_is_an_error_of_its_trace_and_its_replay_a_child_of_it(
    pool, broker, producer, name, trace
) -> None:
    who = conversation()
    await say(producer, who, "breaks the rule", headers={TRACEPARENT: trace.context})
    async with running(Tally().loop(name), pool, broker):
        letters = "SELECT id, trace_id FROM dead_letter WHERE key = $1"
        [letter] = await eventually("the letter", lambda: pool.fetch(letters, who))
        assert letter["trace_id"] == trace.id

        async def ended() -> list[Span]:
            return trace.of(PROCESS)

        [failed] = await eventually("its span", ended)
        assert (failed.failed, failed.error, failed.parent_id) == (True, "dead letter", SENT)
        await pool.execute("ALTER TABLE tally DROP CONSTRAINT tally_texts_check")
        assert await ask_replay(pool, letter["id"])
        await eventually("the replay", texts_of(pool, who, 1))

        async def published() -> list[Span]:
            return trace.of(SEND)

        [sent] = await eventually("its answer to be sent", published)
    replayed = next(span for span in trace.of(PROCESS) if span is not failed)
    assert (replayed.parent_id, replayed.failed) == (failed.span_id, False)
    assert (sent.parent_id, sent.kind) == (replayed.span_id, SpanKind.PRODUCER)


async def test_a_record_that_nobody_can_read_is_an_error_of_its_trace(pool, broker, producer, name, trace) -> None:
    who = conversation()
    headers = [("ce_type", b"panier.message.received.v1"), (TRACEPARENT, trace.context.encode())]
    await (await producer.get()).send_and_wait(INBOUND.name, b"{", key=who.encode(), headers=headers)
    async with running(Tally().loop(name), pool, broker):
        await eventually("the letter", lambda: pool.fetch("SELECT 1 FROM dead_letter WHERE key = $1", who))

        async def ended() -> list[Span]:
            return trace.of(PROCESS)

        [failed] = await eventually("its span", ended)
    assert (failed.failed, failed.parent_id) == (True, SENT)


async def test_the_log_line_of_a_dead_letter_leads_to_its_trace(pool, broker, producer, name, trace) -> None:
    who = conversation()
    await say(producer, who, "breaks the rule", headers={TRACEPARENT: trace.context})
    with capture_logs([telemetry.with_trace]) as lines:
        async with running(Tally().loop(name), pool, broker):
            await eventually("the letter", lambda: pool.fetch("SELECT 1 FROM dead_letter WHERE key = $1", who))
    [failed] = trace.of(PROCESS)
    said = {line.get("span_id"): line for line in lines if line["event"] == "dead letter"}[failed.span_id]
    assert said["trace_id"] == trace.id
    assert "traceparent" not in said


async def test_what_a_timer_does_is_under_what_set_it(pool, broker, producer, name, trace) -> None:
    who = conversation()
    await say(producer, who, "alarm", headers={TRACEPARENT: trace.context})
    async with running(Tally().loop(name), pool, broker):
        await eventually("the bell", texts_of(pool, who, 1))
    [setting], [bell], [sent] = trace.of(PROCESS), trace.of(TIMER), trace.of(SEND)
    assert (bell.parent_id, sent.parent_id) == (setting.span_id, bell.span_id)


async def test_what_is_not_kept_makes_no_span_and_carries_no_context(pool, broker, producer, name, trace) -> None:
    who = conversation()
    await say(producer, who, "hello", headers={TRACEPARENT: trace.context.replace("-01", "-00")})
    async with running(Tally().loop(name), pool, broker):
        await eventually("the text", texts_of(pool, who, 1))
        [(_, headers)] = await eventually("its answer", lambda: enquiries_of(broker, who))
    assert TRACEPARENT not in headers
    assert not [span for span in trace.spans if span.trace_id == trace.id]


def test_the_sampler_decides_about_roots_alone(spans: list[Span], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry._State, "sampler", ALWAYS_OFF)
    assert telemetry.start_root(Shape("POST /webhooks/whatsapp", SpanKind.SERVER, {})) is None
    under = telemetry.start_span(Shape("POST", SpanKind.CLIENT, {}), CONTEXT, {})
    under.end()
    assert [span.name for span in spans] == ["POST"]
    assert under.traceparent.startswith(f"00-{TRACE}-")


def test_a_span_on_the_wire() -> None:
    """Read back by the protocol's own messages: strings longer than a byte's length tells, numbers below zero."""
    shape = Shape("POST", SpanKind.CLIENT, {"a": "é" * 200, "yes": True, "no": False})
    span = Span(shape, (TRACE, SENT, True), {"n": 7, "below": -1, "far": 1 << 40}, [(TRACE, SENT, True)])
    span.set_attribute("share", 0.5)
    span.fail("why")
    span.end()
    [of] = ExportTraceServiceRequest.FromString(encoded(b"", [span])).resource_spans
    [sent] = of.scope_spans[0].spans
    assert (sent.trace_id.hex(), sent.parent_span_id.hex(), sent.span_id.hex()) == (TRACE, SENT, span.span_id)
    assert (sent.kind, sent.status.code, sent.status.message) == (
        Message.SPAN_KIND_CLIENT,
        Status.STATUS_CODE_ERROR,
        "why",
    )
    said = {a.key: (kind := a.value.WhichOneof("value"), getattr(a.value, kind)) for a in sent.attributes}
    assert said == {
        "a": ("string_value", "é" * 200),
        "yes": ("bool_value", True),
        "no": ("bool_value", False),
        "n": ("int_value", 7),
        "below": ("int_value", -1),
        "far": ("int_value", 1 << 40),
        "share": ("double_value", 0.5),
    }
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in sent.links] == [(TRACE, SENT)]
    assert 0 < sent.start_time_unix_nano <= sent.end_time_unix_nano


def test_what_is_kept_is_sent_by_itself_and_the_rest_at_the_end() -> None:
    sent, came = [], threading.Event()

    def send(body: bytes) -> None:
        [of] = ExportTraceServiceRequest.FromString(body).resource_spans
        assert [(a.key, a.value.string_value) for a in of.resource.attributes] == [("service.name", "test")]
        [scope] = of.scope_spans
        assert scope.scope.name == "panier"
        sent.extend(scope.spans)
        came.set()

    recorder = Recorder({"service.name": "test"}, send)
    Span(Shape("one", SpanKind.CLIENT, {}), None, {}, keep=recorder.keep).end()
    assert came.wait(10)
    Span(Shape("two", SpanKind.CLIENT, {}), None, {}, keep=recorder.keep).end()
    recorder.shut_down()
    assert [span.name for span in sent] == ["one", "two"]


def test_a_collector_that_is_not_there_holds_up_nobodys_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panier_common.spans.SHUT_DOWN_SECONDS", 0.05)
    asked, given_up = threading.Event(), threading.Event()

    def send(_: bytes) -> None:
        asked.set()
        given_up.wait()

    recorder = Recorder({"service.name": "test"}, send)
    Span(Shape("one", SpanKind.CLIENT, {}), None, {}, keep=recorder.keep).end()
    assert asked.wait(10)
    ending = threading.Thread(target=recorder.shut_down, daemon=True)
    ending.start()
    ending.join(10)
    assert not ending.is_alive()
    given_up.set()


def test_a_context_travels_behind_our_id_and_nothing_else_is_taken_for_one() -> None:
    assert without_context(with_context("id", CONTEXT)) == ("id", CONTEXT)
    assert with_context("id", CONTEXT.replace("-01", "-00")) == "id"
    for text in ("", "id", "some data", f" {CONTEXT}"):
        assert without_context(text) == (text, None)
