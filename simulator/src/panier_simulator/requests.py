"""What may be posted to `/messages`: Meta's rules on shape, lengths and counts. Pure; knows no shop.

`judge` answers the request with its type filled in, or raises the GraphError that Meta would answer.
What depends on state (recipients, catalogues, the 24-hour window) is decided in `exchange.py`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from panier_simulator import interactive, orders
from panier_simulator.errors import GraphError
from panier_simulator.interactive import Media, Part, Upto40, Upto512, Upto1000, Upto4096

USER_ID = re.compile(r"^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$")
PHONE = re.compile(r"^\+?[0-9 ()-]{5,24}$")


class Text(Part):
    body: Upto4096
    preview_url: bool | None = None


class Location(Part):
    latitude: float | str
    longitude: float | str
    name: Upto1000 | None = None
    address: Upto1000 | None = None


class Reaction(Part):
    message_id: Upto512
    emoji: str


class ContactName(BaseModel):
    formatted_name: Upto1000


class Contact(BaseModel):
    name: ContactName


class Language(Part):
    code: Upto40
    policy: Literal["deterministic"] | None = None


class Component(BaseModel):
    type: Literal["header", "body", "button", "carousel", "limited_time_offer", "footer"]
    sub_type: str | None = None
    index: int | str | None = None
    parameters: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def button_is_placed(self) -> "Component":
        if self.type == "button" and (self.sub_type is None or self.index is None):
            raise ValueError("A button component needs sub_type and index")
        return self


class Template(BaseModel):
    name: Upto512
    language: Language
    components: list[Component] | None = None


class Context(Part):
    message_id: Upto512


class Typing(Part):
    type: Literal["text"]


class Receipt(Part):
    messaging_product: Literal["whatsapp"]
    status: Literal["read"]
    message_id: Upto512
    typing_indicator: Typing | None = None


class Envelope(BaseModel):
    """The keys around a message, whatever its kind; the others are compared with `ENVELOPE_KEYS`."""

    messaging_product: Literal["whatsapp"]
    recipient_type: Literal["individual"] = "individual"
    to: Annotated[str, StringConstraints(pattern=PHONE)] | None = None
    recipient: Annotated[str, StringConstraints(pattern=USER_ID)] | None = None
    context: Context | None = None
    biz_opaque_callback_data: Annotated[str, StringConstraints(max_length=512)] | None = None
    recipient_identity_key_hash: str | None = None


KINDS: dict[str, type[BaseModel]] = {
    "text": Text,
    "image": Media,
    "video": Media,
    "audio": Media,
    "document": Media,
    "sticker": Media,
    "location": Location,
    "reaction": Reaction,
    "template": Template,
}
INTERACTIVE: dict[str, type[BaseModel]] = {
    "button": interactive.ButtonMessage,
    "list": interactive.ListMessage,
    "cta_url": interactive.LinkMessage,
    "product": interactive.ProductMessage,
    "product_list": interactive.ProductListMessage,
    "catalog_message": interactive.CatalogMessage,
    "carousel": interactive.CarouselMessage,
    "flow": interactive.FlowMessage,
    "location_request_message": interactive.LocationRequest,
    "contact_request": interactive.ContactRequest,
    "address_message": interactive.AddressMessage,
    "order_details": orders.OrderDetails,
    "order_status": orders.OrderStatus,
}
TYPES = {*KINDS, "interactive", "contacts"}
# Kinds that only customers send, or that WhatsApp knows and the Cloud API does not take.
UNSUPPORTED = {"button", "ephemeral", "hsm", "order", "poll", "request_welcome", "system", "unsupported"}
ENVELOPE_KEYS = {*Envelope.model_fields, "type"}
MARKETING_KEYS = {"product_policy", "message_activity_sharing"}

Json = dict[str, Any]


class Contacts(BaseModel):
    contacts: list[Contact] = Field(min_length=1, max_length=257)


def judge(body: Any, *, marketing: bool = False) -> Json:
    """The request when Meta would take it: a message or a read receipt. Raises GraphError otherwise."""
    if not isinstance(body, dict):
        raise GraphError(100, "The body of the request is not a JSON object")
    if "status" in body:
        _check(Receipt, body, ())
        return body
    kind = body.get("type", next((key for key in body if key in TYPES), "text"))
    if not isinstance(kind, str):
        raise GraphError(100, "Param type must be a string")
    if kind in UNSUPPORTED:
        raise GraphError(131051, f"Messages of type {kind} cannot be sent")
    if kind not in TYPES:
        raise GraphError(100, f"Param type must be one of {{{', '.join(sorted(TYPES)).upper()}}}")
    if marketing and kind != "template":
        raise GraphError(100, "Only templates can be sent as marketing messages")
    allowed = ENVELOPE_KEYS | {kind} | (MARKETING_KEYS if marketing else set())
    for key in body:
        if key not in allowed:
            raise GraphError(100, f'Unexpected key "{key}" on the request')
    _check(Envelope, body, ())
    if body.get("to") is None and body.get("recipient") is None:
        raise GraphError(131008, "The parameter to is required")
    if kind not in body:
        raise GraphError(131008, f"Parameter '{kind}' is mandatory for type '{kind}'")
    _check_content(kind, body[kind])
    return {**body, "type": kind}


def _check_content(kind: str, content: Any) -> None:
    if kind == "contacts":
        _check(Contacts, {"contacts": content}, ())
    elif kind == "interactive":
        sort = content.get("type") if isinstance(content, dict) else None
        if not isinstance(sort, str) or sort not in INTERACTIVE:
            raise GraphError(100, f"Param interactive['type'] must be one of {{{', '.join(INTERACTIVE)}}}")
        _check(INTERACTIVE[sort], content, ("interactive",))
    else:
        _check(KINDS[kind], content, (kind,))


def _check(model: type[BaseModel], content: Any, path: tuple[str, ...]) -> None:
    try:
        model.model_validate(content)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False)[0], path) from None


def _refusal(problem: Mapping[str, Any], path: tuple[str, ...]) -> GraphError:
    name = _name((*path, *problem["loc"]))
    context = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return GraphError(131008, f"The parameter {name} is required.")
        case "extra_forbidden":
            return GraphError(100, f'Unexpected key on param "{name}".')
        case "string_too_long" if path == ("text",):
            return GraphError(100, f"Param {name} must be at most {context['max_length']} characters long.")
        case "string_too_long":
            return GraphError(131009, f"{name} length invalid. Max length: {context['max_length']}")
        case "string_too_short":
            return GraphError(131009, f"{name} length invalid. Min length: {context['min_length']}")
        case "too_long" | "too_short":
            bound = context.get("max_length", context.get("min_length"))
            word = "most" if problem["type"] == "too_long" else "least"
            return GraphError(131009, f"{name} must hold at {word} {bound}; it holds {context['actual_length']}")
        case "string_pattern_mismatch" if name == "to":
            return GraphError(131009, "Param to is not a valid phone number")
        case _:
            return GraphError(131009, f"{name}: {problem['msg'].removeprefix('Value error, ')}")


def _name(path: tuple[str | int, ...]) -> str:
    """A path as Meta writes it: `interactive['action']['buttons'][0]`."""
    if not path:
        return "body"
    first, *rest = path
    return str(first) + "".join(f"[{part}]" if isinstance(part, int) else f"['{part}']" for part in rest)


def digits(phone: str) -> str:
    """A phone number as a WhatsApp id: its digits alone."""
    return "".join(character for character in phone if character.isdigit())
