"""How much a number may send, and from whom that is known."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from panier_common.contracts.events import AccountChanged, Number, ShopConfigured
from panier_sender.limits import Limits, told

# As Meta documents the webhook (one of an upgrade, one of a messaging limit that is no throughput).
UPGRADE = (
    b'{"value":{"display_phone_number":"15550783881","event":"THROUGHPUT_UPGRADE",'
    b'"current_limit":"TIER_UNLIMITED","max_daily_conversations_per_business":"TIER_UNLIMITED"},'
    b'"field":"phone_number_quality_update"}'
)
RECORDED = Path(__file__).parents[3] / "tests" / "fixtures" / "whatsapp" / "pywa"
START = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONBOARDING = UPGRADE.replace(b"THROUGHPUT_UPGRADE", b"ONBOARDING")


def changed(raw: bytes, field: str = "phone_number_quality_update") -> AccountChanged:
    return AccountChanged("102290129340398", field, START, msgspec.Raw(raw))


def test_an_upgrade_is_understood():
    assert told(changed(UPGRADE)) == ("15550783881", 1000)


@pytest.mark.parametrize("name", ["text", "edit", "delete"])
def test_a_number_beside_the_business_app_is_known_by_its_echoes(name):
    (entry,) = json.loads((RECORDED / f"outgoing_message__{name}.json").read_bytes())["entry"]
    (change,) = entry["changes"]
    assert told(changed(json.dumps(change).encode(), change["field"])) == ("972123456789", 20)


@pytest.mark.parametrize(
    "event",
    [
        changed(b'{"value":{"message_echoes":[]}}', "smb_message_echoes"),
        changed(b'{"value":{"metadata":{"display_phone_number":5}}}', "history"),
        changed(ONBOARDING),
        changed(UPGRADE, "account_update"),
        changed(b'{"value":{"event":"THROUGHPUT_UPGRADE"}}'),
        changed(b'{"value":[1,2]}'),
        changed(b"null"),
        changed(b"{"),
    ],
)
def test_all_else_says_nothing(event):
    assert told(event) is None


def shop(*numbers: Number) -> ShopConfigured:
    return ShopConfigured(
        "bakery", 1, "Bakery", ("fr",), "EUR", "Europe/Paris", "1", numbers, True, None, "simulated", 1800
    )


def test_the_file_then_meta_then_the_usual():
    plain = Number("1", "+1 555-078-3881", "T")
    own = shop(plain, replace(plain, phone_number_id="2", messages_per_second=20))
    limits = Limits({"1": own, "2": own})
    assert (limits("1"), limits("2"), limits("unknown")) == (80, 20, 80)
    limits.told = {"15550783881": 1000}
    assert (limits("1"), limits("2")) == (1000, 20)
    assert Limits({"1": shop(replace(plain, messages_per_second=5000))})("1") == 1000
