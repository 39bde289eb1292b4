"""A webhook's body into events: every entry, change, message, status and error of it. Pure.

Whatever cannot be read as a message or a status of a shop's number is kept whole, at the smallest level that is
still JSON of Meta's: the change, the entry, the body. Nothing of one part costs its neighbours anything.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw
from panier_common.contracts import inbound as m
from panier_common.contracts.events import (
    AccountChanged,
    Customer,
    DeliveryChanged,
    DeliveryError,
    Event,
    MessageReceived,
    ShopConfigured,
)
from panier_common.event import inbound_id, name_based_id, without_context
from panier_common.identity import conversation_of, customer_key

from panier_ingest.customer import Sender, contact_of, ids_of, lone_contact, sender_of
from panier_ingest.fields import ANYTHING, ID_LIMIT, OBJECT, Fields, identifier, moment, part, text, word
from panier_ingest.identity import Identified, identify, updated
from panier_ingest.links import Links
from panier_ingest.repair import repaired
from panier_ingest.translate import content_of, context_of, error_code
from panier_ingest.usual import NOT_READABLE, envelope_of, message_of

Shops = Mapping[str, ShopConfigured]

# Meta's largest message is a few kilobytes. Beyond this only the raw JSON is kept, not a second copy in pieces.
CONTENT_LIMIT = 256 * 1024
UNKNOWN = "unknown"
USER_ID_UPDATE = "user_id_update"
_UNDERSTOOD = frozenset({"messaging_product", "metadata", "contacts", "messages", "statuses"})


_PARTS = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])


class NotAnObject(ValueError):  # noqa: N818 - a condition of the body, named as the door answers it
    """The body is not JSON, or JSON that is no object."""


class Update(msgspec.Struct, frozen=True):
    """An event to publish, its id (the same for every repeat of it) and when it happened.

    `about` is the context of another action that it tells about, where that one is traced.
    """

    event: Event
    id: str
    at: datetime
    about: str | None = None


class _Context(msgspec.Struct, frozen=True):
    """What is known when a request comes; `asides` gathers what it tells about customers' ids."""

    shops: Shops
    links: Links
    now: datetime
    asides: dict[str, Update] = {}


class _Place(msgspec.Struct, frozen=True):
    """Whose updates these are: the number and its shop."""

    phone_number_id: str
    shop: str | None
    context: _Context

    @property
    def now(self) -> datetime:
        return self.context.now


_UNLINKED = Links()


def updates_of(body: bytes, shops: Shops, now: datetime, links: Links = _UNLINKED) -> list[Update]:
    """Every update of a webhook, and after them what it tells about customers' ids.

    `shops` is by phone number id. Raises NotAnObject.
    """
    context = _Context(shops, links, now)
    updates = _of_body(body, context)
    return [*updates, *context.asides.values()] if context.asides else updates


def _of_body(body: bytes, context: _Context) -> list[Update]:
    now = context.now
    body = repaired(body)
    usual = _usual(body, context)
    if usual is not None:
        return usual
    context.asides.clear()
    try:
        parts = _PARTS.decode(body)
    except RecursionError:
        # Nested deeper than any reader can follow: kept as text.
        return [_account_change(UNKNOWN, UNKNOWN, msgspec.json.encode(body.decode()), now, now)]
    except msgspec.DecodeError as error:
        raise NotAnObject(str(error)) from None
    updates: list[Update] = []
    entries = _list(parts.get("entry"))
    for entry in entries or ():
        updates += _of_entry(entry, context)
    if not entries or parts.keys() - {"object", "entry"}:
        updates.append(_account_change(UNKNOWN, UNKNOWN, body, now, now))
    return updates


def _usual(body: bytes, context: _Context) -> list[Update] | None:
    """The updates of a body without surprises, decoded in one pass; None for any other.

    Only a shortcut: the careful way gives the same updates (a test compares them).
    """
    envelope = envelope_of(body)
    if envelope is None:
        return None
    updates: list[Update] = []
    for entry in envelope.entry:
        if not entry.changes:
            return None
        for change in entry.changes:
            value = change.value
            number = word(value.metadata.phone_number_id)
            if number is None or not (value.messages or value.statuses):
                return None
            found = _updates(number, value.messages, value.statuses, value.contacts, context)
            if len(found) < len(value.messages) + len(value.statuses):
                return None
            updates += found
    return updates or None


def _updates(
    number: str, messages: Sequence[Raw], statuses: Sequence[Raw], contacts: Sequence[Raw], context: _Context
) -> list[Update]:
    """The messages and statuses of one number that can be read."""
    shop = context.shops.get(number)
    place = _Place(number, shop.shop if shop is not None else None, context)
    updates = _messages(messages, contacts, place) if messages else []
    for status in statuses:
        update = _status(status, place)
        if update is not None:
            updates.append(update)
    return updates


def _of_entry(raw: Raw, context: _Context) -> list[Update]:
    now = context.now
    parts = _parts(raw) or {}
    account = identifier({"id": _any(parts.get("id"))}, "id") or UNKNOWN
    at = moment(_any(parts.get("time")), now)
    updates: list[Update] = []
    changes = _list(parts.get("changes"))
    for change in changes or ():
        updates += _of_change(change, account, at, context)
    if not changes or parts.keys() - {"id", "time", "changes"}:
        updates.append(_account_change(account, UNKNOWN, raw, at, now))
    return updates


def _of_change(raw: Raw, account: str, at: datetime, context: _Context) -> list[Update]:
    parts = _parts(raw) or {}
    field = identifier({"field": _any(parts.get("field"))}, "field") or UNKNOWN
    value = (_parts(parts.get("value")) if field == "messages" else None) or {}
    number = identifier(_object(value.get("metadata")) or {}, "phone_number_id")
    messages, statuses = _list(value.get("messages")), _list(value.get("statuses"))
    updates: list[Update] = []
    if number is not None:
        updates += _updates(number, messages or (), statuses or (), _list(value.get("contacts")) or (), context)
    if field == USER_ID_UPDATE:
        _note_new_user_ids(_object(parts.get("value")) or {}, at, context)
    due = sum(len(read) for read in (messages, statuses) if read is not None)
    unread = [name for name, read in (("messages", messages), ("statuses", statuses)) if read is None]
    # Something beside the updates, or one that could not be read: the change is kept as well.
    if not updates or len(updates) < due or value.keys() & unread or value.keys() - _UNDERSTOOD:
        updates.append(_account_change(account, field, raw, at, context.now))
    return updates


def _messages(raws: Sequence[Raw], contacts: Sequence[Raw], place: _Place) -> list[Update]:
    if len(raws) == len(contacts) == 1:
        update = _usual_message(raws[0], contacts[0], place)
        if update is not None:
            return [update]
    shown = [contact_of(fields) for fields in map(_object, contacts) if fields is not None]
    read = [(raw, _object(raw)) for raw in raws]
    lone = lone_contact([fields for _, fields in read if fields is not None], shown)
    updates = []
    for raw, fields in read:
        sender = sender_of(fields, shown, lone) if fields is not None else None
        update = _message(raw, fields, sender, place) if fields is not None and sender is not None else None
        if update is not None:
            updates.append(update)
    return updates


def _usual_message(raw: Raw, contact: Raw, place: _Place) -> Update | None:
    """A message alone with its sender's contact, None when one of them is unlike most."""
    found = message_of(raw, contact) if len(memoryview(raw)) <= CONTENT_LIMIT else None
    if found is None:
        return None
    message, sender = found
    wamid, words = word(message.id), message.words
    if wamid is None:
        return None
    at = moment(message.timestamp, place.now)
    if words is not None:
        return _received(raw, wamid, at, sender, m.Text(words), None, None, place)
    fields = _object(raw)
    return _received(raw, wamid, at, sender, content_of(fields), context_of(fields), None, place) if fields else None


def _message(raw: Raw, fields: Fields, sender: Sender, place: _Place) -> Update | None:
    wamid = identifier(fields, "id")
    if wamid is None:
        return None  # without an id a repeat could not be told from a second message
    small = len(memoryview(raw)) <= CONTENT_LIMIT
    at = moment(fields.get("timestamp"), place.now)
    content = content_of(fields) if small else m.Unknown(identifier(fields, "type") or UNKNOWN)
    return _received(raw, wamid, at, sender, content, context_of(fields), identifier(fields, "group_id"), place)


def _received(
    raw: Raw,
    wamid: str,
    at: datetime,
    sender: Sender,
    content: m.Content,
    about: m.Context | None,
    group_id: str | None,
    place: _Place,
) -> Update | None:
    number, customer = place.phone_number_id, sender.customer
    links = place.context.links if place.shop is not None else None
    # Where nobody answers nothing of it needs to stay together.
    whose = identify(links, number, customer, content, at) if links is not None else _as_shown(customer)
    if whose is None:
        return None
    if whose.linked or whose.merged:
        _note(whose, place.context)
    event = MessageReceived(
        conversation_of(number, whose.customer),
        number,
        customer,
        wamid,
        at,
        content,
        place.shop,
        about,
        sender.parent_user_id,
        raw,
        group_id,
    )
    return Update(event, inbound_id(number, wamid), at)


def _status(raw: Raw, place: _Place) -> Update | None:
    fields = _object(raw) or {}
    wamid, status = identifier(fields, "id"), identifier(fields, "status")
    # A gateway's payment report has the same shape and other words: `failed` there is no failed message.
    if wamid is None or status is None or text(fields, "type") == "payment":
        return None
    at = moment(fields.get("timestamp"), place.now)
    ours, traced = without_context(text(fields, "biz_opaque_callback_data") or "")
    user_id, wa_id = ids_of(identifier(fields, "recipient_user_id"), identifier(fields, "recipient_id"))
    event = DeliveryChanged(
        phone_number_id=place.phone_number_id,
        wamid=wamid,
        status=status,
        at=at,
        message_id=ours if len(ours) <= ID_LIMIT else "",
        recipient_user_id=user_id,
        recipient_wa_id=wa_id,
        errors=_errors(fields),
        raw=raw,
    )
    # In a group each participant has a status of the one message.
    participant = identifier(fields, "recipient_participant_id") or identifier(fields, "recipient_participant_user_id")
    of = f"{status}:{participant}" if participant else status
    return Update(event, inbound_id(place.phone_number_id, wamid, of), at, traced)


def _as_shown(customer: Customer) -> Identified | None:
    key = customer_key(customer)
    return Identified(key) if key is not None else None


def _note(whose: Identified, context: _Context) -> None:
    """Links and merges are events of their own, the same however often they are noticed."""
    for linked in whose.linked:
        name = name_based_id(f"linked\n{linked.pair}\n{linked.left}")
        context.asides[name] = Update(linked, name, linked.at)
    for merged in whose.merged:
        name = name_based_id(f"merged\n{merged.conversation}\n{merged.into}")
        context.asides[name] = Update(merged, name, merged.at)


def _note_new_user_ids(value: Fields, at: datetime, context: _Context) -> None:
    number = identifier(part(value, "metadata") or {}, "phone_number_id")
    given = value.get(USER_ID_UPDATE)
    for one in given if isinstance(given, list) else [given]:
        if isinstance(one, dict):
            _note(Identified("", updated(context.links, number, one, at)), context)


def _errors(fields: Fields) -> tuple[DeliveryError, ...]:
    given = fields.get("errors")
    if not isinstance(given, list):
        return ()
    pairs = ((error_code(error), error) for error in given)
    return tuple(
        DeliveryError(code, (text(error, "title") or "")[:ID_LIMIT]) for code, error in pairs if code is not None
    )


def _account_change(account: str, field: str, raw: Raw | bytes, at: datetime, now: datetime) -> Update:
    # The entry's own time tells two equal changes apart; without one, equal bytes are a repeat.
    digest = hashlib.sha256(raw).hexdigest()
    told = "" if at == now else at.isoformat()
    event = AccountChanged(account=account, field=field, at=at, raw=Raw(raw))
    return Update(event, inbound_id(account, f"{field}:{digest}", told), at)


def _object(raw: Raw | None) -> Fields | None:
    try:
        return OBJECT.decode(raw) if raw is not None else None
    except NOT_READABLE:
        return None


def _parts(raw: Raw | None) -> dict[str, Raw] | None:
    try:
        return _PARTS.decode(raw) if raw is not None else None
    except NOT_READABLE:
        return None


def _list(raw: Raw | None) -> list[Raw] | None:
    try:
        return _LIST.decode(raw) if raw is not None else None
    except NOT_READABLE:
        return None


def _any(raw: Raw | None) -> Any:
    try:
        return ANYTHING.decode(raw) if raw is not None else None
    except NOT_READABLE:
        return None
