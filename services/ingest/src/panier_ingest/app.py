"""The public port's application: the handshake, payment notifications, and the door in front of both.

Nothing else is reachable here: no documentation, no probes, no internal API.
"""

import hmac
from collections.abc import Mapping
from typing import Annotated

import msgspec
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.telemetry import TelemetryConfig
from panier_common import telemetry
from panier_common.contracts.events import PaymentNotified
from panier_common.event import inbound_id
from panier_common.shops import ShopDirectory
from panier_common.spans import Span
from panier_common.web import Timed
from panier_payments import PROVIDERS, BadNotification, BadSignature

from panier_ingest import metrics
from panier_ingest.body import Full, Gone, Place, Room, TooLarge, read_body
from panier_ingest.door import PATH, Door, end_span, problem, send_span, server_span
from panier_ingest.envelope import Update
from panier_ingest.identity_directory import IdentityDirectory
from panier_ingest.publisher import NotAcknowledged, Publisher
from panier_ingest.record import record_of
from panier_ingest.repair import repaired
from panier_ingest.settings import IngestSettings

PAYMENTS_PATH = "/webhooks/payments/{provider}"


def create_app(
    settings: IngestSettings, shops: ShopDirectory, identities: IdentityDirectory, publisher: Publisher
) -> Door:
    """The application of the public port. The door stands before the framework, not among its middleware:
    what the framework does around each request costs as much as the door's own work.
    """
    # The framework's own spans would carry the handshake's token, and come on top of ours.
    quiet = TelemetryConfig(auto_configure=False, tracing=False, metrics=False, logs=False)
    app = FastAPI(title="Panier ingest", docs_url=None, redoc_url=None, openapi_url=None, telemetry=quiet)
    app.add_middleware(Timed)
    room = Room(settings.waiting_bytes, settings.waiting_requests)
    _add_handshake(app, settings.meta_verify_token.get_secret_value())
    payments = Payments(
        {"simulated": settings.simulated_payment_secret.get_secret_value()},
        shops,
        publisher,
        room,
        settings.retry_after_seconds,
    )
    app.add_api_route(PAYMENTS_PATH, payments.take, methods=["POST"])
    return Door(
        app,
        secrets=settings.app_secrets,
        shops=shops,
        identities=identities,
        publisher=publisher,
        room=room,
        retry_after_seconds=settings.retry_after_seconds,
    )


def _add_handshake(app: FastAPI, verify_token: str) -> None:
    @app.get(PATH)
    async def shake_hands(
        mode: Annotated[str, Query(alias="hub.mode")] = "",
        challenge: Annotated[str, Query(alias="hub.challenge")] = "",
        token: Annotated[str, Query(alias="hub.verify_token")] = "",
    ) -> Response:
        """Prove to WhatsApp that this address is ours."""
        known = hmac.compare_digest(token.encode(), verify_token.encode())
        if mode != "subscribe" or not known or not challenge:
            return PlainTextResponse("Forbidden", 403)
        return PlainTextResponse(challenge)


class Payments:
    """What payment providers tell us, published as it came; who sent it is judged by the provider's own rule."""

    def __init__(
        self,
        secrets: Mapping[str, str],
        shops: ShopDirectory,
        publisher: Publisher,
        room: Room,
        retry_after_seconds: int,
    ) -> None:
        self._secrets = secrets
        self._shops = shops
        self._publisher = publisher
        self._room = room
        self._retry_after = str(retry_after_seconds)

    async def take(self, provider: str, request: Request) -> Response:
        """A notification: 200 once published."""
        span = server_span(PAYMENTS_PATH)
        headers, wrong = {}, ""
        try:
            with self._room.place() as place:
                status = await self._answer(provider, request, place, span)
        except Full:
            status = 503
        except TooLarge as error:
            status, headers = 413, {} if error.read_on else {"connection": "close"}
        except BadNotification as error:
            status, wrong = 400, str(error)
        except Gone:
            status = 400  # read by nobody
        metrics.payment_answered(status)
        end_span(span, status)
        if status == 200:
            return Response()
        if status == 503:
            headers["retry-after"] = self._retry_after
        return Response(problem(status, wrong), status, headers, "application/problem+json")

    async def _answer(self, provider: str, request: Request, place: Place, span: Span | None) -> int:
        if not self._shops.loaded:
            return 503
        if not self._is_used(provider):
            return 404
        raw = await read_body(request.receive, place)
        try:
            event = PROVIDERS[provider].verify_notification(raw, request.headers, self._secrets.get(provider, ""))
        except BadSignature:
            return 401
        except RecursionError:
            return 400
        return await self._keep(msgspec.structs.replace(event, raw=msgspec.Raw(repaired(raw))), span)

    def _is_used(self, provider: str) -> bool:
        known = PROVIDERS.get(provider)
        used = any(shop.payment_provider == provider for shop in self._shops.by_id.values())
        return known is not None and known.takes_payments and used

    async def _keep(self, event: PaymentNotified, span: Span | None) -> int:
        """The same notification again has the same id; checkout knows it by the provider's."""
        update = Update(event, inbound_id(event.provider, event.notification_id, "payment"), event.at)
        send = send_span(update, telemetry.traceparent_of(span)) if span is not None else None
        parent = telemetry.traceparent_of(send) if send is not None else None
        try:
            await self._publisher.publish([record_of(event, update.id, update.at, None, parent)])
        except NotAcknowledged:
            return 503
        finally:
            if send is not None:
                send.end()
        metrics.update_kept(event)
        return 200
