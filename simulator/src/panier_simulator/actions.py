"""What customers do, put as the messages that Meta would post for it. Pure.

The body of an action is the simple JSON of the simulator's own API (its README has the table); the answer
is a webhook message without `from`, `id` and `timestamp`, which the exchange adds.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from panier_simulator.shops import Number, Shop
from panier_simulator.store import Message

Json = dict[str, Any]
MOST_OF_ONE = 99  # units of one item in a WhatsApp cart
MEDIA_TYPES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/ogg; codecs=opus",
    "document": "application/pdf",
    "sticker": "image/webp",
}


class ImpossibleError(Exception):
    """A phone could not do this: the action is wrong, not the simulator."""


@dataclass(frozen=True)
class Chat:
    """What the action happens in; `shown` looks up the shop's last messages on the phone, newest first."""

    shop: Shop
    number: Number
    shown: Callable[[], list[Message]]


def compose(action: Json, chat: Chat) -> Json:
    """The message of an action. Raises ImpossibleError for what a phone would not let a customer do."""
    names = [name for name in ACTIONS if name in action]
    if len(names) != 1 and names != ["cart", "text"]:
        raise ImpossibleError(f"An action is one of {', '.join(ACTIONS)} (a cart may have a text)")
    message = ACTIONS[names[0]](action, chat)
    if "reply_to" in action:
        message["context"] = {"from": chat.number.digits, "id": str(action["reply_to"])}
    return message


def _cart(action: Json, chat: Chat) -> Json:
    lines = action["cart"]
    if not isinstance(lines, list) or not lines:
        raise ImpossibleError("A cart is a list of {sku, quantity}, at least one")
    items = [_cart_line(line, chat.shop, bool(action.get("force"))) for line in lines]
    order = {
        "catalog_id": str(action.get("catalog_id", chat.shop.catalog_id)),
        "text": str(action.get("text", "")),
        "product_items": items,
    }
    return {"type": "order", "order": order}


def _cart_line(line: Any, shop: Shop, force: bool) -> Json:
    """At the price the phone shows, or at the `price` of the line: one seen before it changed."""
    if not isinstance(line, dict) or "sku" not in line:
        raise ImpossibleError("A line of a cart is {sku, quantity}")
    sku, quantity = str(line["sku"]), line.get("quantity", 1)
    product = shop.products.get(sku)
    if not force:
        if product is None:
            raise ImpossibleError(f"The catalogue has no product {sku!r}")
        if not isinstance(quantity, int) or not 1 <= quantity <= MOST_OF_ONE:
            raise ImpossibleError(f"A quantity is a whole number from 1 to {MOST_OF_ONE}")
    shown = product.price if product else 0
    price = line.get("price", int(shown) if shown == int(shown) else float(shown))
    currency = line.get("currency", product.currency if product else shop.currency)
    return {
        "product_retailer_id": sku,
        "quantity": quantity,
        "item_price": price,
        "currency": currency,
    }


def _press(action: Json, chat: Chat) -> Json:
    """A reply button or a row of a list that the shop has sent; the newest one with this id."""
    reply_id, wamid = str(action["press"]), action.get("message")
    for message in chat.shown():
        if wamid is not None and message.wamid != wamid:
            continue
        if found := pressable(message.body).get(reply_id):
            context = {"from": chat.number.digits, "id": message.wamid}
            return {**found, "context": context}
    if not action.get("force"):
        raise ImpossibleError(f"No message on this phone has {reply_id!r} to press")
    reply = {"id": reply_id, "title": str(action.get("title", reply_id))}
    return {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": reply}}


def pressable(body: Json) -> dict[str, Json]:
    """By id, what each button or row of a message of the shop's sends when it is pressed."""
    if body.get("type") == "template":
        return _template_buttons(body["template"])
    action = body.get("interactive", {}).get("action", {})
    found: dict[str, Json] = {}
    for button in action.get("buttons", []):
        reply = {"type": "button_reply", "button_reply": dict(button["reply"])}
        found[button["reply"]["id"]] = {"type": "interactive", "interactive": reply}
    for section in action.get("sections", []):
        for row in section.get("rows", []):
            reply = {"type": "list_reply", "list_reply": dict(row)}
            found[row["id"]] = {"type": "interactive", "interactive": reply}
    return found


def _template_buttons(template: Json) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for component in template.get("components") or []:
        if component.get("type") == "button" and component.get("sub_type") == "quick_reply":
            for parameter in component.get("parameters") or []:
                payload = str(parameter.get("payload", parameter.get("text", "")))
                found[payload] = {"type": "button", "button": {"payload": payload, "text": payload}}
    return found


def _text(action: Json, chat: Chat) -> Json:
    return {"type": "text", "text": {"body": _words(action["text"])}}


def _words(text: Any) -> str:
    if not isinstance(text, str) or not text:
        raise ImpossibleError("A text is at least one character")
    return text


def _location(action: Json, chat: Chat) -> Json:
    location = action["location"]
    if not isinstance(location, dict) or not {"latitude", "longitude"} <= location.keys():
        raise ImpossibleError("A location is {latitude, longitude, name?, address?}")
    message: Json = {"type": "location", "location": location}
    newest = next(iter(chat.shown()), None)
    if newest is not None and newest.kind == "location_request_message":
        message["context"] = {"from": chat.number.digits, "id": newest.wamid}
    return message


def _product_question(action: Json, chat: Chat) -> Json:
    question = action["product_question"]
    if not isinstance(question, dict) or "sku" not in question:
        raise ImpossibleError("A question about a product is {sku, text}")
    sku = str(question["sku"])
    if sku not in chat.shop.products and not action.get("force"):
        raise ImpossibleError(f"The catalogue has no product {sku!r}")
    referred = {"catalog_id": chat.shop.catalog_id, "product_retailer_id": sku}
    context = {"from": chat.number.digits, "id": "wamid.product_inquiry", "referred_product": referred}
    return {"type": "text", "text": {"body": _words(question.get("text"))}, "context": context}


@dataclass(frozen=True)
class File:
    """A file that a customer sends: `document` is its part of the message, still without an id."""

    document: Json
    content: bytes

    @property
    def sha256(self) -> str:
        return base64.b64encode(hashlib.sha256(self.content).digest()).decode()


def taken_file(message: Json) -> File | None:
    """The file of a message that has one without an id: its content is given in base64, or made up."""
    document = message.get(str(message.get("type")))
    if message.get("type") not in MEDIA_TYPES or not isinstance(document, dict) or "id" in document:
        return None
    try:
        content = base64.b64decode(document.pop("content", ""), validate=True)
    except (ValueError, TypeError):
        raise ImpossibleError("The content of a file is base64") from None
    return File(document, content or b"simulated " + str(message["type"]).encode())


def _media(action: Json, chat: Chat) -> Json:
    media = action["media"]
    kind = media.get("kind", "image") if isinstance(media, dict) else None
    if kind not in MEDIA_TYPES:
        raise ImpossibleError(f"Media is {{kind, content?, caption?, filename?}}, kind one of {', '.join(MEDIA_TYPES)}")
    content = {key: value for key, value in media.items() if key != "kind"}
    content.setdefault("mime_type", MEDIA_TYPES[kind])
    return {"type": kind, kind: content}


def _reaction(action: Json, chat: Chat) -> Json:
    reaction = action["reaction"]
    if not isinstance(reaction, dict) or "message_id" not in reaction:
        raise ImpossibleError("A reaction is {message_id, emoji}")
    return {"type": "reaction", "reaction": reaction}


def _contact(action: Json, chat: Chat) -> Json:
    if not isinstance(action["contacts"], list):
        raise ImpossibleError("Contacts are a list, as Meta posts them")
    return {"type": "contacts", "contacts": action["contacts"]}


def _raw(action: Json, chat: Chat) -> Json:
    if not isinstance(action["raw"], dict):
        raise ImpossibleError("A raw message is a JSON object, as Meta posts it")
    return dict(action["raw"])


def number_changed(name: str, before: str | None, after: str | None) -> Json:
    """What a system message says of a customer with another phone number."""
    body = f"User {name} changed from {before} to {after}"
    return {"body": body, "wa_id": after, "type": "user_changed_number"}


def user_id_changed(name: str, before: str, after: str) -> Json:
    """What a system message says of a customer with another user id."""
    body = f"User {name} changed from {before} to {after}"
    return {"body": body, "user_id": after, "type": "user_changed_user_id"}


ACTIONS: dict[str, Callable[[Json, Chat], Json]] = {
    "cart": _cart,
    "press": _press,
    "text": _text,
    "location": _location,
    "product_question": _product_question,
    "media": _media,
    "reaction": _reaction,
    "contacts": _contact,
    "raw": _raw,
}
