"""Everything that Meta sends is kept, and only a customer's own words are taken for a customer's words."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from panier_common.contracts import inbound as m
from panier_common.contracts.events import AccountChanged, DeliveryChanged, MessageReceived
from panier_common.event import encode
from panier_ingest.envelope import updates_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NUMBER = "106540352242922"
PHONE = "33699999999"

# Every field that a WhatsApp business account can subscribe to, besides `messages`, as documented in 2026.
FIELDS = (
    "account_alerts",
    "account_review_update",
    "account_update",
    "automatic_events",
    "business_capability_update",
    "business_username_update",
    "calls",
    "flows",
    "group_lifecycle_update",
    "group_participants_update",
    "group_settings_update",
    "group_status_update",
    "history",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "partner_solutions",
    "payment_configuration_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "smb_app_state_sync",
    "smb_message_echoes",
    "template_category_update",
    "user_id_update",
    "user_preferences",
    "a_field_of_next_year",
)


def message(n: int = 1, **more: Any) -> dict[str, Any]:
    known = {"from": PHONE, "id": f"wamid.{n}", "timestamp": "1750000000", "type": "text", "text": {"body": "x"}}
    return {**known, **more}


def body(value: dict[str, Any], field: str = "messages") -> bytes:
    whole = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}, **value}
    entry = {"id": "account-1", "time": 1750000000, "changes": [{"field": field, "value": whole}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_is_not_messages_is_kept_whole_for_the_account(field: str) -> None:
    sent = body({"message_echoes": [message()], "messages": [message(2)], "statuses": []}, field)
    (update,) = updates_of(sent, {}, NOW)
    assert isinstance(update.event, AccountChanged)
    assert (update.event.account, update.event.field) == ("account-1", field)
    assert json.loads(bytes(update.event.raw)) == json.loads(sent)["entry"][0]["changes"][0]


def test_echoes_of_the_shops_own_phone_are_nobodys_words() -> None:
    """Coexistence: what the shop writes on its own phone comes back with a customer's shape."""
    echo = message(**{"from": "33612345678", "to": PHONE})
    for update in updates_of(body({"message_echoes": [echo]}, "smb_message_echoes"), {}, NOW):
        assert not isinstance(update.event, MessageReceived)


def test_errors_beside_a_message_are_kept_and_the_message_is_taken() -> None:
    errors = [{"code": 131051, "title": "Message type unknown", "error_data": {"details": "…"}}]
    taken, kept = updates_of(body({"messages": [message()], "errors": errors}), {}, NOW)
    assert isinstance(taken.event, MessageReceived)
    assert isinstance(kept.event, AccountChanged)
    assert json.loads(bytes(kept.event.raw))["value"]["errors"] == errors
    (alone,) = updates_of(body({"errors": errors}), {}, NOW)
    assert isinstance(alone.event, AccountChanged)


def test_a_status_needs_nothing_that_came_before() -> None:
    """Read before delivered before sent, of a message nobody here has heard of."""
    statuses = [
        {"id": "wamid.out", "status": word, "timestamp": "1750000000"} for word in ("read", "delivered", "sent")
    ]
    found = [update.event for update in updates_of(body({"statuses": statuses}), {}, NOW)]
    assert [event.status for event in found if isinstance(event, DeliveryChanged)] == ["read", "delivered", "sent"]


def test_edits_and_revocations_name_what_they_are_about() -> None:
    edit = message(1, type="edit", edit={"original_message_id": "wamid.0", "message": {"type": "text"}})
    revoke = message(2, type="revoke", revoke={"original_message_id": "wamid.0"})
    contents = [update.event.content for update in updates_of(body({"messages": [edit, revoke]}), {}, NOW)]  # type: ignore[union-attr]
    assert contents == [m.Edit("wamid.0"), m.Revoke("wamid.0")]


def test_a_thousand_updates_of_which_some_are_broken() -> None:
    """One bad update costs its neighbours nothing, wherever it stands."""
    broken: list[Any] = [None, 5, "x", [], {}, {"id": 1}, message(0, **{"from": None}), {"id": "", "from": PHONE}]
    updates: list[Any] = [message(n, timestamp=str(1750000000 + n)) for n in range(1, 993)]
    for n, bad in enumerate(broken):
        updates.insert(n * 120, bad)
    assert len(updates) == 1000
    found = updates_of(body({"messages": updates}), {}, NOW)
    taken = [update.event.wamid for update in found if isinstance(update.event, MessageReceived)]
    assert taken == [f"wamid.{n}" for n in range(1, 993)]
    (kept,) = [update.event for update in found if isinstance(update.event, AccountChanged)]
    assert json.loads(bytes(kept.raw))["value"]["messages"] == updates


def test_decimals_are_kept_as_they_were_sent() -> None:
    item = {"product_retailer_id": "s", "quantity": 2, "item_price": "PRICE", "currency": "EUR"}
    sent = body({"messages": [message(type="order", order={"catalog_id": "c", "product_items": [item]})]})
    for given, price in (("7.90", "7.90"), ("599.9", "599.9"), ("1e2", "100"), ("0.1000000000000000055", None)):
        (update,) = updates_of(sent.replace(b'"PRICE"', given.encode()), {}, NOW)
        assert isinstance(update.event, MessageReceived)
        assert isinstance(update.event.content, m.Order)
        assert update.event.content.items[0].price == price
        assert given.encode() in encode(update.event)


SCRIPT = """
import asyncio, sys
from datetime import UTC, datetime
from panier_common import telemetry
telemetry.set_up("ingest", "0", "DEBUG", "key")
from panier_ingest.envelope import updates_of
from panier_ingest.identity_directory import IdentityDirectory
from panier_ingest.links import Links
body = sys.stdin.buffer.read()
updates_of(body, {}, datetime.now(UTC), Links())
class Record: key = value = b"x"; headers = [("ce_type", b"panier.customers.linked.v1")]; offset = 1
IdentityDirectory("nowhere")._take(Record)
Record.value = body
IdentityDirectory("nowhere")._take(Record)
"""


def test_no_customer_is_in_a_log() -> None:
    """Not even at the level of debugging, not even what cannot be read."""
    sent = body({"messages": [message(text={"body": "a private word"}), {"from": PHONE, "id": 5.5}], "contacts": [5]})
    done = subprocess.run([sys.executable, "-c", SCRIPT], input=sent, capture_output=True, check=True)
    assert b"a link cannot be read" in done.stdout
    for secret in (PHONE.encode(), b"private", b"wamid", NUMBER.encode()):
        assert secret not in done.stdout + done.stderr
