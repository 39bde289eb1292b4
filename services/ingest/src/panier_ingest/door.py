"""`POST /webhooks/whatsapp` as a raw ASGI function in front of the FastAPI application.

The one busy path: a route of the framework would cost more than all the work behind it. Answers exactly what
CONTRACT promises, in its order: 413, 401, 400, then 200 or 503.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import msgspec
from opentelemetry.trace import Span, SpanKind
from panier_common import telemetry
from panier_common.contracts.events import MessageReceived
from panier_common.failpoints import fail_point
from panier_common.shops import ShopDirectory
from panier_common.topics import TOPIC_OF
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from panier_ingest import metrics
from panier_ingest.body import Gone, Room, TooLarge, declared, read_body
from panier_ingest.envelope import NotAnObject, Update, updates_of
from panier_ingest.identity_directory import IdentityDirectory
from panier_ingest.publisher import NotAcknowledged, Publisher
from panier_ingest.record import Record, record_of
from panier_ingest.signature import is_signed, keys_of
from panier_ingest.told import Told

PATH: Final = "/webhooks/whatsapp"
SIGNATURE: Final = b"x-hub-signature-256"

_EMPTY: Final[Message] = {"type": "http.response.body", "body": b""}
_OK: Final[Message] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-length", b"0")],
}


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
            await self._app(scope, receive, send)
            return
        span = server_span(PATH) if telemetry.tracing() else None
        close = False
        try:
            status = await self._answer(scope, receive, telemetry.traceparent_of(span) if span else None)
        except TooLarge as error:
            status, close = 413, not error.read_on
        except Gone:
            status = 499
        metrics.webhook_answered(status)
        end_span(span, status)
        if status == 200:
            await send(_OK)
            await send(_EMPTY)
        elif status != 499:
            await self._refuse(status, close, send)

    async def _answer(self, scope: Scope, receive: Receive, traceparent: str | None) -> int:
        """The status of the answer. Raises TooLarge and Gone."""
        headers = dict(scope["headers"])
        size = declared(headers.get(b"content-length"))
        if not self._room.take(size):
            return 503
        try:
            body = await read_body(receive)
            if not is_signed(body, headers.get(SIGNATURE, b""), self._keys):
                return 401
            return await self._keep(body, traceparent)
        finally:
            self._room.give(size)

    async def _keep(self, body: bytes, traceparent: str | None) -> int:
        if not self._shops.loaded or not self._identities.loaded:
            return 503  # whose messages these are is not known yet
        try:
            updates = self._told.untold(
                updates_of(body, self._shops.by_number, datetime.now(UTC), self._identities.links)
            )
        except NotAnObject:
            return 400
        spans = [send_span(update, traceparent) for update in updates] if traceparent is not None else []
        try:
            await self._publisher.publish(self._records(updates, spans))
        except NotAcknowledged:
            return 503
        finally:
            for span in spans:
                span.end()
        fail_point("before_answer", "ingest", len(updates))
        for update in updates:
            metrics.update_kept(update.event)
        self._told.take(updates)
        return 200

    def _records(self, updates: Sequence[Update], spans: Sequence[Span]) -> list[Record]:
        records = []
        for n, update in enumerate(updates):
            event = update.event
            shop = self._shops.by_number.get(event.phone_number_id) if isinstance(event, MessageReceived) else None
            parent = telemetry.traceparent_of(spans[n]) if spans else None
            records.append(record_of(event, update.id, update.at, shop, parent))
        return records

    async def _refuse(self, status: int, close: bool, send: Send) -> None:
        body = problem(status)
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
        ]
        if status == 503:
            headers.append((b"retry-after", self._retry_after))
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


_DETAILS: Final = {
    400: ("not-an-object", "The body is not a JSON object."),
    401: ("bad-signature", "The signature is missing or wrong."),
    404: ("not-found", "Nothing is received here."),
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


def server_span(path: str) -> Span:
    """The root of a webhook's trace; it knows the route and nothing of what was sent."""
    attributes = {"http.request.method": "POST", "http.route": path}
    return telemetry.start_span(f"POST {path}", SpanKind.SERVER, None, attributes)


def end_span(span: Span | None, status: int) -> None:
    if span is not None:
        span.set_attribute("http.response.status_code", status)
        span.end()


def send_span(update: Update, traceparent: str) -> Span:
    """One record on its way, under the webhook's span."""
    event = update.event
    return telemetry.start_send(TOPIC_OF[type(event)].name, event.ce_type, update.id, traceparent)
