"""A Graph API that costs next to nothing: takes every message, answers as Meta does, notes when each arrived.

Runs in the benchmark's own process, which is never the one under measurement.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import NamedTuple, cast

import msgspec
from panier_cli.load import http1


class _Body(msgspec.Struct):
    """What of a request decides the answer."""

    to: str = ""
    recipient: str = ""
    status: str = ""


_ACCEPTED = (
    b'{"messaging_product":"whatsapp","contacts":[{"input":"%s","wa_id":"%s"}],'
    b'"messages":[{"id":"wamid.HBgLMzM2MDAwMDAwMDAVAgARGBI%016X"}]}'
)
_DECODER = msgspec.json.Decoder(_Body)


class Call(NamedTuple):
    """A message that arrived whole at `at` of `time.perf_counter`, for that customer."""

    at: float
    customer: str
    body: bytes


class Graph:
    """Everything that was asked of it since `calls` was emptied last. Messages marked read are not kept."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.url = ""
        self.arrived = asyncio.Event()
        self._expected: dict[str, asyncio.Future[float]] = {}
        self._accepted = 0

    def expect(self, customer: str) -> "asyncio.Future[float]":
        """When the next message for this customer (digits, or a user id) arrives."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._expected[customer] = future
        return future

    async def until(self, calls: int, seconds: float) -> None:
        """Until that many have arrived; raises TimeoutError when none came for so long."""
        while len(self.calls) < calls:
            self.arrived.clear()
            async with asyncio.timeout(seconds):
                await self.arrived.wait()

    def take(self, body: bytes) -> bytes:
        """Note a request; the answer's body."""
        at = time.perf_counter()
        if not body:
            return b"{}"  # what is asked of a token is not measured
        asked = _DECODER.decode(body)
        if asked.status:
            return b'{"success":true}'
        customer = asked.to.lstrip("+") or asked.recipient
        self.calls.append(Call(at, customer, body))
        self.arrived.set()
        expected = self._expected.pop(customer, None)
        if expected is not None and not expected.done():
            expected.set_result(at)
        self._accepted += 1
        return _ACCEPTED % (asked.to.encode() or asked.recipient.encode(), customer.encode(), self._accepted)


class _Connection(asyncio.Protocol):
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while (found := http1.split(self._buffer)) is not None:
            self._buffer = self._buffer[found[2] :]
            answer = self._graph.take(found[1])
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s"
                % (len(answer), answer)
            )


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Graph]:
    """A stand-in at `graph.url`."""
    graph = Graph()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(graph), "127.0.0.1", 0)
    graph.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield graph
    finally:
        server.close()
