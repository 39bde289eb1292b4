"""What the sender does about customers' messages, by itself."""

import json
import uuid
from datetime import UTC, datetime

import msgspec
import pytest
from panier_common.contracts import inbound as m
from panier_common.contracts.events import Customer, MessageReceived, MessageRequested, ShopConfigured
from panier_common.event import Received
from panier_sender.hearing import WORDS, Hearing, Receipt, hear
from panier_sender.window import Window

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
SHOP = ShopConfigured(
    "bakery", 1, "Bakery", ("fr", "en"), "EUR", "Europe/Paris", "1", (), True, None, "simulated", 1800
)


def message(content, owner="checkout", shop="bakery", language=None) -> Received:
    event = MessageReceived("1:33612", "1", Customer(wa_id="33612"), "wamid.1", AT, content, shop)
    return Received("t", 0, 0, str(uuid.uuid4()), AT, event, {"panier_owner": owner}, language)


@pytest.fixture
def hearing() -> Hearing:
    return Hearing({"bakery": SHOP})


def test_a_message_opens_the_window_and_is_marked_read(hearing):
    assert hear(hearing, message(m.Text("pain"))) == []
    assert hearing.changed == {"1:33612": Window(AT, spoke_at=AT)}
    assert hearing.receipts == [Receipt("1", "wamid.1", typing=True)]


@pytest.mark.parametrize(("language", "start"), [(None, "C’est noté"), ("en", "Noted"), ("pt", "C’est noté")])
def test_stop_is_confirmed_in_the_customers_language(hearing, language, start):
    (effect,) = hear(hearing, message(m.Text("stop"), owner="sender", language=language))
    event = effect.event
    assert isinstance(event, MessageRequested)
    assert (event.lane, event.answers, event.answers_at) == ("answer", "wamid.1", AT)
    assert json.loads(msgspec.json.encode(event.message))["body"].startswith(start)
    assert hearing.changed["1:33612"].stopped


def test_a_message_after_stop_in_the_same_batch_starts_again(hearing):
    hear(hearing, message(m.Text("stop"), owner="sender"))
    hear(hearing, message(m.Text("bonjour"), owner="catalog"))
    assert not hearing.changed["1:33612"].stopped


def test_a_number_of_no_shop_is_answered_by_nobody(hearing):
    assert hear(hearing, message(m.Text("stop"), owner="sender", shop=None)) == []
    assert hearing.receipts == []


def test_what_is_said_to_a_group_opens_no_window_and_stops_nothing(hearing):
    """Meta's 24 hours are those of the chat: a private message after it would be refused (131047)."""
    said = message(m.Text("stop"), owner=None)
    said.event = msgspec.structs.replace(said.event, group_id="Y2FwaV9ncm91cDox")
    assert hear(hearing, said) == []
    assert (hearing.changed, hearing.receipts) == ({}, [])


@pytest.mark.parametrize("content", [m.Reaction("wamid.0", "👍"), m.Edit(), m.Revoke(), m.System("x")])
def test_what_needs_no_answer_is_not_marked_read(hearing, content):
    hear(hearing, message(content, owner="console"))
    assert hearing.receipts == []


def test_no_typing_where_a_person_may_answer(hearing):
    hear(hearing, message(m.Media("image"), owner="console"))
    assert hearing.receipts == [Receipt("1", "wamid.1", typing=False)]


def test_every_language_has_every_word():
    keys = {language: set(texts) for language, texts in WORDS.languages.items()}
    assert keys["fr"]
    assert set(map(frozenset, keys.values())) == {frozenset(keys["fr"])}
