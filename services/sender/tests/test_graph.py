"""Calls of the Graph API: what each way of failing says, and the trace that goes on."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio
from opentelemetry.trace import SpanKind
from panier_common.testing.traces import recorded
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


async def test_the_trace_goes_on_to_the_call(graph, session):
    async def refuse(call):
        return 400, {"error": {"code": 131026, "message": "no"}}

    graph.answer = refuse
    with recorded() as spans:
        answer = await send(graph.url, session, traceparent=PARENT)
    (span,) = spans
    assert span.kind is SpanKind.CLIENT
    assert span.parent_id == "b7ad6b7169203331"
    assert span.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert span.attributes["http.response.status_code"] == 400
    assert span.attributes["error.type"] == "131026"
    assert graph.calls[0].headers["traceparent"] == answer.traceparent
    assert span.span_id in answer.traceparent
