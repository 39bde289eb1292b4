"""One conversation as the console knows it, and who has the floor in it. Pure: frozen rows, no clock."""

from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace
from panier_common.contracts.events import Customer

# One line about media, or about a person who is coming, is a help; one for each of ten is noise.
TOLD_AGAIN_AFTER = timedelta(minutes=10)


class Inbox(msgspec.Struct, frozen=True):
    """A row of `inbox`. `person`: someone of the shop answers; `version` grows with each change of that, also when
    the row was forgotten meanwhile: the time is in it.
    """

    conversation: str
    phone_number_id: str
    shop: str | None = None
    user_id: str | None = None
    wa_id: str | None = None
    person: bool = False
    version: int = 0
    unanswered_since: datetime | None = None
    told_at: datetime | None = None
    last_at: datetime | None = None
    coming_at: datetime | None = None


def heard(inbox: Inbox, shop: str | None, customer: Customer, at: datetime) -> Inbox:
    """After a message of the customer's: the ids it showed, and that it waits for the person who answers."""
    return replace(
        inbox,
        shop=shop or inbox.shop,
        user_id=customer.user_id or inbox.user_id,
        wa_id=customer.wa_id or inbox.wa_id,
        last_at=max(at, inbox.last_at) if inbox.last_at else at,
    )


def waits(inbox: Inbox, at: datetime) -> Inbox:
    """A message is there for the person of the shop to answer."""
    return replace(inbox, unanswered_since=inbox.unanswered_since or at)


def given(inbox: Inbox, at: datetime) -> Inbox:
    """A person of the shop has the floor."""
    version = max(inbox.version + 1, int(at.timestamp()))
    return replace(waits(inbox, at), person=True, version=version, coming_at=None)


def handed_back(inbox: Inbox) -> Inbox:
    """The machine has the floor again, and nothing waits for a person."""
    return replace(inbox, person=False, version=inbox.version + 1, unanswered_since=None)


def may_tell(inbox: Inbox, at: datetime) -> bool:
    """Whether the customer may be told again what can be read here."""
    return inbox.told_at is None or at - inbox.told_at >= TOLD_AGAIN_AFTER


def may_say_coming(inbox: Inbox, at: datetime) -> bool:
    """Whether the customer may be told again that a person is coming."""
    return inbox.coming_at is None or at - inbox.coming_at >= TOLD_AGAIN_AFTER


def joined(mine: Inbox, theirs: Inbox) -> Inbox:
    """Two conversations of one customer: a person who answered in one answers in both."""
    takes_floor = theirs.person and not mine.person
    return replace(
        mine,
        shop=mine.shop or theirs.shop,
        user_id=mine.user_id or theirs.user_id,
        wa_id=mine.wa_id or theirs.wa_id,
        person=mine.person or theirs.person,
        version=max(mine.version, theirs.version) + 1 if takes_floor else mine.version,
        unanswered_since=min(_times(mine.unanswered_since, theirs.unanswered_since), default=None),
        told_at=max(_times(mine.told_at, theirs.told_at), default=None),
        last_at=max(_times(mine.last_at, theirs.last_at), default=None),
    )


def _times(*times: datetime | None) -> list[datetime]:
    return [one for one in times if one is not None]
