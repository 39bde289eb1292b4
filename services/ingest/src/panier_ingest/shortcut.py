"""The webhook as it nearly always is, small and alone on its connection, without ASGI between uvicorn and the door.

ASGI's share of such a request (a scope, a task, a queue of messages, two answers) costs more than all of the door's own
work. Only a shortcut: whatever is unusual takes the ordinary way, whose answers are the same (a test compares them).
Stands between uvicorn's connection and `BoundedConnection`, and knows nothing of what a webhook says.
"""

from typing import TYPE_CHECKING, ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from panier_ingest.body import SMALL_BYTES, declared
from panier_ingest.door import PATH, SIGNATURE, Door

_URL: Final = PATH.encode()
_LENGTH: Final = b"content-length"


class _Nobody:
    """Waits for nothing: uvicorn wakes the task of a request, and here there is none."""

    def set(self) -> None: ...


class _Webhook:
    """One request, where uvicorn keeps the request that it works on; with as much of that as others look at."""

    __slots__ = (
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
        "signature",
    )
    message_event: Final = _Nobody()

    def __init__(self, signature: bytes) -> None:
        self.signature = signature
        self.body = b""
        self.keep_alive = self.more_body = True
        self.response_started = self.response_complete = self.disconnected = False


class Shortcut(HttpToolsProtocol):
    """A connection whose application is a `Door`."""

    # The usual answer, and the headers that it has: uvicorn makes new ones every second.
    _last: ClassVar[tuple[object, bytes]] = (None, b"")
    # Since when there is nothing to do: `BoundedConnection` looks at it and spares a timer for each request.
    rests_since: float | None = None

    def on_message_begin(self) -> None:
        """What uvicorn does, but for the scope of ASGI, which is made when somebody is to see it."""
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        headers = dict(self.headers) if self.url == _URL else {}
        if _LENGTH in headers and self._is_usual(headers):
            self.cycle = cast("RequestResponseCycle", _Webhook(headers.get(SIGNATURE, b"")))
            return
        url, given, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += given  # the scope's own list
        super().on_headers_complete()

    def _is_usual(self, headers: dict[bytes, bytes]) -> bool:
        parser = self.parser
        # Kept alive without a word about it is HTTP/1.1.
        silent = b"connection" not in headers
        return (
            (self.cycle is None or self.cycle.response_complete)
            and declared(headers[_LENGTH]) <= SMALL_BYTES
            and parser.get_method() == b"POST"
            and (silent or (parser.get_http_version() == "1.1" and not parser.should_upgrade()))
            and parser.should_keep_alive()
            and not self.expect_100_continue
            and not self.flow.write_paused
        )

    def on_message_complete(self) -> None:
        webhook = self.cycle
        if not isinstance(webhook, _Webhook):
            super().on_message_complete()
        elif not webhook.response_complete:
            webhook.more_body = False
            door = cast(Door, self.app)
            door.take(webhook.body, webhook.signature, lambda status: self._answered(webhook, status))

    def _answered(self, webhook: _Webhook, status: int) -> None:
        if webhook.response_complete:
            return
        webhook.response_complete = True
        if webhook.disconnected or self.transport.is_closing():
            return
        usual = status == 200 and webhook.keep_alive
        self.transport.write(self._taken() if usual else self._written(status, webhook.keep_alive))
        if not webhook.keep_alive:
            self.transport.close()
        if usual and not self.pipeline:
            self.server_state.total_requests += 1
            self.rests_since = self.loop.time()
        else:
            self.on_response_complete()

    def _taken(self) -> bytes:
        headers, written = Shortcut._last
        if headers is not self.server_state.default_headers:
            written = self._written(200, keep_alive=True)
            Shortcut._last = self.server_state.default_headers, written
        return written

    def _written(self, status: int, keep_alive: bool) -> bytes:
        lines = [STATUS_LINE[status]]
        headers, body = cast(Door, self.app).reply(status)
        for name, value in (*self.server_state.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        lines += (b"\r\n" if keep_alive else b"connection: close\r\n\r\n", body)
        return b"".join(lines)


if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
