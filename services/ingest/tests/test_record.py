"""The headers that let a consumer skip a message without reading it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from panier_common.contracts.events import MessageReceived, ShopConfigured
from panier_common.contracts.inbound import Text
from panier_common.event import from_wire
from panier_ingest.envelope import updates_of
from panier_ingest.record import record_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NUMBER = "106540352242922"


def headers(body: bytes, shop: ShopConfigured | None) -> dict[str, str]:
    update, *_ = updates_of(body, {NUMBER: shop} if shop else {}, NOW)
    assert isinstance(update.event, MessageReceived)
    record = record_of(update.event, update.id, update.at, shop, None)
    assert (record.topic, record.key) == ("panier.inbound.v1", update.event.conversation)
    return from_wire(record.headers)


def text(body: str) -> dict[str, Any]:
    return {"from": "33699999999", "id": "w", "timestamp": "1750000000", "type": "text", "text": {"body": body}}


@pytest.mark.parametrize(
    ("body", "owner", "language"),
    [
        ("Bonjour !", "catalog", "fr"),
        ("HELLO", "catalog", "en"),
        ("menu", "catalog", None),
        ("panier", "cart", "fr"),
        ("orders", "checkout", "en"),
        ("person", "console", "en"),
        ("stop", "sender", None),
        ("un pain au chocolat", "checkout", None),
        ("https://wa.me/p/123/33612345678", "catalog", None),
    ],
)
def test_a_text_says_who_answers_and_in_which_language(
    body: str, owner: str, language: str | None, make_webhook: Any, shop: ShopConfigured
) -> None:
    found = headers(make_webhook(text(body)), shop)
    assert (found["panier_owner"], found.get("panier_language")) == (owner, language)


def test_a_press_has_an_owner_and_no_language(make_webhook: Any, shop: ShopConfigured) -> None:
    reply = {"type": "button_reply", "button_reply": {"id": "checkout:start", "title": "panier"}}
    found = headers(make_webhook({**text(""), "type": "interactive", "interactive": reply}), shop)
    assert found["panier_owner"] == "cart"
    assert "panier_language" not in found


def test_nobody_answers_for_a_number_of_no_shop(make_webhook: Any) -> None:
    found = headers(make_webhook(text("bonjour")), None)
    assert "panier_owner" not in found
    assert "panier_language" not in found


def test_nobody_answers_what_was_said_to_a_group(make_webhook: Any, shop: ShopConfigured) -> None:
    """Kept as every message, with its words; but what was said there is no word to this shop alone."""
    body = make_webhook({**text("bonjour"), "group_id": "Y2FwaV9ncm91cDox"})
    update, *_ = updates_of(body, {NUMBER: shop}, NOW)
    assert isinstance(update.event, MessageReceived)
    assert (update.event.content, update.event.shop) == (Text("bonjour"), "bakery")
    assert update.event.group_id == "Y2FwaV9ncm91cDox"
    assert not {"panier_owner", "panier_language"} & headers(body, shop).keys()


def test_the_headers_are_cloudevents(make_webhook: Any, shop: ShopConfigured) -> None:
    found = headers(make_webhook(text("x")), shop)
    assert found["ce_source"] == "/panier/ingest"
    assert found["ce_type"] == "panier.message.received.v1"
    assert found["ce_time"] == "2025-06-15T15:06:40+00:00"
    assert len(found["ce_id"]) == 36
