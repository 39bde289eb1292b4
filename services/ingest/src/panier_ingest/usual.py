"""A webhook as it nearly always is, by its shape: decoded without a dictionary for each of its objects. Pure.

What has another shape is read field by field elsewhere; what has this one would be read the same there.
"""

from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType
from panier_common.contracts.events import Customer
from panier_common.identity import is_user_id

from panier_ingest.customer import Sender
from panier_ingest.fields import ID_LIMIT, NAME_LIMIT, word

NOT_READABLE: Final = (msgspec.DecodeError, RecursionError, ValueError)


class Metadata(msgspec.Struct):
    phone_number_id: str


class Value(msgspec.Struct, forbid_unknown_fields=True):
    metadata: Metadata
    messaging_product: str = ""
    contacts: list[Raw] = []
    messages: list[Raw] = []
    statuses: list[Raw] = []


class Change(msgspec.Struct, forbid_unknown_fields=True):
    value: Value
    field: Literal["messages"]


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    changes: list[Change]
    id: str = ""
    time: int = 0


class Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing but messages and statuses of shops' numbers."""

    entry: list[Entry]
    object: str = ""


class Words(msgspec.Struct):
    body: str


class Message(msgspec.Struct):
    """What every message has, of one that was said to the shop alone by somebody who shows a user id."""

    id: str
    timestamp: str
    type: str
    from_user_id: str
    wa_id: str = msgspec.field(name="from", default="")
    text: Words | UnsetType = UNSET
    context: Any = UNSET
    referral: Any = UNSET
    group_id: UnsetType = UNSET
    from_parent_user_id: UnsetType = UNSET

    @property
    def words(self) -> str | None:
        """The text, when it is nothing but that: no answer, no forward, not from an advertisement."""
        alone = self.type == "text" and self.context is UNSET and self.referral is UNSET
        return self.text.body if alone and self.text is not UNSET else None


class Profile(msgspec.Struct):
    name: str = ""


class Contact(msgspec.Struct):
    user_id: str
    profile: Profile
    wa_id: str = ""
    parent_user_id: str | None = None


_ENVELOPE: Final = msgspec.json.Decoder(Envelope)
_MESSAGE: Final = msgspec.json.Decoder(Message)
_CONTACT: Final = msgspec.json.Decoder(Contact)


def envelope_of(body: bytes) -> Envelope | None:
    try:
        return _ENVELOPE.decode(body)
    except NOT_READABLE:
        return None


def message_of(raw: Raw, contact: Raw) -> tuple[Message, Sender] | None:
    """A message and its sender, whose ids are the same on the message and in the contact that came with it."""
    try:
        message, shown = _MESSAGE.decode(raw), _CONTACT.decode(contact)
    except NOT_READABLE:
        return None
    user_id, wa_id = message.from_user_id, message.wa_id
    if user_id != shown.user_id or wa_id != shown.wa_id or not is_user_id(user_id):
        return None
    if wa_id and not (wa_id.isdecimal() and wa_id.isascii() and len(wa_id) <= ID_LIMIT):
        return None
    customer = Customer(user_id, wa_id or None, shown.profile.name[:NAME_LIMIT])
    parent = word(shown.parent_user_id) if shown.parent_user_id is not None else None  # nearly never
    return message, Sender(customer, parent)
