"""The simulated provider: its link, and notifications that are signed but not as CONTRACT.md has them."""

import json

import pytest
from panier_payments import BadNotification, BadSignature, Payable, Simulated
from panier_payments.simulated import sign

SECRET = "simulated"
GOOD = {"id": "n-1", "order_id": "o-1", "state": "paid", "minor": 820, "currency": "EUR"}


def verify(raw: bytes) -> object:
    return Simulated.verify_notification(raw, {"X-Panier-Signature": sign(raw, SECRET)}, SECRET)


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("http://localhost:8070/pay", "http://localhost:8070/pay/o%2F1"),
        ("http://localhost:8070/pay/", "http://localhost:8070/pay/o%2F1"),
        ("http://localhost:8070/pay/{currency}/{minor}", "http://localhost:8070/pay/EUR/820/o%2F1"),
    ],
)
def test_the_link_is_the_page_and_the_order_id(page: str, link: str) -> None:
    assert Simulated(page).link(Payable("o/1", 820, "EUR")) == link


@pytest.mark.parametrize(
    "wrong",
    [
        {"minor": True},
        {"minor": "820"},
        {"minor": 8.2},
        {"minor": -1},
        {"minor": 10**20},
        {"minor": None},
        {"state": "refunded"},
        {"state": None},
        {"currency": "EURO"},
        {"currency": "eur"},
        {"currency": ""},
        {"id": ""},
        {"id": "x" * 201},
        {"id": 7},
        {"id": "a\x00b"},
        {"order_id": ""},
        {"order_id": "y" * 201},
        {"order_id": "\x00"},
    ],
)
def test_refuses_fields_that_are_not_as_promised(wrong: dict[str, object]) -> None:
    with pytest.raises(BadNotification):
        verify(json.dumps({**GOOD, **wrong}).encode())


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_refuses_a_missing_field(missing: str) -> None:
    with pytest.raises(BadNotification):
        verify(json.dumps({k: v for k, v in GOOD.items() if k != missing}).encode())


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"paid"', b"\xff\xfe", b'{"id": "\xff"}'])
def test_refuses_what_is_no_json_object(raw: bytes) -> None:
    with pytest.raises(BadNotification):
        verify(raw)


def test_takes_what_it_does_not_know() -> None:
    verify(json.dumps({**GOOD, "more": 1, "state": "failed", "minor": 0}).encode())


@pytest.mark.parametrize("value", ["sha256=", "", "sha1=00", "é"])
def test_a_signature_of_another_shape_is_no_signature(value: str) -> None:
    raw = json.dumps(GOOD).encode()
    with pytest.raises(BadSignature):
        Simulated.verify_notification(raw, {"X-Panier-Signature": value}, SECRET)
