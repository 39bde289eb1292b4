"""Calls of the Graph API: what each way of failing says, and the trace that goes on."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from panier_common import telemetry
from panier_sender.errors import Class
from panier_sender.graph import Graph

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


def send(url: str, session: aiohttp.ClientSession, seconds: float = 5.0, traceparent: str | None = None):
    return Graph(session, url, "v26.0").send("1", "secret", b'{"to":"+33"}', seconds, traceparent)


async def test_accepted(graph, session):
    answer = await send(graph.url, session)
    assert (answer.rule.kind, answer.wamid) == (Class.ACCEPTED, "wamid.OUT1")
    assert graph.calls[0].headers["Authorization"] == "Bearer secret"


async def test_no_connection_is_certainly_not_sent(session):
    answer = await send("http://127.0.0.1:9", session)
    assert answer.rule.kind is Class.UNREACHED


async def test_no_answer_in_time_is_a_doubt(graph, session):
    graph.answer = lambda call: asyncio.sleep(30)
    answer = await send(graph.url, session, 0.2)
    assert answer.rule.kind is Class.IN_DOUBT
    assert len(graph.calls) == 1


async def test_a_connection_that_breaks_is_a_doubt_and_never_repeated_by_the_client(session):
    asked = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await send(f"http://127.0.0.1:{port}", session)
    assert answer.rule.kind is Class.IN_DOUBT
    assert len(asked) == 1


async def test_the_trace_goes_on_to_the_call(graph, session, monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_TRACER", provider.get_tracer("test"))
    monkeypatch.setattr(telemetry, "tracing", lambda: True)

    async def refuse(call):
        return 400, {"error": {"code": 131026, "message": "no"}}

    graph.answer = refuse
    answer = await send(graph.url, session, traceparent=PARENT)
    (span,) = exporter.get_finished_spans()
    assert span.kind is SpanKind.CLIENT
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert span.attributes["http.response.status_code"] == 400
    assert span.attributes["error.type"] == "131026"
    assert graph.calls[0].headers["traceparent"] == answer.traceparent
    assert f"{span.context.span_id:016x}" in answer.traceparent
