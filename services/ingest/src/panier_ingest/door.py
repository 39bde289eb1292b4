"""`POST /webhooks/whatsapp`, in front of the FastAPI application: as raw ASGI, and for connections that need none.

The one busy path: a route of the framework would cost more than all the work behind it. Answers exactly what
CONTRACT promises, in its order: 413, 401, 400, then 200 or 503.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Final, TypeAlias

import msgspec
import structlog
from opentelemetry.trace import SpanKind
from panier_common import conventions, telemetry
from panier_common.contracts.events import MessageReceived
from panier_common.endpoints import took
from panier_common.failpoints import fail_point
from panier_common.shops import ShopDirectory
from panier_common.spans import Shape, Span
from panier_common.topics import TOPIC_OF
from panier_common.web import API_HEADERS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from panier_ingest import metrics
from panier_ingest.body import Full, Gone, Room, TooLarge, read_body
from panier_ingest.envelope import NotAnObject, Update, updates_of
from panier_ingest.identity_directory import IdentityDirectory
from panier_ingest.publisher import NotAcknowledged, Publisher
from panier_ingest.record import Record, record_of
from panier_ingest.signature import is_signed, keys_of
from panier_ingest.told import Told

PATH: Final = "/webhooks/whatsapp"
SIGNATURE: Final = b"x-hub-signature-256"

log = structlog.get_logger()

Answer: TypeAlias = Callable[[int], None]
_HEADERS: Final = [(name.lower().encode(), value.encode()) for name, value in API_HEADERS.items()]


class Door:
    """Takes the webhook's POST; everything else goes to the application behind."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        secrets: Sequence[bytes],
        shops: ShopDirectory,
        identities: IdentityDirectory,
        publisher: Publisher,
        room: Room,
        retry_after_seconds: int,
    ) -> None:
        self._app = app
        self._keys = keys_of(secrets)
        self._shops = shops
        self._identities = identities
        self._told = Told()
        self._publisher = publisher
        self._room = room
        self._retry_after = str(retry_after_seconds).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != PATH:
            await self._app(scope, receive, _with_headers(send))
            return
        began, headers = time.monotonic(), dict(scope["headers"])
        span, close = begin_span(), False
        try:
            with self._room.place() as place:
                status = await self._kept(await read_body(receive, place), headers.get(SIGNATURE, b""), span)
        except Full:
            status = answered(503, span)
        except TooLarge as error:
            status, close = answered(413, span), not error.read_on
        except Gone:
            took(PATH, "POST", answered(499, span), time.monotonic() - began)
            return
        took(PATH, "POST", status, time.monotonic() - began)
        await self._reply(status, close, send)

    async def _kept(self, body: bytes, signature: bytes, span: Span | None) -> int:
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.judge(body, signature, span, lambda status: None if told.done() else told.set_result(status))
        return await told

    def take(self, body: bytes, signature: bytes, answer: Answer) -> None:
        """A whole webhook from whoever has read it; `answer` gets the status, at once or once the log has it."""
        size, span, began = len(body), begin_span(), time.monotonic()
        if not self._room.take(size):
            took(PATH, "POST", answered(503, span), time.monotonic() - began)
            answer(503)
            return

        def leave(status: int) -> None:
            self._room.give(size)
            took(PATH, "POST", status, time.monotonic() - began)
            answer(status)

        try:
            self.judge(body, signature, span, leave)
        except Exception:
            trace = telemetry.traceparent_of(span) if span is not None else None
            log.exception("a webhook met a fault of ours", traceparent=trace)
            leave(answered(500, span))

    def judge(self, body: bytes, signature: bytes, span: Span | None, answer: Answer) -> None:
        """Refuse the webhook or hand its updates to the log."""
        if not is_signed(body, signature, self._keys):
            answer(answered(401, span))
        elif not self._shops.loaded or not self._identities.loaded:
            answer(answered(503, span))  # whose messages these are is not known yet
        else:
            try:
                links = self._identities.links
                updates = self._told.untold(updates_of(body, self._shops.by_number, datetime.now(UTC), links))
            except NotAnObject:
                answer(answered(400, span))
            else:
                self._publish(updates, span, answer)

    def _publish(self, updates: list[Update], span: Span | None, answer: Answer) -> None:
        parent = telemetry.traceparent_of(span) if span is not None else None
        spans = [send_span(update, parent) for update in updates] if parent is not None else []

        def settled(why: str | None) -> None:
            for sent in spans:
                sent.end()
            if why is not None:
                answer(answered(503, span))
                return
            fail_point("before_answer", "ingest", len(updates))
            for update in updates:
                metrics.update_kept(update.event)
            self._told.take(updates)
            answer(answered(200, span))

        try:
            self._publisher.submit(self._records(updates, spans), settled)
        except NotAcknowledged as error:
            settled(str(error))

    def _records(self, updates: Sequence[Update], spans: Sequence[Span]) -> list[Record]:
        records = []
        for n, update in enumerate(updates):
            event = update.event
            shop = self._shops.by_number.get(event.phone_number_id) if isinstance(event, MessageReceived) else None
            parent = telemetry.traceparent_of(spans[n]) if spans else None
            records.append(record_of(event, update.id, update.at, shop, parent))
        return records

    async def _reply(self, status: int, close: bool, send: Send) -> None:
        headers, body = self.reply(status)
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def reply(self, status: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """The headers and the body of an answer."""
        if status == 200:
            return [(b"content-length", b"0")], b""
        body = problem(status)
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            *_HEADERS,
        ]
        if status == 503:
            headers.append((b"retry-after", self._retry_after))
        return headers, body


def begin_span() -> Span | None:
    """Of a webhook, when its trace is kept."""
    return server_span(PATH) if telemetry.tracing() else None


def answered(status: int, span: Span | None) -> int:
    """Count the answer and end its span; the status."""
    metrics.webhook_answered(status)
    end_span(span, status)
    return status


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *_HEADERS]
        await send(message)

    return sent


_DETAILS: Final = {
    400: ("not-an-object", "The body is not a JSON object."),
    401: ("bad-signature", "The signature is missing or wrong."),
    404: ("not-found", "Nothing is received here."),
    500: ("failed", "The request met a fault of ours; send it again."),
    413: ("too-large", "The body is larger than 3145728 bytes."),
    503: ("not-acknowledged", "The log did not acknowledge in time; send it again."),
}


def problem(status: int, wrong: str = "") -> bytes:
    """An RFC 9457 document for one of the door's refusals; `wrong` says which part of a JSON body it is about."""
    code, detail = ("bad-notification", wrong) if wrong else _DETAILS[status]
    return msgspec.json.encode(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "code": code,
            "detail": detail,
            "hint": "",
        }
    )


def server_span(path: str) -> Span | None:
    """The root of a webhook's trace; it knows the route and nothing of what was sent."""
    return telemetry.start_root(_webhook(path))


@lru_cache(maxsize=8)
def _webhook(path: str) -> Shape:
    return Shape(f"POST {path}", SpanKind.SERVER, {conventions.HTTP_METHOD: "POST", conventions.HTTP_ROUTE: path})


def end_span(span: Span | None, status: int) -> None:
    if span is not None:
        span.set_attribute(conventions.HTTP_STATUS, status)
        span.end()


def send_span(update: Update, traceparent: str) -> Span:
    """One record on its way, under the webhook's span."""
    event = update.event
    return telemetry.start_send(TOPIC_OF[type(event)].name, event.ce_type, update.id, traceparent, update.about)
