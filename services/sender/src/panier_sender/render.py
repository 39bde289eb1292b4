"""A channel-neutral message as the JSON that the Cloud API's `POST /{number}/messages` takes. Pure.

One case a kind: a new class in `contracts.outbound.Message` fails the type check here until its case is
written. Shapes: Meta's OpenAPI file v23.0 and the pages on each kind.
"""

import hashlib
from typing import Any, assert_never

import msgspec
from panier_common.contracts import outbound as o
from panier_common.contracts.events import Customer
from panier_common.identity import is_user_id

Json = dict[str, Any]

UPLOAD = "upload:"
"""Stands before a file's digest where the id of its upload will be."""

_OFFSET = 100  # Meta's only one: amounts of BRL and INR, both of two decimals
_encode = msgspec.json.Encoder().encode


def request_body(message: o.Message, customer: Customer, conversation: str, callback: str) -> bytes:
    """The whole body of the call. `callback` comes back in every status of the message."""
    return _encode(
        {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            **addressed(customer, conversation),
            **content(message),
            "biz_opaque_callback_data": callback,
        }
    )


def addressed(customer: Customer, conversation: str) -> dict[str, str]:
    """`to` with `+` when the phone number is known, else `recipient`; Meta prefers `to`, so never both."""
    if customer.wa_id:
        return {"to": f"+{customer.wa_id.lstrip('+')}"}
    if customer.user_id:
        return {"recipient": customer.user_id}
    known = conversation.partition(":")[2]
    return {"recipient": known} if is_user_id(known) else {"to": f"+{known.lstrip('+')}"}


def digest_of(content: bytes) -> str:
    """A file's name of its own: the same content has the same."""
    return hashlib.sha256(content).hexdigest()


def read_body(wamid: str, *, typing: bool) -> bytes:
    """Marks the customer's message read and, if wanted, shows that an answer is being written."""
    body: Json = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
    if typing:
        body["typing_indicator"] = {"type": "text"}
    return _encode(body)


def content(message: o.Message) -> Json:
    """`type` and the part of that type."""
    match message:
        case o.TextMessage():
            return {"type": "text", "text": {"preview_url": message.preview_url, "body": message.body}}
        case o.TemplateMessage():
            return {"type": "template", "template": _template(message)}
        case o.ReactionMessage():
            return {"type": "reaction", "reaction": {"message_id": message.wamid, "emoji": message.emoji}}
        case o.MediaMessage():
            return {"type": message.media, message.media: _media(message)}
        case _:
            return {"type": "interactive", "interactive": _interactive(message)}


Interactive = (
    o.ButtonsMessage
    | o.ListMessage
    | o.ProductMessage
    | o.ProductListMessage
    | o.CatalogueMessage
    | o.CarouselMessage
    | o.LinkMessage
    | o.LocationRequestMessage
    | o.OrderDetailsMessage
    | o.OrderStatusMessage
)


def _interactive(message: Interactive) -> Json:
    match message:
        case o.ButtonsMessage():
            buttons = [{"type": "reply", "reply": {"id": b.id, "title": b.title}} for b in message.buttons]
            return _framed("button", message, {"buttons": buttons})
        case o.ListMessage():
            sections = [_section(section) for section in message.sections]
            return _framed("list", message, {"button": message.button, "sections": sections})
        case o.ProductMessage():
            return _framed("product", message, {"catalog_id": message.catalog_id, "product_retailer_id": message.sku})
        case o.ProductListMessage():
            products = [_products(section) for section in message.sections]
            return _framed("product_list", message, {"catalog_id": message.catalog_id, "sections": products})
        case o.CatalogueMessage():
            return _framed("catalog_message", message, _catalogue_action(message))
        case o.CarouselMessage():
            return _framed("carousel", message, {"cards": _cards(message)})
        case o.LinkMessage():
            parameters = {"display_text": message.title, "url": str(message.url)}
            return _framed("cta_url", message, {"name": "cta_url", "parameters": parameters})
        case o.LocationRequestMessage():
            return _framed("location_request_message", message, {"name": "send_location"})
        case o.OrderDetailsMessage():
            return _framed("order_details", message, {"name": "review_and_pay", "parameters": _details(message)})
        case o.OrderStatusMessage():
            return _framed("order_status", message, {"name": "review_order", "parameters": _status(message)})
        case _:
            assert_never(message)


def _framed(kind: str, message: Interactive, action: Json) -> Json:
    """An interactive message: the action with whatever header, body and footer the message has."""
    interactive: Json = {"type": kind}
    header = getattr(message, "header", None)
    footer = getattr(message, "footer", None)
    if header:
        interactive["header"] = {"type": "text", "text": header}
    if message.body:
        interactive["body"] = {"text": message.body}
    if footer:
        interactive["footer"] = {"text": footer}
    return {**interactive, "action": action}


def _section(section: o.Section) -> Json:
    rows = []
    for row in section.rows:
        rendered = {"id": row.id, "title": row.title}
        if row.description:
            rendered["description"] = row.description
        rows.append(rendered)
    return {"title": section.title, "rows": rows} if section.title else {"rows": rows}


def _products(section: o.ProductSection) -> Json:
    return {"title": section.title, "product_items": [{"product_retailer_id": sku} for sku in section.skus]}


def _catalogue_action(message: o.CatalogueMessage) -> Json:
    action: Json = {"name": "catalog_message"}
    if message.thumbnail_sku:
        action["parameters"] = {"thumbnail_product_retailer_id": message.thumbnail_sku}
    return action


def _cards(message: o.CarouselMessage) -> list[Json]:
    return [
        {
            "card_index": index,
            "type": "product",
            "action": {"product_retailer_id": sku, "catalog_id": message.catalog_id},
        }
        for index, sku in enumerate(message.skus)
    ]


def _amount(minor: int) -> Json:
    return {"value": minor, "offset": _OFFSET}


def _details(message: o.OrderDetailsMessage) -> Json:
    order: Json = {
        "status": "pending",
        "items": [
            {
                "retailer_id": line.sku,
                "name": line.name,
                "amount": _amount(line.unit_minor),
                "quantity": line.quantity,
            }
            for line in message.lines
        ],
        "subtotal": _amount(sum(line.unit_minor * line.quantity for line in message.lines)),
        "tax": _amount(0),  # required; the shop's prices include it
    }
    if message.shipping_minor:
        order["shipping"] = _amount(message.shipping_minor)
    return {
        "reference_id": message.reference_id,
        "type": "physical-goods",
        "payment_type": message.payment_type,
        **({"payment_settings": list(message.payment_settings)} if message.payment_settings else {}),
        "currency": message.currency,
        "total_amount": _amount(message.total_minor),
        "order": order,
    }


def _status(message: o.OrderStatusMessage) -> Json:
    order: Json = {"status": message.status}
    if message.description:
        order["description"] = message.description
    return {"reference_id": message.reference_id, "order": order}


def _template(message: o.TemplateMessage) -> Json:
    template: Json = {"name": message.name, "language": {"code": message.language}}
    if message.body:
        texts = [{"type": "text", "text": text} for text in message.body]
        template["components"] = [{"type": "body", "parameters": texts}]
    return template


def _media(message: o.MediaMessage) -> Json:
    if message.content is not None:
        media = {"id": UPLOAD + digest_of(message.content)}
    else:
        media = {"id": message.media_id} if message.media_id else {"link": str(message.link)}
    if message.caption:
        media["caption"] = message.caption
    if message.filename:
        media["filename"] = message.filename
    return media
