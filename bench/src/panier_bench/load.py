"""A load generator that is quicker than what it loads: kept connections, requests made beforehand, no client library.

`closed` keeps every connection busy and finds the most a server can do. `paced` sends on time whether or not
earlier requests were answered, and counts a request's waiting from when it was due.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from panier_bench import http1

CONNECTIONS = 64
TICK_SECONDS = 0.001
SILENCE_SECONDS = 30.0


@dataclass
class Loaded:
    """What came of a load: seconds from the first request to the last answer, and each answer's latency.

    `due` is when each request was due (or sent, when it had only to wait for its turn), in the requests' order.
    """

    seconds: float = 0.0
    due: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds


class _Load:
    """The requests, which of them may go, and the connections that wait for one."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self.requests = requests
        self.result = Loaded()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.due: deque[float] = deque()  # when each request that may go was due, 0 for now
        self.idle: list[_Connection] = []

    def feed(self) -> None:
        while self.idle and self.due:
            self.idle.pop().send(*self.take())

    def take(self) -> tuple[bytes, float]:
        due = self.due.popleft() or time.perf_counter()
        self.result.due.append(due)
        return self.requests[len(self.result.due) - 1], due

    def answered(self, status: int, due: float) -> None:
        self.result.statuses[status] += 1
        self.result.latencies.append(time.perf_counter() - due)
        if len(self.result.latencies) == len(self.requests) and not self.done.done():
            self.done.set_result(None)

    def broken(self) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server closed a connection in the middle of the load"))


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._buffer = b""
        self._due = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        self._load.idle.append(self)

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        found = http1.split(self._buffer)
        if found is None:
            return
        self._buffer = self._buffer[found[2] :]
        self._load.answered(int(found[0][9:12]), self._due)
        if self._load.due:
            self.send(*self._load.take())
        else:
            self._load.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.broken()

    def close(self) -> None:
        self._transport.close()


async def closed(port: int, requests: Sequence[bytes], *, connections: int = CONNECTIONS) -> Loaded:
    """All requests as fast as answers come, one at a time on each connection."""
    return await _run(port, requests, connections, None)


async def paced(port: int, requests: Sequence[bytes], rate: float, *, connections: int = CONNECTIONS) -> Loaded:
    """`rate` requests a second; one that finds every connection busy waits, and its waiting counts."""
    return await _run(port, requests, connections, rate)


async def _run(port: int, requests: Sequence[bytes], connections: int, rate: float | None) -> Loaded:
    load = _Load(requests)
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port) for _ in range(connections)]
    started = time.perf_counter()
    try:
        if rate is None:
            load.due.extend([0.0] * len(requests))
            load.feed()
        else:
            await _pace(load, started, rate)
        longest = SILENCE_SECONDS + len(requests) / 500
        await asyncio.wait_for(load.done, longest)
        load.result.seconds = time.perf_counter() - started
    finally:
        if not load.done.done():
            load.done.cancel()
        for _, connection in opened:
            connection.close()
    return load.result


async def _pace(load: _Load, started: float, rate: float) -> None:
    released, total = 0, len(load.requests)
    while released < total and not load.done.done():
        until = min(total, int((time.perf_counter() - started) * rate) + 1)
        load.due.extend(started + n / rate for n in range(released, until))
        released = until
        load.feed()
        await asyncio.sleep(TICK_SECONDS)
