"""What a customer can send: one Struct a kind of message, discriminated by `kind`.

Every field that Meta may leave out is optional. What could not be read as expected is still whole in
`MessageReceived.raw`; a kind nobody has seen is `Unknown`. Sources: the Cloud API's webhook reference and
business-scoped user ids (May 2026).
"""

from typing import TypeAlias

import msgspec


class Kind(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """The parent of all kinds: the tag `kind` is the class's name in lower case."""


class Text(Kind, frozen=True, tag="text"):
    body: str


class Reply(Kind, frozen=True, tag="reply"):
    """A pressed button, a picked row or a template's quick reply; `id` is ours (routing.py), or foreign."""

    id: str
    title: str = ""


class OrderItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a WhatsApp cart. `price` is the decimal text the phone showed, never what we charge.

    `quantity` is None when what came is no whole number.
    """

    sku: str
    quantity: int | None = None
    price: str | None = None
    currency: str | None = None


class Order(Kind, frozen=True, tag="order"):
    """A WhatsApp cart sent to the shop."""

    catalog_id: str
    items: tuple[OrderItem, ...] = ()
    text: str = ""


class Location(Kind, frozen=True, tag="location"):
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


class Form(Kind, frozen=True, tag="form"):
    """A finished flow or address form: `response` is Meta's JSON string as it came."""

    name: str = ""
    response: str = ""


class Media(Kind, frozen=True, tag="media"):
    """`media` is image, video, audio, document or sticker."""

    media: str
    media_id: str = ""
    mime_type: str = ""
    caption: str = ""
    filename: str = ""


class Contacts(Kind, frozen=True, tag="contacts"):
    count: int = 0


class Reaction(Kind, frozen=True, tag="reaction"):
    """`emoji` is empty when the reaction was taken back."""

    message_id: str
    emoji: str = ""


class Edit(Kind, frozen=True, tag="edit"):
    message_id: str = ""


class Revoke(Kind, frozen=True, tag="revoke"):
    message_id: str = ""


class System(Kind, frozen=True, tag="system"):
    """A change of number or user id, as `change` (Meta's `system.type`) names it."""

    change: str
    wa_id: str | None = None
    user_id: str | None = None


class Unsupported(Kind, frozen=True, tag="unsupported"):
    """A kind that Meta does not hand over; `errors` are its codes."""

    errors: tuple[int, ...] = ()


# Meta's type for a chat that was opened for the first time, where it still says so: it is greeted.
WELCOME = "request_welcome"


class Unknown(Kind, frozen=True, tag="unknown"):
    """A kind nobody has seen yet; `type` is Meta's word for it."""

    type: str = ""


Content: TypeAlias = (
    Text
    | Reply
    | Order
    | Location
    | Form
    | Media
    | Contacts
    | Reaction
    | Edit
    | Revoke
    | System
    | Unsupported
    | Unknown
)


class ReferredProduct(msgspec.Struct, frozen=True):
    """The product a question is about (`context.referred_product`)."""

    catalog_id: str
    sku: str


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the message answers: `message_id` is the wamid of ours it replies to."""

    message_id: str | None = None
    product: ReferredProduct | None = None
    forwarded: bool = False
    ad: str | None = None
