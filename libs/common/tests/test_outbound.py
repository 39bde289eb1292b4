"""A message that WhatsApp would refuse cannot be built; money is exact; events survive the wire."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panier_common.contracts import outbound as o
from panier_common.contracts.events import Customer, MessageReceived
from panier_common.contracts.inbound import Text
from panier_common.event import UnknownEventError, decode, encode, received
from panier_common.identity import is_user_id
from panier_common.kafka import partition_of
from panier_common.money import minor_units, parse_price, show
from pydantic import ValidationError

BUTTON = o.ReplyButton(id="cart:show", title="Mon panier")
ROW = {"id": "r", "title": "t"}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (o.TextMessage, {"body": "x" * 4097}),
        (o.TextMessage, {"body": ""}),
        (o.ButtonsMessage, {"body": "b", "buttons": [{"id": str(i), "title": str(i)} for i in range(4)]}),
        (o.ButtonsMessage, {"body": "b", "buttons": [{"id": "a", "title": "x" * 21}]}),
        (o.ButtonsMessage, {"body": "b", "buttons": [{"id": "a", "title": "t"}, {"id": "b", "title": "t"}]}),
        (o.ButtonsMessage, {"body": "x" * 1025, "buttons": [BUTTON]}),
        (o.ListMessage, {"body": "b", "button": "x" * 21, "sections": [{"rows": [ROW]}]}),
        (o.ListMessage, {"body": "b", "button": "b", "sections": [{"rows": [{**ROW, "title": "x" * 25}]}]}),
        (o.ListMessage, {"body": "b", "button": "b", "sections": [{"rows": [{**ROW, "description": "x" * 73}]}]}),
        (
            o.ListMessage,
            {
                "body": "b",
                "button": "b",
                "sections": [
                    {"title": f"{s}", "rows": [{"id": f"{s}{r}", "title": "t"} for r in range(6)]} for s in "ab"
                ],
            },
        ),
        (
            o.ProductListMessage,
            {
                "catalog_id": "1",
                "header": "h",
                "body": "b",
                "sections": [{"title": "t", "skus": [str(i) for i in range(31)]}],
            },
        ),
        (o.ProductListMessage, {"catalog_id": "1", "body": "b", "sections": [{"title": "t", "skus": ["1"]}]}),
        (o.CarouselMessage, {"catalog_id": "1", "body": "b", "skus": ["1"]}),
        (o.LinkMessage, {"body": "b", "title": "t", "url": "javascript:alert(1)"}),
        (o.MediaMessage, {"media": "image"}),
        (o.MediaMessage, {"media": "document", "content": "JVBERg=="}),
        (o.MediaMessage, {"media": "document", "media_id": "1", "mime_type": "application/pdf"}),
        (o.MediaMessage, {"media": "document", "content": "JVBERg==", "mime_type": "pdf"}),
        (o.MediaMessage, {"media": "document", "content": "", "mime_type": "application/pdf"}),
        (o.MediaMessage, {"media": "sticker", "media_id": "1", "caption": "c"}),
        (
            o.OrderDetailsMessage,
            {
                "body": "b",
                "reference_id": "A-1",
                "payment_type": "upi",
                "currency": "INR",
                "lines": [{"sku": "s", "name": "n", "unit_minor": 100, "quantity": 2}],
                "total_minor": 199,
            },
        ),
    ],
)
def test_what_whatsapp_refuses_cannot_be_built(kind: type[o.Part], fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(fields)


def test_a_message_travels_as_json_and_back() -> None:
    message = o.ButtonsMessage(body="Bonjour", buttons=(BUTTON,))
    assert o.unpacked(o.packed(message)) == message
    assert o.offered(message) == [("cart:show", "Mon panier")]


@given(st.integers(0, 10**9), st.sampled_from(["EUR", "JPY", "KWD", "USD"]))
def test_money_is_read_as_it_is_shown(minor: int, currency: str) -> None:
    digits = {"JPY": 0, "KWD": 3}.get(currency, 2)
    text = str(minor) if not digits else f"{minor // 10**digits}.{minor % 10**digits:0{digits}d}"
    assert minor_units(text, currency) == minor


def test_money_reads_like_its_language() -> None:
    assert show(820, "EUR", "fr") == "8,20\xa0€"
    assert show(820, "EUR", "en") == "€8.20"
    assert parse_price("2.80 EUR").minor == 280


@pytest.mark.parametrize("text", ["2.80", "EUR 2.80", "2,80 EUR", "-1 EUR", "1.234 EUR", "NaN EUR", "1e3 EUR"])
def test_a_price_that_is_none_says_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"price|decimals"):
        parse_price(text)


def test_an_event_survives_the_wire() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    event = MessageReceived("1:FR.1", "1", Customer("FR.1"), "w", at, Text("salut"))
    assert decode(event.ce_type, encode(event)).content == event.content  # type: ignore[attr-defined]
    with pytest.raises(UnknownEventError):
        decode("panier.unheard.of.v1", b"{}")
    with pytest.raises(ValueError, match="ce_time"):
        received("t", 0, 0, {"ce_type": event.ce_type}, encode(event))


def test_keys_go_where_every_kafka_client_puts_them() -> None:
    # The Java client's own test values for murmur2: 21 → -973932308, foobar → -790332482.
    assert partition_of("21", 1000) == (-973932308 & 0x7FFFFFFF) % 1000
    assert partition_of("foobar", 1000) == (-790332482 & 0x7FFFFFFF) % 1000


@pytest.mark.parametrize(
    ("text", "yes"), [("FR.13491208655302741918", True), ("US.ENT.118", True), ("33600000001", False), ("fr.1", False)]
)
def test_user_ids_are_told_from_numbers(text: str, yes: bool) -> None:
    assert is_user_id(text) is yes
