"""Meta's kinds of messages into ours: one function a kind. Pure; must not know envelopes, topics or the clock.

A message that is not shaped as its type promises is `Unknown`: whole in the event's `raw`, answered by a person.
"""

from collections.abc import Callable
from typing import Any

from panier_common.contracts import inbound as m
from panier_common.contracts.inbound import Content, Context, ReferredProduct

from panier_ingest.fields import Fields, decimal, degrees, identifier, integer, part, price, text

MEDIA = frozenset({"image", "video", "audio", "document", "sticker"})
UNNAMED = "unnamed"


def content_of(message: Fields) -> Content:
    """What the customer sent."""
    kind = identifier(message, "type") or UNNAMED
    read = _KINDS.get(kind)
    return (read(message) if read is not None else None) or m.Unknown(kind)


def context_of(message: Fields) -> Context | None:
    """What the message answers or comes from: a message of ours, a product, a forward, an advertisement."""
    if "context" not in message and "referral" not in message:
        return None  # nearly always
    given = part(message, "context") or {}
    context = Context(
        message_id=identifier(given, "id"),
        product=_product(part(given, "referred_product")),
        forwarded=given.get("forwarded") is True or given.get("frequently_forwarded") is True,
        ad=_ad(part(message, "referral")),
    )
    return context if context != Context() else None


def _product(referred: Fields | None) -> ReferredProduct | None:
    sku = identifier(referred, "product_retailer_id") if referred is not None else None
    if referred is None or sku is None:
        return None
    return ReferredProduct(identifier(referred, "catalog_id") or "", sku)


def _ad(referral: Fields | None) -> str | None:
    if not referral:
        return None
    return identifier(referral, "source_id") or identifier(referral, "source_url") or UNNAMED


def _text(message: Fields) -> Content | None:
    body = text(part(message, "text") or {}, "body")
    return None if body is None else m.Text(body)


def _interactive(message: Fields) -> Content | None:
    given = part(message, "interactive") or {}
    match text(given, "type"):
        case "button_reply" | "list_reply" as kind:
            reply = part(given, kind) or {}
            chosen = text(reply, "id")
            return None if chosen is None else m.Reply(chosen, text(reply, "title") or "")
        case "nfm_reply":
            form = part(given, "nfm_reply")
            if form is None:
                return None
            return m.Form(text(form, "name") or "", text(form, "response_json") or "")
        case _:
            inner = identifier(given, "type")
            return None if inner is None else m.Unknown(inner)


def _template_button(message: Fields) -> Content | None:
    button = part(message, "button") or {}
    title = text(button, "text") or ""
    chosen = text(button, "payload") or title
    return m.Reply(chosen, title) if chosen else None


def _order(message: Fields) -> Content | None:
    order = part(message, "order")
    if order is None:
        return None
    given = order.get("product_items", [])
    items = [_item(item) for item in given] if isinstance(given, list) else [None]
    known = tuple(item for item in items if item is not None)
    if len(known) < len(items):
        return None  # a line that cannot be read is not to be left out in silence
    return m.Order(identifier(order, "catalog_id") or "", known, text(order, "text") or "")


def _item(given: Any) -> m.OrderItem | None:
    sku = identifier(given, "product_retailer_id") if isinstance(given, dict) else None
    if sku is None:
        return None
    return m.OrderItem(
        sku=sku,
        quantity=integer(given.get("quantity")),
        price=price(given.get("item_price")),
        currency=text(given, "currency"),
    )


def _location(message: Fields) -> Content | None:
    place = part(message, "location") or {}
    latitude, longitude = degrees(place.get("latitude"), 90), degrees(place.get("longitude"), 180)
    if latitude is None or longitude is None:
        return None
    return m.Location(latitude, longitude, text(place, "name") or "", text(place, "address") or "")


def _media(message: Fields) -> Content | None:
    kind = identifier(message, "type") or UNNAMED
    media = part(message, kind)
    if media is None:
        return None
    return m.Media(
        media=kind,
        media_id=identifier(media, "id") or "",
        mime_type=text(media, "mime_type") or "",
        caption=text(media, "caption") or "",
        filename=text(media, "filename") or "",
    )


def _contacts(message: Fields) -> Content | None:
    shared = message.get("contacts")
    return m.Contacts(len(shared)) if isinstance(shared, list) else None


def _reaction(message: Fields) -> Content | None:
    reaction = part(message, "reaction") or {}
    to = identifier(reaction, "message_id")
    return None if to is None else m.Reaction(to, text(reaction, "emoji") or "")


def _edit(message: Fields) -> Content | None:
    edit = part(message, "edit")
    return None if edit is None else m.Edit(identifier(edit, "original_message_id") or "")


def _revoke(message: Fields) -> Content | None:
    revoke = part(message, "revoke")
    return None if revoke is None else m.Revoke(identifier(revoke, "original_message_id") or "")


def _system(message: Fields) -> Content | None:
    system = part(message, "system") or {}
    change = identifier(system, "type")
    if change is None:
        return None
    # `new_wa_id` is what the field was called before 2021; some bridges still send it.
    wa_id = identifier(system, "wa_id") or identifier(system, "new_wa_id")
    return m.System(change, wa_id, identifier(system, "user_id"))


def _unsupported(message: Fields) -> Content | None:
    errors = message.get("errors", [])
    if not isinstance(errors, list):
        return None
    return m.Unsupported(tuple(code for code in map(error_code, errors) if code is not None))


def error_code(error: Any) -> int | None:
    """The `code` of one of Meta's errors, wherever they appear."""
    code = decimal(error.get("code")) if isinstance(error, dict) else None
    return integer(code)


_KINDS: dict[str, Callable[[Fields], Content | None]] = {
    "text": _text,
    "interactive": _interactive,
    "button": _template_button,
    "order": _order,
    "location": _location,
    "contacts": _contacts,
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
    "system": _system,
    "unsupported": _unsupported,
    **dict.fromkeys(MEDIA, _media),
}
