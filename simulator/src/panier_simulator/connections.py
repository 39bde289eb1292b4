"""One connection of an HTTP door: how long a request may take to arrive, how large it may be, how many there may be.

uvicorn waits for ever for the rest of a request, and for a client that does not read its answer. Here every
connection looks at its own clock a few times while it lives; a request that comes in one piece pays for two readings
of the clock. Knows nothing of what is behind the door. The simulator has the same file, for it shares no code with us.
"""

import asyncio
import socket
from dataclasses import dataclass
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# How long the rest of a refused request is read and thrown away, so that its sender gets to see the answer.
LINGER_SECONDS = 1.0
LOOKS = 4  # at each time-out: how late it may be noticed is a quarter of it

# libuv accepts one connection of each socket in a turn of its loop. Where turns are long, those who knock would wait.
ACCEPTED_AT_ONCE = 16
BACKLOG = 2048


@dataclass(frozen=True)
class Bounds:
    """What one door grants: to each request, and in connections to all the world."""

    connections: int
    body_bytes: int
    request_seconds: float = 30.0
    reply_seconds: float = 30.0
    head_bytes: int = 32 * 1024
    headers: int = 100


class _TooLarge(Exception):  # noqa: N818 - a condition of the request
    """Ends the parser's work on a request that was refused."""


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection within bounds; `bounded` makes the class of a door."""

    bounds: Bounds
    rests_since: float | None = None  # set by a connection that sets no timer between two requests, as uvicorn does

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reading_since: float | None = self.loop.time()
        self._stuck_since: float | None = None
        self._refused = False
        self._in_head, self._bytes = True, 0
        self._every = min(self.bounds.request_seconds, self.bounds.reply_seconds) / LOOKS
        self._next_look = self.loop.call_later(self._every, self._look)
        if len(self.connections) > self.bounds.connections:
            self._refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        self._next_look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._reading_since is None:
            self._reading_since = self.loop.time()
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes > self.bounds.head_bytes:
            if self._in_head:
                self._refuse(431)
            elif self._bytes > self.bounds.head_bytes + self.bounds.body_bytes:
                self._refuse(413)

    def on_headers_complete(self) -> None:
        self._in_head = False
        # What arrived with the head may be its body; only then the head itself is measured.
        if len(self.headers) > self.bounds.headers or (
            self._bytes > self.bounds.head_bytes
            and len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self.bounds.head_bytes
        ):
            self._refuse(431)
            raise _TooLarge
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._reading_since = None
        self._in_head, self._bytes = True, 0

    def on_message_begin(self) -> None:
        self._reading_since = self.loop.time()
        super().on_message_begin()

    def pause_writing(self) -> None:
        self._stuck_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stuck_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Also called when one of our own refusals has ended the parser's work, and then answers nothing more."""
        self._refuse(400)

    def _look(self) -> None:
        """End what has taken too long: a request on its way in, an answer that nobody reads."""
        now = self.loop.time()
        self._next_look = self.loop.call_later(self._every, self._look)
        if self._stuck_since is not None and now - self._stuck_since >= self.bounds.reply_seconds:
            self.transport.abort()
        elif self.transport.is_closing():
            self._stuck_since = self._stuck_since or now  # closed, and the last of the answer is not taken
        elif self._refused:
            return
        elif self._reading_since is not None and now - self._reading_since >= self.bounds.request_seconds:
            self._refuse(408)
        elif self._rests(now):
            self.transport.close()

    def _rests(self, now: float) -> bool:
        """Whether no request has come for as long as uvicorn waits for one, and no timer of its own looks for that."""
        if self.rests_since is None or self._reading_since is not None or self.timeout_keep_alive_task is not None:
            return False
        answering = self.cycle is not None and not self.cycle.response_complete
        return not answering and now - self.rests_since >= self.timeout_keep_alive

    def _refuse(self, status: int) -> None:
        """Answer by ourselves, if nothing was answered yet, and end the connection a little later."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._unset_keepalive_if_required()
        cycle = self.cycle
        busy = cycle is not None and not cycle.response_complete
        if busy and not cycle.more_body:
            cycle.keep_alive = False  # the request before this one is still being answered: that is the last answer
            return
        if not (busy and cycle.response_started):
            self.transport.write(self._answer(status))
        if busy:
            cycle.disconnected = True  # whoever waits for the rest is told that it will not come
            cycle.message_event.set()
        self.flow.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self._end)

    def _end(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _answer(self, status: int) -> bytes:
        code = {503: "full", 431: "head_too_large", 413: "body_too_large", 408: "too_slow"}.get(status, "not_http")
        title = HTTPStatus(status).phrase
        body = f'{{"type":"urn:panier:problem:{code}","title":"{title}","status":{status},"code":"{code}"}}'.encode()
        lines = [STATUS_LINE[status]]
        lines += [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
        lines.append(b"content-type: application/problem+json\r\nconnection: close\r\n")
        lines.append(b"content-length: %d\r\n\r\n%s" % (len(body), body))
        return b"".join(lines)


def bounded(bounds: Bounds, connection: type[HttpToolsProtocol] = HttpToolsProtocol) -> type[BoundedConnection]:
    """The connections of one door, as uvicorn's `http` wants them; `connection` is what stands within the bounds."""
    return type("BoundedConnection", (BoundedConnection, connection), {"bounds": bounds})


def listen(host: str, port: int) -> list[socket.socket]:
    """One socket that listens there, as often as connections are to be accepted at once; port 0 takes a free one.

    Raises OSError when it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    return [listener, *(listener.dup() for _ in range(ACCEPTED_AT_ONCE - 1))]
