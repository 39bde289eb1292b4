"""Who stopped marketing messages: what Meta tells of it, and that it is remembered."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
from panier_common.contracts.events import AccountChanged, MessageFailed, Template
from panier_sender import db
from panier_sender.offers import told

from .desk import NUMBER, START, Asked, Desk, accept, refuse, status

# As Meta documents the webhook.
STOPPED = (
    b'{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":"%s"},'
    b'"contacts":[{"profile":{"name":"Test"},"wa_id":"16505551234","user_id":"US.13491208655302741918"}],'
    b'"user_preferences":[{"wa_id":"16505551234","detail":"User requested to stop marketing messages",'
    b'"category":"marketing_messages","value":"stop","timestamp":1731705721}]},"field":"user_preferences"}'
)
OFFER = Template("come_back", "fr")
CODE = 131050


def changed(raw: bytes, number: str = NUMBER, field: str = "user_preferences") -> AccountChanged:
    return AccountChanged("102290129340398", field, START, msgspec.Raw(raw.replace(b"%s", number.encode())))


@pytest.mark.parametrize(("value", "stopped"), [(b"stop", True), (b"resume", False), (b"signup", False)])
def test_both_ids_of_the_customer_are_meant(value, stopped):
    found = told(changed(STOPPED.replace(b'"stop"', b'"' + value + b'"')))
    assert found == {f"{NUMBER}:16505551234": stopped, f"{NUMBER}:US.13491208655302741918": stopped}


@pytest.mark.parametrize(
    "event",
    [
        changed(STOPPED, field="account_update"),
        changed(STOPPED.replace(b"marketing_messages", b"something_new")),
        changed(b'{"value":{"user_preferences":[{"value":"stop"}]}}'),
        changed(b"[]"),
        changed(b"{"),
    ],
)
def test_all_else_says_nothing(event):
    assert told(event) == {}


def closed(customer: str, message_id: str, lane: str) -> Asked:
    return Asked(customer, message_id, lane=lane, answers_at=None, template=OFFER)


@pytest.mark.parametrize("late", [False, True])
def test_who_stopped_offers_gets_no_reminder_by_template_any_more(late):
    """Told at once, or by a status after Meta had accepted the message."""
    desk = Desk()
    desk.batch(closed("1", "first", "reminder"))
    if late:
        accept(desk, "first")
        desk.batch(status("first", "failed", CODE))
    else:
        refuse(desk, "first", CODE)
    desk.batch(closed("1", "again", "reminder"), closed("1", "news", "news"), closed("2", "other", "reminder"))
    assert set(desk.calls) == {"news", "other"}
    (failed,) = desk.ended("again")
    assert isinstance(failed, MessageFailed)
    assert (failed.code, failed.reason) == (0, "stopped_marketing")


async def test_what_meta_tells_is_kept_and_taken_back(world, until):
    conversation = f"{world.number}:16505551234"

    async def is_stopped(sender) -> bool:
        async with sender.pool.acquire() as connection:
            windows = await db.load_windows(connection, [conversation])
        return conversation in windows and windows[conversation].no_offers

    async with world.sender() as sender:
        for value, wanted in ((b"stop", True), (b"resume", False)):
            event = changed(STOPPED.replace(b'"stop"', b'"' + value + b'"'), world.number)
            await world.publish(msgspec.structs.replace(event, at=datetime.now(UTC)))
            await until_is(is_stopped, sender, wanted)


async def until_is(condition, sender, wanted: bool) -> None:
    async with asyncio.timeout(20):
        while await condition(sender) is not wanted:  # noqa: ASYNC110 (rows cannot be awaited)
            await asyncio.sleep(0.05)
