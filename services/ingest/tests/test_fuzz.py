"""The translator under mutations of every recorded webhook: for seconds here, for as long as `PANIER_FUZZ_SECONDS`
says elsewhere (`make fuzz`). Whatever comes: an event of a known type, or "not an object", and nothing else.
"""

import json
import os
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from panier_common.contracts.events import (
    AccountChanged,
    ConversationMerged,
    CustomersLinked,
    DeliveryChanged,
    MessageReceived,
    Number,
    ShopConfigured,
)
from panier_common.event import decode
from panier_ingest.envelope import NotAnObject, updates_of
from panier_ingest.links import Links
from panier_ingest.record import record_of

from .mutations import mutated, torn

SECONDS = float(os.environ.get("PANIER_FUZZ_SECONDS", "4"))
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KNOWN = (MessageReceived, DeliveryChanged, AccountChanged, CustomersLinked, ConversationMerged)
NUMBERS = ("106540352242922", "123456789", "phone-id")


def shop_of(number: str) -> ShopConfigured:
    numbers = (Number(number, "+33 6", "TOKEN"),)
    return ShopConfigured("s", 1, "S", ("fr", "en"), "EUR", "Europe/Paris", "1", numbers, True, None, "x", 1800)


SHOPS = {number: shop_of(number) for number in NUMBERS}


def take(body: bytes, links: Links) -> None:
    """Through the whole pure path of the door, and back as a consumer would read it."""
    try:
        updates = updates_of(body, SHOPS, NOW, links)
    except NotAnObject:
        return
    assert updates
    for update in updates:
        event = update.event
        assert isinstance(event, KNOWN)
        shop = SHOPS.get(event.phone_number_id) if isinstance(event, MessageReceived) else None
        record = record_of(event, update.id, update.at, shop)
        record.value.decode()
        assert decode(event.ce_type, record.value).ce_type == event.ce_type
        if isinstance(event, CustomersLinked):
            links.add(event.first, event.second, event.left)
        if isinstance(event, ConversationMerged):
            assert event.into < event.conversation


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("way", ["documents", "bytes"])
def test_no_webhook_breaks_the_translator(way: str, webhooks: dict[str, bytes]) -> None:
    bodies = list(webhooks.values())
    documents: list[Any] = [json.loads(body) for body in bodies]
    given_bodies: st.SearchStrategy[bytes] = (
        mutated(documents).map(lambda document: json.dumps(document).encode()) if way == "documents" else torn(bodies)
    )
    links = Links()
    ends, rounds = time.monotonic() + SECONDS / 2, 0
    while time.monotonic() < ends or not rounds:
        rounds += 1

        @seed(time.time_ns())
        @settings(max_examples=200, database=None, suppress_health_check=list(HealthCheck))
        @given(given_bodies)
        def run(body: bytes) -> None:
            take(body, links)

        run()
