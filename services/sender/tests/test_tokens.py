"""Where access tokens come from."""

import pytest
from panier_common.contracts.events import Number, ShopConfigured
from panier_sender import tokens
from panier_sender.tokens import Tokens
from structlog.testing import capture_logs

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


def test_what_surrounds_a_token_is_no_part_of_it(found, monkeypatch, tmp_path):
    monkeypatch.setenv("TEST_TOKEN_A", " a\n")
    monkeypatch.setenv("TEST_TOKEN_B", "\n")
    (tmp_path / "token").write_text("\tb \r\n")
    monkeypatch.setenv("TEST_TOKEN_B_FILE", str(tmp_path / "token"))
    assert (found.of("1"), found.of("2")) == ("a", "b")


@pytest.mark.parametrize("content", ["EAA\nsecret", "EAA secret", "EAA\x00secret", "EAAsécret", "EAA\x7fsecret"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_what_no_header_can_carry_is_no_token_and_told_once(found, monkeypatch, tmp_path, content, encoding):
    monkeypatch.setattr(tokens, "FRESH_SECONDS", -1.0)
    path = tmp_path / "token"
    path.write_bytes(content.encode(encoding))
    monkeypatch.setenv("TEST_TOKEN_A_FILE", str(path))
    monkeypatch.setenv("TEST_TOKEN_B", "b\nsecret")
    with capture_logs() as said:
        assert [found.of(number) for number in ("1", "1", "2", "2")] == [None] * 4
        path.write_text("good")
        assert found.of("1") == "good"
    assert [line["variable"] for line in said] == ["TEST_TOKEN_A", "TEST_TOKEN_B"]
    assert "cret" not in str(said)


def test_a_file_is_read_anew_when_it_changed(found, monkeypatch, tmp_path):
    monkeypatch.setattr(tokens, "FRESH_SECONDS", -1.0)
    path = tmp_path / "token"
    monkeypatch.setenv("TEST_TOKEN_A_FILE", str(path))
    assert found.of("1") is None
    path.write_text("old\n")
    assert found.of("1") == "old"
    path.write_text("new\n")
    assert found.of("1") == "new"


def test_a_folder_brings_new_tokens_and_new_shops_without_a_restart(monkeypatch, tmp_path):
    """As Kubernetes brings a Secret: files behind a link that changes its aim."""
    monkeypatch.setattr(tokens, "FRESH_SECONDS", -1.0)
    found = Tokens({"1": SHOP, "2": SHOP}, tmp_path)
    for version, names in (("old", ["TEST_TOKEN_A"]), ("new", ["TEST_TOKEN_A", "TEST_TOKEN_B"])):
        (tmp_path / version).mkdir()
        for name in names:
            (tmp_path / version / name).write_text(f"{version}\n")
            (tmp_path / name).unlink(missing_ok=True)
            (tmp_path / name).symlink_to(tmp_path / "..data" / name)
    for version, of_second in (("old", None), ("new", "new")):
        (tmp_path / "..data").unlink(missing_ok=True)
        (tmp_path / "..data").symlink_to(tmp_path / version)
        assert (found.of("1"), found.of("2")) == (version, of_second)
    monkeypatch.setenv("TEST_TOKEN_A", "the-variable")
    assert found.of("1") == "the-variable"
