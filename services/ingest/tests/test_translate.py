"""Each recorded webhook becomes exactly the updates that `data/updates.json` holds (reviewed by hand)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from panier_common.contracts import inbound as m
from panier_common.contracts.events import AccountChanged, DeliveryChanged, Event, MessageReceived, ShopConfigured
from panier_ingest.envelope import CONTENT_LIMIT, NotAnObject, updates_of
from panier_ingest.translate import content_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EXPECTED = json.loads((Path(__file__).parent / "data" / "updates.json").read_text("utf-8"))


def events(body: bytes, shops: dict[str, ShopConfigured] | None = None) -> list[Event]:
    return [update.event for update in updates_of(body, shops or {}, NOW)]


def plain(event: Event) -> dict[str, Any]:
    """The event as the golden file writes it: without Meta's JSON, which has a test of its own."""
    fields = json.loads(msgspec.json.encode(event))
    del fields["raw"]
    return {"event": type(event).__name__, **fields}


def test_every_webhook_is_translated_as_reviewed(webhook_name: str, webhooks: dict[str, bytes]) -> None:
    found = [plain(event) for event in events(webhooks[webhook_name])]
    assert found == EXPECTED[webhook_name]


def text(body: Any, **more: Any) -> dict[str, Any]:
    return {"from": "33699999999", "id": "wamid.1", "timestamp": "1750000000", "type": "text",
            "text": {"body": body}, **more}  # fmt: skip


def order(*items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "order", "order": {"catalog_id": "c", "product_items": list(items), **more}}


@pytest.mark.parametrize(
    ("given", "quantity"),
    [("2", 2), ("0", 0), ("100", 100), ("-1", -1), ("2.0", 2), ("2.5", None), ('"3"', 3), ('"two"', None),
     ("true", None), ("null", None), ("[]", None), ("1e99", None), ("1e999999999999999999999", None),
     ("9" * 5000, None), ("9" * 40, None)],
)  # fmt: skip
def test_a_quantity_is_a_whole_number_or_nothing(given: str, quantity: int | None, make_webhook: Any) -> None:
    message = {**text(""), **order({"product_retailer_id": "s", "quantity": "QUANTITY", "currency": "EUR"})}
    body = make_webhook(message).replace(b'"QUANTITY"', given.encode())
    first, *_ = events(body)
    if isinstance(first, AccountChanged):  # a number no decoder takes: the change is kept whole
        assert given.encode() in bytes(first.raw)
        assert len(given) > 4300
        return
    assert isinstance(first, MessageReceived)
    assert isinstance(first.content, m.Order)
    assert first.content.items[0].quantity == quantity


@pytest.mark.parametrize(
    ("given", "price"),
    [("7.99", "7.99"), ("599.90", "599.90"), ("30", "30"), ("0.1", "0.1"), ("3e1", "30"), ('"2.80"', "2.80"),
     ("1e400", None), ("1e-400", None), ('"free"', None), ('"NaN"', None), ('"1_0"', None), ('"٣"', None),
     ("true", None), ("{}", None), ("null", None), ("12345678901234567890123456789012", None)],
)  # fmt: skip
def test_a_price_is_the_text_the_phone_showed(given: str, price: str | None, make_webhook: Any) -> None:
    message = {**text(""), **order({"product_retailer_id": "s", "quantity": 1, "item_price": "PRICE"})}
    event, *_ = events(make_webhook(message).replace(b'"PRICE"', given.encode()))
    assert isinstance(event, MessageReceived)
    assert isinstance(event.content, m.Order)
    assert event.content.items[0].price == price


@pytest.mark.parametrize(
    "message",
    [
        {"type": "text", "text": {"body": 5}},
        {"type": "text", "text": "hello"},
        {"type": "text"},
        {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": []}},
        {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"title": "no id"}}},
        {"type": "button", "button": {}},
        order({"product_retailer_id": "a"}, {"quantity": 1}),
        order("a"),
        {"type": "order", "order": {"product_items": {"a": 1}}},
        {"type": "location", "location": {"latitude": 91, "longitude": 0}},
        {"type": "location", "location": {"latitude": "here", "longitude": 0}},
        {"type": "image", "image": None},
        {"type": "contacts", "contacts": {}},
        {"type": "reaction", "reaction": {"emoji": "👍"}},
        {"type": "system", "system": "changed"},
        {"type": "unsupported", "errors": 131051},
        {"type": "hologram", "hologram": {}},
        {"type": ["text"]},
        {},
    ],
)
def test_a_message_unlike_its_type_is_unknown(message: dict[str, Any]) -> None:
    assert isinstance(content_of(message), m.Unknown)


@pytest.mark.parametrize("broken", [{"id": 7}, [], "text", 5, None, text(5, id=None), {"from": {}, "id": "x"}])
def test_a_broken_message_costs_its_neighbours_nothing(broken: Any, make_webhook: Any) -> None:
    body = make_webhook(text("one"), broken, text("two", id="wamid.2"))
    first, second, *rest = events(body)
    assert isinstance(first, MessageReceived)
    assert isinstance(second, MessageReceived)
    assert (first.content, second.content) == (m.Text("one"), m.Text("two"))
    assert all(isinstance(event, AccountChanged | MessageReceived) for event in rest)
    assert rest


def test_text_that_postgresql_refuses_is_kept_and_readable(make_webhook: Any) -> None:
    (event,) = events(make_webhook(text("a\0b\ud83dc")))
    assert isinstance(event, MessageReceived)
    assert event.content == m.Text("a\ufffdb\ufffdc")
    assert json.loads(bytes(event.raw))["text"]["body"] == "a\ufffdb\ufffdc"


def test_metas_bytes_are_kept_as_they_came(make_webhook: Any) -> None:
    message = b'{"from":"336","id" :\t"w", "type":"text","text":{"body":"\\u00e9\\/"},"n":1.50}'
    body = make_webhook("MESSAGE").replace(b'"MESSAGE"', message)
    (event,) = events(body)
    assert isinstance(event, MessageReceived)
    assert bytes(event.raw) == message
    assert b'"raw":' + message in msgspec.json.encode(event)


@pytest.mark.parametrize(
    ("message", "contacts", "expected"),
    [
        ({"from": "33699999999"}, [], (None, "33699999999")),
        ({"from": "+33 6 99 99 99 99"}, [], (None, "33699999999")),
        ({"from": "FR.1a"}, [], ("FR.1a", None)),
        ({"from": "FR.1a", "from_user_id": "FR.1a"}, [], ("FR.1a", None)),
        ({"from": 33699999999, "from_user_id": "FR.1a"}, [], ("FR.1a", "33699999999")),
        ({"from": "33699999999"}, [{"wa_id": "33699999999", "user_id": "FR.1a"}], ("FR.1a", "33699999999")),
        ({"from": "5511999"}, [{"wa_id": "551199", "user_id": "BR.1a"}], ("BR.1a", "5511999")),
        ({"from_user_id": "FR.1a"}, [{"user_id": "FR.1a", "wa_id": "336"}], ("FR.1a", "336")),
        ({"from_user_id": "FR.1a"}, [{"user_id": "FR.2b", "wa_id": "336"}], ("FR.1a", None)),
        ({"from": "1"}, [{"wa_id": "2", "user_id": "FR.2"}, {"wa_id": "1", "user_id": "FR.1"}], ("FR.1", "1")),
        ({"from": "3"}, [{"wa_id": "2", "user_id": "FR.2"}, {"wa_id": "1", "user_id": "FR.1"}], (None, "3")),
        ({}, [{"wa_id": "FR.1a"}], ("FR.1a", None)),
        ({}, [{"user_id": "not-a-user-id"}], ("not-a-user-id", None)),
        ({"from": "336"}, [{"user_id": "not-a-user-id"}], (None, "336")),
    ],
)
def test_the_customer_is_found_wherever_the_ids_are(
    message: dict[str, Any], contacts: list[Any], expected: tuple[str | None, str | None], make_webhook: Any
) -> None:
    document = json.loads(make_webhook({**text("x"), "from": None, **message}))
    document["entry"][0]["changes"][0]["value"]["contacts"] = contacts
    (event,) = events(json.dumps(document).encode())
    assert isinstance(event, MessageReceived)
    assert (event.customer.user_id, event.customer.wa_id) == expected
    assert event.conversation == f"106540352242922:{expected[0] or expected[1]}"


def test_a_lone_contact_is_not_given_to_two_senders(make_webhook: Any) -> None:
    document = json.loads(make_webhook(text("a", **{"from": "1"}), text("b", **{"from": "2", "id": "w2"})))
    contact = {"wa_id": "1", "user_id": "FR.1", "profile": {"name": "One"}}
    document["entry"][0]["changes"][0]["value"]["contacts"] = [contact]
    one, two = events(json.dumps(document).encode())
    assert isinstance(one, MessageReceived)
    assert isinstance(two, MessageReceived)
    assert (one.customer.user_id, one.customer.name) == ("FR.1", "One")
    assert (two.customer.user_id, two.customer.wa_id, two.customer.name) == (None, "2", "")


@pytest.mark.parametrize(
    "timestamp", [None, "", "soon", "-5", 0, True, [], "99999999999999999999", 1e300, "4000000000"]
)
def test_a_time_that_cannot_be_is_now(timestamp: Any, make_webhook: Any) -> None:
    (event,) = events(make_webhook(text("x", timestamp=timestamp)))
    assert isinstance(event, MessageReceived)
    assert event.at == NOW


def test_a_number_of_no_shop_is_kept_without_a_shop(make_webhook: Any, shop: ShopConfigured) -> None:
    shops = {"106540352242922": shop}
    ours, *_ = events(make_webhook(text("x")), shops)
    (strange,) = events(make_webhook(text("x"), number="999"), shops)
    assert isinstance(ours, MessageReceived)
    assert isinstance(strange, MessageReceived)
    assert (ours.shop, strange.shop) == ("bakery", None)


def test_each_participant_of_a_group_has_a_status_of_his_own(make_webhook: Any) -> None:
    status = {"id": "wamid.OUT", "status": "read", "timestamp": "1750000000"}
    people = [status, *({**status, "recipient_participant_id": who} for who in ("1", "2"))]
    updates = updates_of(make_webhook(statuses=people), {}, NOW)
    assert len({update.id for update in updates}) == 3
    assert all(isinstance(update.event, DeliveryChanged) for update in updates)


def test_our_own_id_comes_back_with_a_status(make_webhook: Any) -> None:
    status = {"id": "w", "status": "failed", "biz_opaque_callback_data": "our-id", "recipient_id": "FR.1a",
              "errors": [{"code": 131047, "title": "late"}, "odd", {"code": "x"}]}  # fmt: skip
    (event,) = events(make_webhook(statuses=[status]))
    assert isinstance(event, DeliveryChanged)
    assert (event.message_id, event.recipient_user_id, event.recipient_wa_id) == ("our-id", "FR.1a", None)
    assert [error.code for error in event.errors] == [131047]


def test_a_payment_report_is_no_delivery(make_webhook: Any) -> None:
    report = {"id": "w", "status": "failed", "type": "payment", "payment": {"reference_id": "r"}}
    (event,) = events(make_webhook(statuses=[report]))
    assert isinstance(event, AccountChanged)


@pytest.mark.parametrize("body", [b"", b"text", b"[]", b"null", b"5", b'{"a":1', b'{"a":1}x', b'{"a":"\0"}', b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(NotAnObject):
        updates_of(body, {}, NOW)


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"entry":5}', b'{"entry":[]}', b'{"entry":[5,{}]}', b'{"entry":[{"changes":[null]}]}',
     b'{"entry":[{"changes":[{"field":"messages","value":{"messages":"x"}}]}]}',
     b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"],
)  # fmt: skip
def test_a_shape_nobody_has_seen_is_kept(body: bytes) -> None:
    found = events(body)
    assert found
    assert all(isinstance(event, AccountChanged) for event in found)


def test_a_giant_message_is_kept_once(make_webhook: Any) -> None:
    (event,) = events(make_webhook(text("x" * CONTENT_LIMIT)))
    assert isinstance(event, MessageReceived)
    assert event.content == m.Unknown("text")
    assert len(msgspec.json.encode(event)) < CONTENT_LIMIT + 2000


def test_repeats_have_one_id_and_different_updates_different_ones(webhooks: dict[str, bytes]) -> None:
    for body in webhooks.values():
        later = datetime(2026, 11, 24, tzinfo=UTC)
        first = [update.id for update in updates_of(body, {}, NOW)]
        assert first == [update.id for update in updates_of(body, {}, later)]
