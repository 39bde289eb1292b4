"""Whose conversation a message belongs to: by user id, by phone, and through the changes of both."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from panier_common.contracts.events import (
    AccountChanged,
    ConversationMerged,
    CustomersLinked,
    Event,
    MessageReceived,
    Number,
    ShopConfigured,
)
from panier_ingest.envelope import updates_of
from panier_ingest.links import Links

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NUMBER = "106540352242922"
PHONE, NEW_PHONE = "33611111111", "33622222222"
USER, NEW_USER = "FR.200", "FR.100"
SHOP = ShopConfigured(
    "bakery", 1, "Bakery", ("fr",), "EUR", "Europe/Paris", "1", (Number(NUMBER, "+33 6", "T"),), True, None, "x", 1800
)


def webhook(message: dict[str, Any], number: str = NUMBER, field: str = "messages", **value: Any) -> bytes:
    given = {"metadata": {"phone_number_id": number}, "messages": [message]} if message else {}
    entry = {"id": "account", "time": 1750000000, "changes": [{"field": field, "value": {**given, **value}}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def said(n: int = 1, **ids: str) -> bytes:
    message = {"id": f"wamid.{n}", "timestamp": "1750000000", "type": "text", "text": {"body": "hello"}}
    return webhook({**message, **ids})


def by_phone(phone: str = PHONE) -> bytes:
    return said(**{"from": phone})


def by_both(phone: str = PHONE, user: str = USER) -> bytes:
    return said(**{"from": phone, "from_user_id": user})


def system(change: str, phone: str | None = None, user: str | None = None, **now: str) -> bytes:
    ids = {name: value for name, value in (("from", phone), ("from_user_id", user)) if value is not None}
    body = {"id": "wamid.system", "timestamp": "1750000000", "type": "system", "system": {"type": change, **now}}
    return webhook({**body, **ids})


class Door:
    """A replica: what it publishes comes back to it, as the topic has it."""

    def __init__(self, links: Links | None = None) -> None:
        self.links = links or Links()
        self.events: list[Event] = []

    def takes(self, body: bytes) -> str:
        """The conversation's customer; the links come back."""
        updates = [update.event for update in updates_of(body, {NUMBER: SHOP}, NOW, self.links)]
        self.events += updates
        for event in updates:
            if isinstance(event, CustomersLinked):
                self.links.add(event.first, event.second, event.left)
        return next((e.conversation.partition(":")[2] for e in updates if isinstance(e, MessageReceived)), "")

    @property
    def merged(self) -> set[tuple[str, str]]:
        found = [event for event in self.events if isinstance(event, ConversationMerged)]
        return {(e.conversation.partition(":")[2], e.into.partition(":")[2]) for e in found}

    @property
    def linked(self) -> int:
        return sum(isinstance(event, CustomersLinked) for event in self.events)


def test_who_always_shows_a_user_id_leaves_no_trace() -> None:
    door = Door()
    assert [door.takes(by_both()), door.takes(said(from_user_id=USER)), door.takes(by_both())] == [USER] * 3
    assert (door.linked, door.merged) == (0, set())


def test_known_by_phone_yesterday_and_by_user_id_today() -> None:
    door = Door()
    assert door.takes(by_phone()) == PHONE
    assert door.takes(by_both()) == PHONE
    assert door.takes(said(from_user_id=USER)) == PHONE
    assert door.merged == {(USER, PHONE)}
    assert door.linked == 2  # the phone seen alone, and its user id


def test_a_user_id_inside_from_is_that_user() -> None:
    door = Door()
    assert door.takes(said(**{"from": USER})) == USER
    assert door.linked == 0


def test_a_new_user_id_goes_on_with_the_conversation() -> None:
    door = Door()
    assert door.takes(by_both()) == USER
    door.takes(system("user_changed_user_id", PHONE, USER, user_id=NEW_USER))
    assert door.takes(by_both(user=NEW_USER)) == NEW_USER  # the lesser one
    assert (USER, NEW_USER) in door.merged


def test_a_new_number_of_one_known_by_phone_alone() -> None:
    door = Door()
    door.takes(by_phone())
    door.takes(system("user_changed_number", PHONE, wa_id=NEW_PHONE))
    assert door.takes(by_phone(NEW_PHONE)) == PHONE
    assert door.takes(by_both(NEW_PHONE)) == PHONE


def test_a_new_number_of_one_with_a_user_id_needs_nothing() -> None:
    door = Door()
    door.takes(by_both())
    door.takes(system("user_changed_number", PHONE, USER, wa_id=NEW_PHONE))
    assert door.takes(by_both(NEW_PHONE)) == USER
    assert door.linked == 0


def test_a_number_that_was_given_up_belongs_to_the_next_who_shows_it() -> None:
    door = Door()
    door.takes(by_phone())
    door.takes(system("user_changed_number", PHONE, wa_id=NEW_PHONE))
    assert door.takes(by_both(PHONE, "FR.999")) == "FR.999"


def test_a_second_user_id_with_one_phone_is_somebody_else() -> None:
    door = Door()
    door.takes(by_phone())
    assert door.takes(by_both()) == PHONE
    assert door.takes(by_both(PHONE, "FR.999")) == "FR.999"


def test_metas_notice_of_new_user_ids_links_them_and_is_kept() -> None:
    door = Door()
    update = [{"wa_id": PHONE, "detail": "…", "user_id": {"previous": USER, "current": NEW_USER}, "timestamp": "1"}]
    door.takes(webhook({}, field="user_id_update", user_id_update=update))
    assert [type(event) for event in door.events] == [AccountChanged, CustomersLinked]
    assert door.takes(said(from_user_id=NEW_USER)) == NEW_USER
    assert (USER, NEW_USER) in door.merged  # with the first message: only then it is known for which number


def test_nonsense_in_a_notice_links_nobody() -> None:
    for update in (None, [], ["x"], [{}], [{"user_id": {"previous": USER}}], [{"user_id": 5}], {"user_id": None}):
        door = Door()
        door.takes(webhook({}, field="user_id_update", user_id_update=update))
        assert [type(event) for event in door.events] == [AccountChanged]


def test_two_businesses_that_know_one_phone_do_not_share_its_customer() -> None:
    other = "999"
    shops = {NUMBER: SHOP, other: SHOP}
    links = Links()
    message = {"id": "w", "timestamp": "1750000000", "type": "text", "text": {"body": "x"}, "from": PHONE}
    for number, user in ((NUMBER, None), (other, None), (NUMBER, USER), (other, "GB.7")):
        ids = {"from_user_id": user} if user else {}
        for update in updates_of(webhook({**message, **ids}, number), shops, NOW, links):
            if isinstance(update.event, CustomersLinked):
                links.add(update.event.first, update.event.second, update.event.left)
    assert not links.are_one(USER, "GB.7")


LIVES = st.lists(
    st.sampled_from(
        [
            by_phone(),
            by_both(),
            said(from_user_id=USER),
            system("user_changed_user_id", PHONE, USER, user_id=NEW_USER),
            by_both(user=NEW_USER),
            said(from_user_id=NEW_USER),
        ]
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200)
@given(LIVES)
def test_every_conversation_begun_is_told_to_go_on_as_the_present_one(life: list[bytes]) -> None:
    """Follow the merges from any conversation of a linked customer: one ends them all."""
    door = Door()
    # At last the customer writes by every id: whoever is linked by then has been told of.
    began = {door.takes(body) for body in [*life, by_phone(), said(from_user_id=USER), said(from_user_id=NEW_USER)]}
    into = {}
    for ended, onward in sorted(door.merged):
        assert onward < ended  # always to the lesser: no circle
        into[ended] = min(onward, into.get(ended, onward))

    def last(customer: str) -> str:
        while customer in into:
            customer = into[customer]
        return customer

    for one in began:
        for other in began:
            nodes = [f"{NUMBER}:{x}" if x == PHONE else x for x in (one, other)]
            if door.links.are_one(*nodes):
                assert last(one) == last(other)


@settings(max_examples=100)
@given(LIVES, st.randoms())
def test_replicas_that_have_read_the_same_links_agree(life: list[bytes], chance: Any) -> None:
    door = Door()
    for body in life:
        door.takes(body)
    links = [event for event in door.events if isinstance(event, CustomersLinked)]
    chance.shuffle(links)
    other = Door()
    for link in links:
        other.links.add(link.first, link.second, link.left)
    for body in life:
        assert Door(door.links).takes(body) == Door(other.links).takes(body)
