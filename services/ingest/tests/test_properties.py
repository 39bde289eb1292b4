"""Whatever is done to a webhook's JSON, it is taken in, and every message of it can be found again."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panier_common.contracts.events import AccountChanged, DeliveryChanged, Event, MessageReceived
from panier_common.event import decode, encode
from panier_ingest import envelope, usual
from panier_ingest.envelope import updates_of
from panier_ingest.links import Links
from panier_ingest.record import record_of
from panier_ingest.repair import repaired

from .mutations import ANYTHING, TEXT, mutated

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def messages_of(document: Any) -> list[Any]:
    """Every message and status in it, wherever a reader might look."""
    found = []
    for entry in _items(document, "entry"):
        for change in _items(entry, "changes"):
            value = change.get("value") if isinstance(change, dict) else None
            found += [*_items(value, "messages"), *_items(value, "statuses")]
    return found


def _items(holder: Any, name: str) -> list[Any]:
    inner = holder.get(name) if isinstance(holder, dict) else None
    return inner if isinstance(inner, list) else []


def inside(events: list[Event]) -> list[Any]:
    """The messages and statuses that the events hold, alone or in a change kept whole."""
    found = []
    for event in events:
        assert isinstance(event, MessageReceived | DeliveryChanged | AccountChanged)
        raw = json.loads(bytes(event.raw))
        if isinstance(event, AccountChanged):
            # Kept at one of three levels: the body, the entry, the change.
            found += [*messages_of(raw), *messages_of({"entry": [raw]}), *messages_of({"entry": [{"changes": [raw]}]})]
        else:
            found.append(raw)
    return found


def check_nothing_is_lost(document: Any) -> None:
    body = json.dumps(document).encode()
    updates = updates_of(body, {}, NOW)
    kept = inside([update.event for update in updates])
    for message in messages_of(json.loads(repaired(body))):
        assert message in kept
    for update in updates:
        assert isinstance(update.event, MessageReceived | DeliveryChanged | AccountChanged)
        value = record_of(update.event, update.id, update.at, None).value
        value.decode()  # no lone surrogate can reach the log
        assert b"\\u0000" not in value.replace(b"\\\\", b"")
        assert encode(decode(update.event.ce_type, value)) == value


def test_no_mutation_loses_a_message(webhooks: dict[str, bytes]) -> None:
    documents = [json.loads(body) for body in webhooks.values()]

    @settings(max_examples=400)
    @given(mutated(documents))
    def run(document: Any) -> None:
        if isinstance(document, dict):
            check_nothing_is_lost(document)

    run()


@settings(max_examples=200)
@given(st.dictionaries(TEXT, ANYTHING, max_size=4))
def test_any_object_is_kept(document: dict[str, Any]) -> None:
    check_nothing_is_lost(document)
    assert updates_of(json.dumps(document).encode(), {}, NOW)


def test_each_recorded_message_is_found_by_its_own_bytes(webhook_name: str, webhooks: dict[str, bytes]) -> None:
    body = webhooks[webhook_name]
    check_nothing_is_lost(json.loads(body))
    for update in updates_of(body, {}, NOW):
        assert bytes(msgspec.json.decode(encode(update.event), type=dict[str, msgspec.Raw])["raw"]) in body


def of_today(body: bytes) -> Any:
    """A recorded webhook as it would come now: its customers show user ids, and some of them nothing else."""
    document = json.loads(body)
    for entry in _items(document, "entry"):
        for change in _items(entry, "changes"):
            value = change["value"]
            senders = zip(_items(value, "messages"), _items(value, "contacts"), strict=False)
            for n, (message, contact) in enumerate(senders):
                message["from_user_id"] = contact["user_id"] = f"FR.{n}{len(body)}"
                if len(body) % 3 == 0:
                    message.pop("from", None)
                    contact.pop("wa_id", None)
    return document


def test_most_messages_of_today_are_read_the_short_way(webhooks: dict[str, bytes]) -> None:
    bodies = [json.dumps(of_today(body)).encode() for body in webhooks.values()]
    entries = [entry for body in bodies for entry in getattr(usual.envelope_of(body), "entry", ())]
    values = [change.value for entry in entries for change in entry.changes]
    alone = [value for value in values if len(value.messages) == len(value.contacts) == 1]
    found = [usual.message_of(value.messages[0], value.contacts[0]) for value in alone]
    assert len(found) > 60
    assert found.count(None) < len(found) / 3
    assert any(one is not None and one[1].customer.wa_id is None for one in found)
    assert any(one is not None and one[0].words is not None for one in found)


def careful(body: bytes) -> list[envelope.Update]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope, "_usual", lambda *_: None)
        patch.setattr(envelope, "_usual_message", lambda *_: None)
        return updates_of(body, {}, NOW)


def check_both_ways_agree(document: Any) -> None:
    body = json.dumps(document).encode()
    found, expected = updates_of(body, {}, NOW), careful(body)
    assert [(one.id, one.at, encode(one.event)) for one in found] == [
        (one.id, one.at, encode(one.event)) for one in expected
    ]


@pytest.mark.parametrize(
    ("where", "more"),
    [
        ("messages", {"group_id": "G.1"}),
        ("messages", {"from_parent_user_id": "FR.ENT.1"}),
        ("contacts", {"parent_user_id": " FR.ENT.1 "}),
        ("messages", {"context": {"id": "wamid.before"}}),
        ("messages", {"context": {"forwarded": True}}),
        ("messages", {"referral": {"source_id": "ad"}}),
        ("messages", {"type": "unsupported"}),
        ("messages", {"text": {"body": 5}}),
        ("messages", {"timestamp": 1750000000}),
        ("messages", {"timestamp": "soon"}),
        ("messages", {"id": " wamid.spaces "}),
        ("messages", {"id": ""}),
        ("messages", {"from": ""}),
        ("messages", {"from": "+33 6 00 00 00 00"}),
        ("messages", {"from_user_id": "FR.2"}),
        ("both", {"user_id": "FR.1\n"}),
        ("both", {"user_id": "another kind of id"}),
        ("both", {"wa_id": "+33 6 00 00 00 00"}),
        ("both", {"wa_id": "FR.1"}),
        ("both", {"wa_id": "9" * 600}),
        ("contacts", {"profile": {"name": "x" * 300}}),
        ("contacts", {"profile": {}}),
        ("contacts", {"profile": None}),
    ],
)
def test_what_is_a_little_unusual_is_read_alike(where: str, more: dict[str, Any]) -> None:
    message = {"from": "33600000000", "from_user_id": "FR.1", "id": "wamid.1", "timestamp": "1750000000"}
    message |= {"type": "text", "text": {"body": "bonjour"}}
    contact = {"wa_id": "33600000000", "user_id": "FR.1", "profile": {"name": "Anne"}}
    value = {"metadata": {"phone_number_id": "1"}, "messages": [message], "contacts": [contact]}
    document = {"entry": [{"changes": [{"field": "messages", "value": value}]}]}
    check_both_ways_agree(document)
    if where == "both":
        contact |= more
        message |= {"from": contact["wa_id"], "from_user_id": contact["user_id"]}
    else:
        (message if where == "messages" else contact).update(more)
    check_both_ways_agree(document)


def test_the_shortcut_gives_what_the_careful_way_gives(webhooks: dict[str, bytes]) -> None:
    documents = [json.loads(body) for body in webhooks.values()]
    documents += map(of_today, webhooks.values())

    @settings(max_examples=400)
    @given(st.sampled_from(documents) | mutated(documents))
    def run(document: Any) -> None:
        if isinstance(document, dict):
            check_both_ways_agree(document)

    run()


def test_the_shortcut_is_taken(webhooks: dict[str, bytes]) -> None:
    usual = [
        body for body in webhooks.values() if envelope._usual(body, envelope._Context({}, Links(), NOW)) is not None
    ]
    assert len(usual) > 60
