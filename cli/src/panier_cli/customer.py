"""Who a customer is and what is held of them: the services asked, one after the other. Nothing is changed here.

Standard library only, like all that commands import at first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from panier_cli.errors import Refused
from panier_cli.internal_api import WITH_DATABASE, InternalApi, path

Row = dict[str, Any]
Holdings = dict[str, dict[str, list[Row]]]
"""service → table → rows."""

_PHONE = re.compile(r"\+?[0-9 ()-]+")


@dataclass
class Found:
    """A customer at one number: every id that stands for them, and their conversations, the present one first."""

    number: str
    ids: set[str]
    conversations: list[str] = field(default_factory=list)

    def document(self) -> Row:
        return {"phone_number_id": self.number, "ids": sorted(self.ids), "conversations": self.conversations}


def plain(customer: str) -> str:
    """An id as it is kept: a phone number in digits."""
    return re.sub(r"[^0-9]", "", customer) if _PHONE.fullmatch(customer) else customer


def find(api: InternalApi, number: str, customer: str) -> Found:
    """By either id, through links and merges. Refuses a phone number that several customers have had."""
    ids, conversations, shown, merged = {plain(customer)}, set[str](), list[Row](), list[Row]()
    while True:
        before = (len(ids), len(conversations))
        ids |= set(_ask(api, "ingest", "known", number, ids, ())["linked"])
        conversations |= {f"{number}:{one}" for one in ids}
        for service in WITH_DATABASE:
            answer = _ask(api, service, "known", number, ids, conversations)
            own = own_rows(ids, answer["shown"])
            shown += own
            merged += answer["merged"]
            ids |= {row["user_id"] for row in own if row["user_id"]}
            conversations |= {row["conversation"] for row in own}
            conversations |= {row[end] for row in answer["merged"] for end in ("conversation", "into")}
        if before == (len(ids), len(conversations)):
            break
    phones = {row["wa_id"] for row in shown if row["wa_id"]}
    others = (
        [row for s in WITH_DATABASE for row in _ask(api, s, "known", number, phones, ())["shown"]] if phones else []
    )
    ids |= phones - {row["wa_id"] for row in others if row["user_id"] and row["user_id"] not in ids}
    ended = {row["conversation"] for row in merged}
    begun = {row["conversation"] for row in shown}
    return Found(number, ids, sorted(conversations, key=lambda one: (one in ended, one not in begun, one)))


def own_rows(ids: Collection[str], shown: Sequence[Row]) -> list[Row]:
    """Those rows that are this customer's: a phone number may have been somebody else's before."""
    users = {row["user_id"] for row in shown if row["user_id"]}
    if users & set(ids):
        return [row for row in shown if not row["user_id"] or row["user_id"] in ids]
    if len(users) > 1:
        raise Refused(
            "ambiguous_customer",
            f"{len(users)} customers had this phone number at different times",
            f"give the user id of the one who is meant: {', '.join(sorted(users))}",
        )
    return list(shown)


def held(api: InternalApi, found: Found) -> Holdings:
    """What every service holds of them; services without anything are left out."""
    asked = {
        service: _ask(api, service, "held", found.number, found.ids, found.conversations) for service in WITH_DATABASE
    }
    return {service: tables for service, tables in asked.items() if tables}


def erase(api: InternalApi, found: Found, key: str) -> None:
    """Have all forget them; refused while an order is under way."""
    person = _person(found.number, found.ids, found.conversations)
    api.send("checkout", "POST", path("customers", "erase"), person, {"Idempotency-Key": key})
    _ask(api, "ingest", "erase", found.number, found.ids, ())


def _person(number: str, ids: Collection[str], conversations: Collection[str]) -> Row:
    return {"phone_number_id": number, "ids": sorted(ids), "conversations": list(conversations)}


def _ask(
    api: InternalApi, service: str, what: str, number: str, ids: Collection[str], conversations: Collection[str]
) -> Any:
    return api.send(service, "POST", path("customers", what), _person(number, ids, conversations))
