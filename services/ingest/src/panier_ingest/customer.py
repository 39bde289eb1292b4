"""Who sent a message: the sender's ids on the message itself, then what `contacts` adds. Pure.

Facts (business-scoped user ids, May 2026): `from` may be missing, or hold a user id; system messages have no
contacts; a user id unlike any documented one may turn up and stands for the customer only when nothing else does.
"""

from collections.abc import Sequence

import msgspec
from panier_common.contracts.events import Customer
from panier_common.identity import is_user_id

from panier_ingest.fields import NAME_LIMIT, Fields, identifier, part, text


class Contact(msgspec.Struct, frozen=True):
    """One entry of `contacts`, as far as it could be read."""

    user_id: str | None
    wa_id: str | None
    parent_user_id: str | None
    name: str


class Sender(msgspec.Struct, frozen=True):
    """A message's customer and the parent of its user id."""

    customer: Customer
    parent_user_id: str | None


_SPELLING = dict.fromkeys(map(ord, "+ -()"))
_NOBODY = Contact(None, None, None, "")


def ids_of(user_id: str | None, wa_id: str | None) -> tuple[str | None, str | None]:
    """The pair sorted by what each id is, wherever it was found: (user id, WhatsApp id in digits)."""
    if wa_id is not None and user_id is not None and wa_id.isdecimal() and wa_id.isascii() and is_user_id(user_id):
        return user_id, wa_id  # nearly always
    phone = _digits(wa_id) if wa_id is not None else None
    if phone is not None and not phone.isdigit() and is_user_id(phone):
        user_id, phone = (user_id if user_id and is_user_id(user_id) else phone), None
    if phone is not None and user_id is not None and not is_user_id(user_id):
        user_id = None  # nothing can be sent to it, and the phone number is at hand
    return user_id, phone


def _digits(wa_id: str) -> str:
    """`+33 6 12…` as digits; anything that is no phone number stays as it is."""
    if wa_id.isascii() and wa_id.isdigit():
        return wa_id
    plain = wa_id.translate(_SPELLING)
    return plain if plain.isascii() and plain.isdigit() else wa_id


def contact_of(fields: Fields) -> Contact:
    user_id, wa_id = ids_of(identifier(fields, "user_id"), identifier(fields, "wa_id"))
    profile = part(fields, "profile")
    name = (text(profile, "name") or "")[:NAME_LIMIT] if profile else ""
    return Contact(user_id, wa_id, identifier(fields, "parent_user_id"), name)


def lone_contact(messages: Sequence[Fields], contacts: Sequence[Contact]) -> Contact | None:
    """The contact of all these messages: there is one, and they are all from one sender."""
    if len(contacts) != 1:
        return None
    if len(messages) == 1:
        return contacts[0]
    senders = {(identifier(m, "from_user_id"), identifier(m, "from")) for m in messages}
    return contacts[0] if len(senders) == 1 else None


def sender_of(message: Fields, contacts: Sequence[Contact], lone: Contact | None) -> Sender | None:
    """The message's sender, or None when neither the message nor its contact has an id.

    A contact belongs to the message when an id agrees. So does the lone one, whose phone number may be spelled
    differently, unless its user id says otherwise.
    """
    user_id, wa_id = identifier(message, "from_user_id"), identifier(message, "from")
    if lone is None or user_id is None or wa_id is None or (user_id, wa_id) != (lone.user_id, lone.wa_id):
        user_id, wa_id = ids_of(user_id, wa_id)  # nearly never: the contact has them, sorted
    contact = _contact_for(user_id, wa_id, contacts, lone)
    if user_id is None or wa_id is None:
        user_id, wa_id = ids_of(user_id or contact.user_id, wa_id or contact.wa_id)
    if user_id is None and wa_id is None:
        return None
    parent = identifier(message, "from_parent_user_id") or contact.parent_user_id
    return Sender(Customer(user_id=user_id, wa_id=wa_id, name=contact.name), parent)


def _contact_for(user_id: str | None, wa_id: str | None, contacts: Sequence[Contact], lone: Contact | None) -> Contact:
    for contact in contacts:
        if (user_id is not None and contact.user_id == user_id) or (
            wa_id is not None and contact.wa_id == wa_id and _agree(user_id, contact.user_id)
        ):
            return contact
    return lone if lone is not None and _agree(user_id, lone.user_id) else _NOBODY


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other
