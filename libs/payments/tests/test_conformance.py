"""Every provider keeps the promises of the Protocol: one line in PROVIDERS and it is tested here.

So is one over real HTTP, whose server is slow, fails, and forgets to answer what it did.
"""

import json
from collections.abc import AsyncIterator, Callable

import pytest
from panier_payments import PROVIDERS, BadSignature, Payable, PaymentError, Provider, ProviderError
from panier_payments.simulated import sign
from panier_payments.testing import OverHttp, Till, till

SECRET = "conformance"
ORDER = Payable("0b2c6f60-2c3f-5b6e-9a53-2a1b7a0c0d11", 820, "EUR")
GOOD = {"id": "n-1", "order_id": ORDER.order_id, "state": "paid", "minor": 820, "currency": "EUR"}
TESTED: dict[str, type[Provider]] = {**PROVIDERS, OverHttp.name: OverHttp}


def simulated(raw: bytes, secret: str) -> dict[str, str]:
    return {"X-Panier-Signature": sign(raw, secret)}


# How each provider that sends notifications signs them.
SIGNED: dict[str, Callable[[bytes, str], dict[str, str]]] = {"simulated": simulated, OverHttp.name: simulated}

notifying = pytest.mark.parametrize("name", [name for name, one in TESTED.items() if one.takes_payments])


@pytest.fixture
async def opened() -> AsyncIterator[Till]:
    async with till() as one:
        yield one


@pytest.fixture(params=list(TESTED))
def provider(request: pytest.FixtureRequest, opened: Till) -> Provider:
    """At the address it is reached at."""
    return TESTED[request.param](opened.url)


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_is_listed_under_its_own_name(name: str) -> None:
    assert PROVIDERS[name].name == name


async def test_opens_the_same_session_however_often_it_is_asked(provider: Provider) -> None:
    first, again = await provider.create_session(ORDER), await provider.create_session(ORDER)
    assert first == again
    assert (first is not None) == provider.takes_payments


async def test_the_link_told_without_asking_is_the_session_s(provider: Provider) -> None:
    link, session = provider.link(ORDER), await provider.create_session(ORDER)
    assert link == (None if provider.remote or session is None else session.url)


async def test_a_closed_session_says_closed_or_paid(provider: Provider) -> None:
    session = await provider.create_session(ORDER)
    session_id = session.id if session is not None else ORDER.order_id
    assert await provider.look_up(session_id) in {"open", "closed", "paid"}
    closed = await provider.close(session_id)
    assert closed in {"closed", "paid"}
    assert await provider.close(session_id) == closed


async def test_a_remote_provider_that_does_not_answer_says_so_and_can_be_asked_again(opened: Till) -> None:
    provider = OverHttp(opened.url)
    opened.failing = opened.forgetting = 1
    for _ in range(2):
        with pytest.raises(ProviderError):
            await provider.create_session(ORDER)
    session = await provider.create_session(ORDER)
    assert session is not None
    assert list(opened.states) == [session.id]
    with pytest.raises(ProviderError):
        await OverHttp("http://127.0.0.1:9").close(session.id)


async def test_what_was_paid_cannot_be_closed(opened: Till) -> None:
    provider = OverHttp(opened.url)
    session = await provider.create_session(ORDER)
    assert session is not None
    opened.states[session.id] = "paid"
    assert await provider.close(session.id) == await provider.look_up(session.id) == "paid"


@pytest.mark.parametrize("name", list(TESTED))
def test_refuses_what_nobody_signed(name: str) -> None:
    with pytest.raises(PaymentError):
        TESTED[name].verify_notification(json.dumps(GOOD).encode(), {}, SECRET)


@notifying
def test_reads_what_it_signed(name: str) -> None:
    raw = json.dumps(GOOD).encode()
    told = TESTED[name].verify_notification(raw, SIGNED[name](raw, SECRET), SECRET)
    assert (told.provider, told.notification_id, told.order_id) == (name, "n-1", ORDER.order_id)
    assert (told.state, told.minor, told.currency) == ("paid", 820, "EUR")
    assert bytes(told.raw) == raw
    assert told.at.tzinfo is not None


@notifying
def test_header_names_come_in_any_case(name: str) -> None:
    raw = json.dumps(GOOD).encode()
    for shape in (str.lower, str.upper):
        headers = {shape(k): v for k, v in SIGNED[name](raw, SECRET).items()}
        assert TESTED[name].verify_notification(raw, headers, SECRET).minor == 820


@notifying
@pytest.mark.parametrize("secret", ["other", ""])
def test_refuses_another_secret(name: str, secret: str) -> None:
    raw = json.dumps(GOOD).encode()
    with pytest.raises(BadSignature):
        TESTED[name].verify_notification(raw, SIGNED[name](raw, secret), SECRET)
    with pytest.raises(BadSignature):
        TESTED[name].verify_notification(raw, SIGNED[name](raw, ""), "")


@notifying
def test_refuses_a_changed_body(name: str) -> None:
    raw = json.dumps(GOOD).encode()
    with pytest.raises(BadSignature):
        TESTED[name].verify_notification(raw + b" ", SIGNED[name](raw, SECRET), SECRET)
