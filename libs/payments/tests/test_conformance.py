"""Every provider keeps the promises of the Protocol: one line in PROVIDERS and it is tested here."""

import asyncio
import json
from collections.abc import Callable

import pytest
from panier_payments import PROVIDERS, BadSignature, Payable, PaymentError, Provider
from panier_payments.simulated import sign

SECRET = "conformance"
ORDER = Payable("0b2c6f60-2c3f-5b6e-9a53-2a1b7a0c0d11", 820, "EUR")
GOOD = {"id": "n-1", "order_id": ORDER.order_id, "state": "paid", "minor": 820, "currency": "EUR"}

Signed = Callable[[bytes, str], dict[str, str]]
# How each provider that sends notifications signs them.
SIGNED: dict[str, Signed] = {"simulated": lambda raw, secret: {"X-Panier-Signature": sign(raw, secret)}}

providers = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
notifying = pytest.mark.parametrize("name", [n for n, p in PROVIDERS.items() if p.takes_payments])


@providers
def test_is_listed_under_its_own_name(provider: type[Provider]) -> None:
    assert PROVIDERS[provider.name] is provider


@providers
def test_opens_the_same_session_however_often_it_is_asked(provider: type[Provider]) -> None:
    one = provider("http://localhost/pay")
    first, again = asyncio.run(one.create_session(ORDER)), asyncio.run(one.create_session(ORDER))
    assert first == again
    assert (first is not None) == provider.takes_payments


@providers
def test_the_link_told_without_asking_is_the_session_s(provider: type[Provider]) -> None:
    one = provider("http://localhost/pay")
    link, session = one.link(ORDER), asyncio.run(one.create_session(ORDER))
    assert link is None or (session is not None and session.url == link)


@providers
def test_a_closed_session_says_closed_or_paid(provider: type[Provider]) -> None:
    one = provider("http://localhost/pay")
    assert asyncio.run(one.close(ORDER.order_id)) in {"closed", "paid"}
    assert asyncio.run(one.look_up(ORDER.order_id)) in {"open", "closed", "paid"}


@providers
def test_refuses_what_nobody_signed(provider: type[Provider]) -> None:
    with pytest.raises(PaymentError):
        provider.verify_notification(json.dumps(GOOD).encode(), {}, SECRET)


@notifying
def test_reads_what_it_signed(name: str) -> None:
    raw = json.dumps(GOOD).encode()
    told = PROVIDERS[name].verify_notification(raw, SIGNED[name](raw, SECRET), SECRET)
    assert (told.provider, told.notification_id, told.order_id) == (name, "n-1", ORDER.order_id)
    assert (told.state, told.minor, told.currency) == ("paid", 820, "EUR")
    assert bytes(told.raw) == raw
    assert told.at.tzinfo is not None


@notifying
def test_header_names_come_in_any_case(name: str) -> None:
    raw = json.dumps(GOOD).encode()
    for shape in (str.lower, str.upper):
        headers = {shape(k): v for k, v in SIGNED[name](raw, SECRET).items()}
        assert PROVIDERS[name].verify_notification(raw, headers, SECRET).minor == 820


@notifying
@pytest.mark.parametrize("secret", ["other", ""])
def test_refuses_another_secret(name: str, secret: str) -> None:
    raw = json.dumps(GOOD).encode()
    with pytest.raises(BadSignature):
        PROVIDERS[name].verify_notification(raw, SIGNED[name](raw, secret), SECRET)
    with pytest.raises(BadSignature):
        PROVIDERS[name].verify_notification(raw, SIGNED[name](raw, ""), "")


@notifying
def test_refuses_a_changed_body(name: str) -> None:
    raw = json.dumps(GOOD).encode()
    with pytest.raises(BadSignature):
        PROVIDERS[name].verify_notification(raw + b" ", SIGNED[name](raw, SECRET), SECRET)
