"""The Graph API's routes under `/graph`: messages, media, commerce settings, numbers. Answers are Meta's."""

import email.parser
import email.policy
import hashlib
import hmac
import json
import secrets
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from panier_simulator.errors import GraphError
from panier_simulator.exchange import Exchange
from panier_simulator.requests import judge
from panier_simulator.shops import Number, Shop
from panier_simulator.store import Message

Json = dict[str, Any]
MOST_MEDIA_BYTES = 100 * 1024 * 1024


def graph_routes(exchange: Exchange, check_tokens: bool) -> APIRouter:
    routes = APIRouter(prefix="/graph")
    _number_routes(routes, exchange, check_tokens)
    _object_routes(routes, exchange)
    return routes


def _number_routes(routes: APIRouter, exchange: Exchange, check_tokens: bool) -> None:
    """Calls below a phone number id."""

    def enter(request: Request, phone_number_id: str) -> tuple[Shop, Number]:
        """The number called, after its access token was looked at."""
        found = exchange.shops.by_number.get(phone_number_id)
        _check_token(request, found[1] if found and check_tokens else None)
        if found is None:
            raise _unknown(phone_number_id)
        return found

    @routes.post("/{version}/{phone_number_id}/messages")
    @routes.post("/{version}/{phone_number_id}/marketing_messages")
    async def send(version: str, phone_number_id: str, request: Request) -> Json:
        shop, number = enter(request, phone_number_id)
        body = judge(await _json(request), marketing=request.url.path.endswith("/marketing_messages"))
        if "status" in body:
            exchange.read_by_shop(number, body["message_id"], "typing_indicator" in body)
            return {"success": True}
        return _accepted(exchange, body, exchange.accept(shop, number, body))

    @routes.post("/{version}/{phone_number_id}/media")
    async def upload(version: str, phone_number_id: str, request: Request) -> Json:
        enter(request, phone_number_id)
        mime_type, content = _file(request.headers.get("content-type", ""), await request.body())
        media_id = str(secrets.randbelow(9 * 10**14) + 10**14)
        exchange.store.add_media(media_id, phone_number_id, mime_type, content)
        return {"id": media_id}

    @routes.get("/{version}/{phone_number_id}/whatsapp_commerce_settings")
    async def show_commerce(version: str, phone_number_id: str, request: Request) -> Json:
        enter(request, phone_number_id)
        cart, catalog = exchange.store.commerce(phone_number_id)
        return {"data": [{"is_cart_enabled": cart, "is_catalog_visible": catalog, "id": phone_number_id}]}

    @routes.post("/{version}/{phone_number_id}/whatsapp_commerce_settings")
    async def set_commerce(version: str, phone_number_id: str, request: Request) -> Json:
        enter(request, phone_number_id)
        given: Json = dict(request.query_params)
        if await request.body():
            given |= await _json(request)
        cart, catalog = exchange.store.commerce(phone_number_id)
        cart = _switch(given, "is_cart_enabled", cart)
        catalog = _switch(given, "is_catalog_visible", catalog)
        exchange.store.set_commerce(phone_number_id, cart, catalog)
        return {"success": True}


def _object_routes(routes: APIRouter, exchange: Exchange) -> None:
    """Calls on an object itself: a file, a number."""

    @routes.get("/{version}/{object_id}/content")
    async def content(version: str, object_id: str, request: Request) -> Response:
        _check_token(request, None)
        media = exchange.store.media(object_id)
        if media is None:
            raise _unknown(object_id)
        # A file to keep, never a page of this origin, whatever type its sender gave it.
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(media[1], media_type=media[0], headers=headers)

    @routes.get("/{version}/{object_id}")
    async def show(version: str, object_id: str, request: Request) -> Json:
        _check_token(request, None)
        if found := exchange.shops.by_number.get(object_id):
            shop, number = found
            return {
                "id": object_id,
                "verified_name": shop.name,
                "display_phone_number": number.display,
                "quality_rating": "GREEN",
            }
        media = exchange.store.media(object_id)
        if media is None:
            raise _unknown(object_id)
        return {
            "messaging_product": "whatsapp",
            "url": f"{request.url_for('content', version=version, object_id=object_id)}",
            "mime_type": media[0],
            "sha256": hashlib.sha256(media[1]).hexdigest(),
            "file_size": len(media[1]),
            "id": object_id,
        }

    @routes.delete("/{version}/{object_id}")
    async def remove(version: str, object_id: str, request: Request) -> Json:
        _check_token(request, None)
        if not exchange.store.remove_media(object_id):
            raise _unknown(object_id)
        return {"success": True}


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GraphError)
    return JSONResponse(error.document(), error.http_status)


def _accepted(exchange: Exchange, body: Json, message: Message) -> Json:
    customer = exchange.store.customer(message.customer)
    assert customer is not None
    if body.get("to") is not None:
        contact = {"input": body["to"], "wa_id": customer.wa_id}
    else:
        contact = {"input": body["recipient"], "user_id": customer.user_id}
    accepted: Json = {"id": message.wamid}
    if body["type"] == "template":
        accepted["message_status"] = "accepted"
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [accepted]}


def _check_token(request: Request, number: Number | None) -> None:
    """Any bearer token will do, unless a number is given whose own token it must be."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise GraphError(190, "An access token is required", message="Invalid OAuth access token.")
    if number and not hmac.compare_digest((number.token or "").encode(), token.strip().encode()):
        raise GraphError(190, "The access token is not this number's", message="Invalid OAuth access token.")


def _unknown(object_id: str) -> GraphError:
    text = (
        f"Unsupported request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing"
        " permissions, or does not support this operation."
    )
    return GraphError(100, text, subcode=33, message=text)


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        raise GraphError(100, "The body of the request is not JSON") from None


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
    if len(body) > MOST_MEDIA_BYTES:
        raise GraphError(131053, "The file is larger than 100 MB")
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    form = parser.parsebytes(b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body)
    for part in form.iter_parts() if form.is_multipart() else ():
        if part.get_param("name", header="content-disposition") == "file":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            return part.get_content_type(), content
    raise GraphError(100, "(#100) The parameter file is required.")
