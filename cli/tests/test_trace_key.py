"""`panier trace-key`: the hashes that it prints are those that spans have."""

import hashlib
from collections.abc import Iterator

import pytest
from panier_common import telemetry
from panier_common.conventions import CONVERSATION
from panier_common.testing.traces import recorded

from .conftest import Panier
from .fake_services import TOKEN, FakeServices
from .test_customer import HERE, NUMBER, PHONE, ROW, USER, knows

WHO = ("trace-key", "--number", NUMBER, "--customer")
CONTEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What a service of this installation says of a record of the conversation."""
    keyed = hashlib.blake2b(key=telemetry.hash_key(TOKEN), digest_size=8)
    monkeypatch.setattr(telemetry._State, "keyed", keyed)
    with recorded() as spans:
        telemetry.start_process("panier.inbound.v1", "panier.cart", "a.type", CONTEXT, 1, 2, HERE).end()
        yield str(spans[0].attributes[CONVERSATION])


@pytest.mark.parametrize("who", [USER, PHONE, "+33 6 00 00 00 01"])
def test_either_id_leads_to_the_hash_of_the_conversation(
    panier: Panier, services: FakeServices, spans_hash: str, who: str
) -> None:
    knows(services, ROW)
    found = panier(*WHO, who, "--json").document
    assert found["attribute"] == CONVERSATION
    assert found["conversations"][0] == {"conversation": HERE, "hash": spans_hash}
    assert f"{CONVERSATION}={spans_hash}" in panier(*WHO, who).out


def test_alone_it_asks_nobody(
    panier: Panier, services: FakeServices, spans_hash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = panier(*WHO, USER, "--alone", "--json").document
    assert found["conversations"] == [{"conversation": HERE, "hash": spans_hash}]
    assert not services.requests
    monkeypatch.setenv("PANIER_ADMIN_TOKEN", "of another installation")
    other = panier(*WHO, USER, "--alone", "--json").document
    assert other["conversations"][0]["hash"] != spans_hash


def test_without_a_token_there_is_no_hash(panier: Panier) -> None:
    done = panier(*WHO, USER, "--alone", "--json")
    assert (done.exit, done.error["code"]) == (2, "no_token")
