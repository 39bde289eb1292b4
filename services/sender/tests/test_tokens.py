"""Where access tokens come from."""

import pytest
from panier_common.contracts.events import Number, ShopConfigured
from panier_sender import tokens
from panier_sender.tokens import Tokens

SHOP = ShopConfigured(
    "bakery",
    1,
    "Bakery",
    ("fr",),
    "EUR",
    "Europe/Paris",
    "1",
    (Number("1", "+33", "TEST_TOKEN_A"), Number("2", "+33", "TEST_TOKEN_B")),
    True,
    None,
    "simulated",
    1800,
)


@pytest.fixture
def found() -> Tokens:
    return Tokens({"1": SHOP, "2": SHOP})


def test_each_number_has_its_own_variable(found, monkeypatch):
    monkeypatch.setenv("TEST_TOKEN_A", "a")
    monkeypatch.setenv("TEST_TOKEN_B", "b")
    assert (found.of("1"), found.of("2"), found.of("3")) == ("a", "b", None)


def test_a_file_is_read_anew_when_it_changed(found, monkeypatch, tmp_path):
    monkeypatch.setattr(tokens, "FRESH_SECONDS", -1.0)
    path = tmp_path / "token"
    monkeypatch.setenv("TEST_TOKEN_A_FILE", str(path))
    assert found.of("1") is None
    path.write_text("old\n")
    assert found.of("1") == "old"
    path.write_text("new\n")
    assert found.of("1") == "new"
