"""A load generator that is quicker than what it loads: kept connections, no client library.

`closed` keeps every connection busy and finds the most a server can do. `paced` sends on time whether or not
earlier requests were answered, and counts a request's waiting from when it was due. Neither raises for a server that
refuses, closes or says nothing once the first connections are open: that is what it counts.
"""

import asyncio
import contextlib
import ssl
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from panier_cli.load import http1

CONNECTIONS = 64
SILENCE_SECONDS = 30.0
NO_ANSWER, TAKEN = 0, 200
_TICK_SECONDS = 0.001
_REOPEN_SECONDS = 0.2


@dataclass(frozen=True)
class Door:
    """Where requests go, in plain when `tls` is None."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass
class Loaded:
    """What came of a load: seconds from the first request to the last answer, and the latency of each TAKEN.

    `due` is when each request was due (or sent, when it had only to wait for its turn), in the requests' order.
    `statuses` has every request that was to be sent, those without an answer as NO_ANSWER.
    """

    seconds: float = 0.0
    due: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of the values, in order, does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Load:
    """The requests, which of them may go, and the connections that wait for one."""

    def __init__(self, door: Door, requests: Sequence[bytes], result: Loaded) -> None:
        self.door = door
        self.requests = requests
        self.result = result
        self.over = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.due: deque[float] = deque()  # when each request that may go was due, 0 for now
        self.idle: list[_Connection] = []
        self.open: set[_Connection] = set()
        self._reopening: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        door = self.door
        await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self), door.host, door.port, ssl=door.tls
        )

    def feed(self) -> None:
        while self.idle and self.due:
            self.idle.pop().send(*self.take())

    def take(self) -> tuple[bytes, float]:
        due = self.due.popleft() or time.perf_counter()
        self.result.due.append(due)
        return self.requests[len(self.result.due) - 1], due

    def ready(self, connection: "_Connection") -> None:
        if self.due:
            connection.send(*self.take())
        else:
            self.idle.append(connection)

    def answered(self, status: int, due: float) -> None:
        self.result.statuses[status] += 1
        if status == TAKEN:
            self.result.latencies.append(time.perf_counter() - due)
        self._count()

    def unanswered(self) -> None:
        self.result.statuses[NO_ANSWER] += 1
        self._count()

    def _count(self) -> None:
        self.over += 1
        if self.over == len(self.requests) and not self.done.done():
            self.done.set_result(None)

    def leave(self, connection: "_Connection") -> None:
        """No request can go on this connection any more."""
        with contextlib.suppress(ValueError):
            self.idle.remove(connection)

    def closed(self, connection: "_Connection") -> None:
        self.leave(connection)
        self.open.discard(connection)
        if not self.done.done():
            task = asyncio.get_running_loop().create_task(self._reopen())
            self._reopening.add(task)
            task.add_done_callback(self._reopening.discard)

    async def _reopen(self) -> None:
        while not self.done.done():
            with contextlib.suppress(OSError):
                await self.connect()
                return
            await asyncio.sleep(_REOPEN_SECONDS)

    def end(self) -> None:
        """Whatever is still open counts as not answered."""
        if left := len(self.requests) - self.over:
            self.result.statuses[NO_ANSWER] += left
        if not self.done.done():
            self.done.cancel()
        for task in self._reopening:
            task.cancel()
        for connection in self.open:
            connection.close()


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._buffer = b""
        self._due: float | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        self._load.open.add(self)
        self._load.ready(self)

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        found = http1.split(self._buffer)
        if found is None:
            return
        head = found[0]
        if self._due is None or not head.startswith(b"HTTP/1."):
            self._load.leave(self)
            self._transport.abort()  # nobody asked, or it is no answer
            return
        self._buffer = self._buffer[found[2] :]
        due, self._due = self._due, None
        self._load.answered(int(head[9:12]), due)
        if http1.is_last(head):
            self._transport.close()
        else:
            self._load.ready(self)

    def eof_received(self) -> None:
        self._load.leave(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._due is not None and not self._load.done.done():
            self._load.unanswered()
        self._load.closed(self)

    def close(self) -> None:
        self._transport.close()


async def closed(door: Door, requests: Sequence[bytes], *, connections: int = CONNECTIONS) -> Loaded:
    """All requests as fast as answers come, one at a time on each connection. OSError when none can be opened."""
    return await _run(_Load(door, requests, Loaded()), connections, None, None)


async def paced(
    door: Door,
    requests: Sequence[bytes],
    rate: float,
    *,
    connections: int = CONNECTIONS,
    within: float | None = None,
    result: Loaded | None = None,
) -> Loaded:
    """`rate` requests a second; one that finds every connection busy waits, and its waiting counts.

    What is not answered `within` seconds after the last was due counts as not answered. `result` is filled
    meanwhile, for whoever shows how far this is. OSError when no connection can be opened at the beginning.
    """
    load = _Load(door, requests, Loaded() if result is None else result)
    return await _run(load, connections, rate, within)


async def _run(load: _Load, connections: int, rate: float | None, within: float | None) -> Loaded:
    try:
        for _ in range(connections):
            await load.connect()
        started = time.perf_counter()
        if rate is None:
            load.due.extend([0.0] * len(load.requests))
            load.feed()
        else:
            await _pace(load, started, rate)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await _until_silent(load)
        load.result.seconds = time.perf_counter() - started
    finally:
        load.end()
    return load.result


async def _pace(load: _Load, started: float, rate: float) -> None:
    released, total = 0, len(load.requests)
    while released < total and not load.done.done():
        until = min(total, int((time.perf_counter() - started) * rate) + 1)
        load.due.extend(started + n / rate for n in range(released, until))
        released = until
        load.feed()
        await asyncio.sleep(_TICK_SECONDS)


async def _until_silent(load: _Load) -> None:
    """Until everything is over, or nothing was answered for long."""
    over = -1
    while not load.done.done() and load.over > over:
        over = load.over
        await asyncio.wait([load.done], timeout=SILENCE_SECONDS)
