"""The Graph API's routes for files, numbers and accounts. Answers are Meta's."""

import email.parser
import email.policy
import hashlib
import hmac
import secrets
from typing import Any

from fastapi import APIRouter, Request, Response

from panier_simulator import media
from panier_simulator.entrance import Entrance, read_json, unknown
from panier_simulator.errors import GraphError
from panier_simulator.exchange import Exchange
from panier_simulator.numbers import HIGH_THROUGHPUT
from panier_simulator.shops import Number, Shop

Json = dict[str, Any]
_ADDRESS_KEY = secrets.token_bytes(32)


def object_routes(routes: APIRouter, exchange: Exchange, entrance: Entrance) -> None:
    _commerce_routes(routes, exchange, entrance)
    _number_routes(routes, exchange, entrance)
    _file_routes(routes, exchange, entrance)
    _any_object_routes(routes, exchange, entrance)


def _commerce_routes(routes: APIRouter, exchange: Exchange, entrance: Entrance) -> None:
    @routes.get("/{version}/{phone_number_id}/whatsapp_commerce_settings")
    async def show_commerce(version: str, phone_number_id: str, request: Request) -> Json:
        entrance.number(request, phone_number_id)
        cart, catalog = exchange.store.commerce(phone_number_id)
        return {"data": [{"is_cart_enabled": cart, "is_catalog_visible": catalog, "id": phone_number_id}]}

    @routes.post("/{version}/{phone_number_id}/whatsapp_commerce_settings")
    async def set_commerce(version: str, phone_number_id: str, request: Request) -> Json:
        entrance.number(request, phone_number_id)
        given: Json = dict(request.query_params)
        if await request.body():
            given |= await read_json(request)
        cart, catalog = exchange.store.commerce(phone_number_id)
        cart = _switch(given, "is_cart_enabled", cart)
        catalog = _switch(given, "is_catalog_visible", catalog)
        exchange.store.set_commerce(phone_number_id, cart, catalog)
        return {"success": True}


def _number_routes(routes: APIRouter, exchange: Exchange, entrance: Entrance) -> None:
    @routes.post("/{version}/{phone_number_id}/register")
    async def register(version: str, phone_number_id: str, request: Request) -> Json:
        shop, number = entrance.number(request, phone_number_id)
        body = await read_json(request)
        pin = body.get("pin") if isinstance(body, dict) else None
        if not isinstance(pin, str) or not (len(pin) == 6 and pin.isdigit()):
            raise GraphError(131009, "pin is six digits")
        return _set_registered(exchange, shop, number, True)

    @routes.post("/{version}/{phone_number_id}/deregister")
    async def deregister(version: str, phone_number_id: str, request: Request) -> Json:
        shop, number = entrance.number(request, phone_number_id)
        return _set_registered(exchange, shop, number, False)

    @routes.get("/{version}/{account_id}/phone_numbers")
    async def phone_numbers(version: str, account_id: str, request: Request) -> Json:
        shop = entrance.account(request, account_id)
        return {"data": [_number(exchange, shop, number) for number in shop.numbers]}


def _file_routes(routes: APIRouter, exchange: Exchange, entrance: Entrance) -> None:
    @routes.post("/{version}/{phone_number_id}/media")
    async def upload(version: str, phone_number_id: str, request: Request) -> Json:
        entrance.number(request, phone_number_id)
        if int(request.headers.get("content-length", 0)) > media.MOST_BYTES + media.MB:
            raise GraphError(131053, "The file is larger than 100 MB")
        mime_type, content = _file(request.headers.get("content-type", ""), await request.body())
        media.check_upload(mime_type, len(content))
        media_id = str(secrets.randbelow(9 * 10**14) + 10**14)
        exchange.store.add_media(media_id, phone_number_id, mime_type, content, exchange.clock.now())
        await exchange.store.settled()
        return {"id": media_id}

    @routes.get("/{version}/{object_id}/content")
    async def content(version: str, object_id: str, request: Request, until: int = 0, hash: str = "") -> Response:
        entrance.token(request)
        file = _present_file(exchange, object_id)
        if file is None or until < exchange.clock.now() or not hmac.compare_digest(hash, _seal(object_id, until)):
            raise GraphError(131052, "The address of a file is good for five minutes: ask for it again by its id")
        # A file to keep, never a page of this origin, whatever type its sender gave it.
        headers = {"Content-Disposition": "attachment"}
        return Response(file[1], media_type=file[0], headers=headers)


def _any_object_routes(routes: APIRouter, exchange: Exchange, entrance: Entrance) -> None:
    """Calls on an object itself: a file, a number, an account, a template."""

    @routes.get("/{version}/{object_id}")
    async def show(version: str, object_id: str, request: Request) -> Json:
        entrance.token(request)
        if found := exchange.shops.by_number.get(object_id):
            return _number(exchange, *found)
        if shop := exchange.business.shop_of(object_id):
            return {"id": object_id, "name": shop.name, "currency": shop.currency, "timezone_id": "1"}
        if template := exchange.business.template(object_id):
            return template
        file = _present_file(exchange, object_id)
        if file is None:
            raise unknown(object_id)
        until = int(exchange.clock.now() + media.ADDRESS_SECONDS)
        address = request.url_for("content", version=version, object_id=object_id)
        return {
            "messaging_product": "whatsapp",
            "url": f"{address.include_query_params(until=until, hash=_seal(object_id, until))}",
            "mime_type": file[0],
            "sha256": hashlib.sha256(file[1]).hexdigest(),
            "file_size": len(file[1]),
            "id": object_id,
        }

    @routes.delete("/{version}/{object_id}")
    async def remove(version: str, object_id: str, request: Request) -> Json:
        entrance.token(request)
        if not exchange.store.remove_media(object_id):
            raise unknown(object_id)
        return {"success": True}


def _set_registered(exchange: Exchange, shop: Shop, number: Number, registered: bool) -> Json:
    state = exchange.business.number(number.phone_number_id)
    exchange.business.change_number(shop, number, state.model_copy(update={"registered": registered}))
    return {"success": True}


def _number(exchange: Exchange, shop: Shop, number: Number) -> Json:
    state = exchange.business.number(number.phone_number_id)
    limit = exchange.limit_of(number.phone_number_id)
    return {
        "id": number.phone_number_id,
        "verified_name": shop.name,
        "display_phone_number": number.display,
        "quality_rating": state.quality,
        "status": "CONNECTED" if state.registered and state.trouble is None else "DISCONNECTED",
        "throughput": {"level": "HIGH" if not limit or limit >= HIGH_THROUGHPUT else "STANDARD"},
    }


def _present_file(exchange: Exchange, media_id: str) -> tuple[str, bytes] | None:
    """Type and content of a file that is not too old."""
    found = exchange.store.media(media_id)
    if found is None:
        return None
    mime_type, content, at, inbound = found
    good_for = media.INBOUND_SECONDS if inbound else media.UPLOADED_SECONDS
    return (mime_type, content) if exchange.clock.now() - at <= good_for else None


def _seal(media_id: str, until: int) -> str:
    return hmac.new(_ADDRESS_KEY, f"{media_id}/{until}".encode(), hashlib.sha256).hexdigest()[:32]


def _switch(given: Json, name: str, present: bool) -> bool:
    match given.get(name, present):
        case bool() as value:
            return value
        case "true" | "false" as word:
            return bool(word == "true")
        case _:
            raise GraphError(100, f"Param {name} must be a boolean")


def _file(content_type: str, body: bytes) -> tuple[str, bytes]:
    """The type and bytes of the part named `file` of a form."""
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    form = parser.parsebytes(b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body)
    parts = {
        part.get_param("name", header="content-disposition"): part
        for part in (form.iter_parts() if form.is_multipart() else ())
    }
    if "messaging_product" not in parts:
        raise GraphError(100, "(#100) The parameter messaging_product is required.")
    if "file" not in parts:
        raise GraphError(100, "(#100) The parameter file is required.")
    content = parts["file"].get_payload(decode=True)
    assert isinstance(content, bytes)
    return parts["file"].get_content_type(), content
