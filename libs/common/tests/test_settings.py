"""Settings from the environment: wrong ones are named, and nothing that was given is shown."""

import pytest
from panier_common.settings import DatabaseSettings, SettingsError
from pydantic_settings import SettingsConfigDict


class BakerySettings(DatabaseSettings):
    model_config = SettingsConfigDict(env_prefix="PANIER_BAKERY_")


GIVEN = {
    "PANIER_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "PANIER_ADMIN_TOKEN": "hunter2",
    "PANIER_BAKERY_DATABASE_URL": "postgresql://panier:hunter2@localhost/bakery",
}


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)


def test_settings_come_from_the_environment() -> None:
    assert BakerySettings().admin_token.get_secret_value() == "hunter2"


@pytest.mark.parametrize("missing", GIVEN)
def test_a_missing_setting_is_named_as_it_is_given(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(SettingsError, match=f"^{missing}: Field required$"):
        BakerySettings()


def test_what_is_wrong_is_named_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANIER_BAKERY_ADMIN_PORT", "tcp://10.0.0.1:9090")
    with pytest.raises(SettingsError, match="PANIER_BAKERY_ADMIN_PORT") as raised:
        BakerySettings()
    assert "hunter2" not in str(raised.value)
    assert "10.0.0.1" not in str(raised.value)
    assert raised.value.__context__ is None, "pydantic's own error shows what was given"
