"""Whose conversation a message belongs to, and what it tells about the ids of one customer. Pure.

Nearly every customer shows a user id each time, and nothing is to be known of them. Links are for the others: a
phone number seen without a user id, and ids that change. A conversation goes by the least id of a linked set;
whatever may have begun under another id of it is told to be merged.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
from panier_common.contracts.events import ConversationMerged, Customer, CustomersLinked
from panier_common.contracts.inbound import Content, System
from panier_common.identity import conversation_of, is_user_id

from panier_ingest.customer import ids_of
from panier_ingest.fields import Fields, identifier, part
from panier_ingest.links import Links, customer_of, phone_node

_CHANGED = "user_changed"


class Identified(msgspec.Struct, frozen=True):
    """The customer's id for conversations, links to publish, and conversations that are to be one."""

    customer: str
    linked: tuple[CustomersLinked, ...] = ()
    merged: tuple[ConversationMerged, ...] = ()


def identify(links: Links, number: str, customer: Customer, content: Content, at: datetime) -> Identified | None:
    """The sender of a message to this number; None when the message shows no id."""
    user, wa_id = customer.user_id, customer.wa_id
    phone = phone_node(number, wa_id) if wa_id is not None else None
    if isinstance(content, System) and content.change.startswith(_CHANGED):
        return _merged(links, number, customer, _changed(links, number, user, phone, content, at), at)
    if user is None:
        if phone is None:
            return None
        linked = () if phone in links else (_link(phone, phone, at),)
        return _merged(links, number, customer, linked, at)
    if phone is None or phone not in links:
        return _merged(links, number, customer, (), at) if user in links else Identified(user)
    linked = (_link(phone, user, at),) if links.may_take_user(phone) and not links.are_one(phone, user) else ()
    return _merged(links, number, customer, linked, at)


def updated(links: Links, number: str | None, update: Fields, at: datetime) -> tuple[CustomersLinked, ...]:
    """One item of Meta's `user_id_update`: the user id that was and the one that is."""
    change = part(update, "user_id") or {}
    before, now = identifier(change, "previous"), identifier(change, "current")
    if before is None or now is None or before == now or not is_user_id(before) or not is_user_id(now):
        return ()
    linked = (_link(before, now, at, before),)
    _, wa_id = ids_of(None, identifier(update, "wa_id"))
    phone = phone_node(number, wa_id) if number is not None and wa_id is not None else ""
    return (*linked, _link(phone, now, at)) if phone in links and links.may_take_user(phone) else linked


def _changed(
    links: Links, number: str, user: str | None, phone: str | None, change: System, at: datetime
) -> tuple[CustomersLinked, ...]:
    """The customer's number or user id is another now. Phones matter only where one went without a user id."""
    new_user, new_wa_id = ids_of(change.user_id, change.wa_id)
    new_phone = phone_node(number, new_wa_id) if new_wa_id is not None else None
    now = new_user or user
    linked = []
    if user is not None and new_user is not None and user != new_user:
        linked.append(_link(user, new_user, at, user))
    if phone is not None and phone != new_phone and new_phone is not None:
        if now is None:
            linked.append(_link(phone, new_phone, at, phone))
        elif phone in links and (links.may_take_user(phone) or links.are_one(phone, now)):
            linked.append(_link(phone, now, at, phone))
    elif phone is not None and now is not None and links.may_take_user(phone):
        linked.append(_link(phone, now, at))
    return tuple(linked)


def _link(first: str, second: str, at: datetime, left: str = "") -> CustomersLinked:
    low, high = sorted((first, second))
    return CustomersLinked(f"{low}~{high}", low, high, at, left)


def _merged(
    links: Links, number: str, customer: Customer, linked: tuple[CustomersLinked, ...], at: datetime
) -> Identified:
    """The least id of what is one with these links, which the topic may not have brought back yet."""
    shown = customer.user_id or phone_node(number, customer.wa_id or "")
    members = set(_members(links, [shown, *(node for link in linked for node in (link.first, link.second))]))
    least = min(customer_of(node) for node in members)
    into = conversation_of(number, least)
    here = {customer_of(node) for node in members if ":" not in node or node.startswith(f"{number}:")}
    merged = tuple(
        ConversationMerged(conversation_of(number, one), into, number, customer, at) for one in sorted(here - {least})
    )
    return Identified(least, linked, merged)


def _members(links: Links, nodes: Iterable[str]) -> Iterator[str]:
    for node in nodes:
        yield node
        yield from links.members(node)
