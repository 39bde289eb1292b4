"""What `panier doctor` finds of settings, Meta and the services: nothing where all is well, and each planted fault.

Brokers and databases are test_doctor_engines.py's.
"""

import http.client
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from panier_cli.commands import doctor
from panier_cli.doctor import meta as meta_check
from panier_cli.doctor import postgres as postgres_check
from panier_cli.doctor import services as services_check
from panier_cli.doctor import settings as settings_check
from panier_cli.doctor.findings import Finding, document
from panier_cli.doctor.view import deployment
from panier_cli.errors import Refused
from panier_cli.internal_api import InternalApi, path
from panier_simulator.client import Simulator
from panier_simulator.testing import running

from .conftest import Done, Panier
from .doctor_findings import levels, the
from .fake_services import FakeServices

NUMBER, ACCOUNT, TOKEN = "106540352242922", "102290129340398", "a-token-of-secret-letters"


def test_a_document_fails_when_one_finding_does() -> None:
    good, bad = Finding("a", "ok", "fine"), Finding("b", "fail", "broken", "mend it")
    assert document([good])["ok"]
    assert document([good, bad]) | {"findings": []} == {
        "ok": False,
        "counts": {"ok": 1, "skipped": 0, "warn": 0, "fail": 1},
        "findings": [],
    }


# Settings.

CART = {
    "PANIER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "PANIER_ADMIN_TOKEN": "x" * 40,
    "PANIER_CART_DATABASE_URL": "postgresql://a@b/c",
}


def test_settings_that_are_whole_are_fine() -> None:
    found = levels(settings_check.look(CART, ()))
    assert (found["settings.cart"], found["settings.names"], found["settings.files"]) == ("ok", "ok", "ok")


def test_a_missing_setting_fails_unless_the_service_runs_with_its_own() -> None:
    env = {name: value for name, value in CART.items() if name != "PANIER_CART_DATABASE_URL"}
    missing = the(settings_check.look(env, ()), "settings.cart")
    assert missing.level == "fail"
    assert "PANIER_CART_DATABASE_URL" in missing.says
    assert levels(settings_check.look(env, {"cart"}))["settings.cart"] == "skipped"


def test_a_value_that_is_not_understood_fails_and_is_not_shown() -> None:
    found = the(settings_check.look({**CART, "PANIER_CART_ADMIN_PORT": "secret-port"}, {"cart"}), "settings.cart")
    assert found.level == "fail"
    assert "PANIER_CART_ADMIN_PORT" in found.says
    assert "secret-port" not in found.says


def test_a_name_that_nobody_reads_is_told_with_the_one_meant() -> None:
    found = the(settings_check.look({**CART, "PANIER_CART_ADMIN_PROT": "1"}, ()), "settings.names")
    assert (found.level, found.do) == ("warn", "did you mean PANIER_CART_ADMIN_PORT?")


@pytest.mark.parametrize("content", [None, " \n"])
def test_a_secrets_file_that_is_missing_or_empty_fails(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    env = {**CART, "PANIER_ADMIN_TOKEN_FILE": str(tmp_path / "token")}
    assert the(settings_check.look(env, ()), "settings.files").level == "fail"


# Meta.

SHOPS = f"""
[[shop]]
id = "bakery"
name = "Bakery"
languages = ["fr"]
currency = "EUR"
timezone = "Europe/Paris"
catalog_id = "1"
business_account_id = "{ACCOUNT}"

[[shop.number]]
phone_number_id = "{NUMBER}"
display = "+33 1 00 00 00 00"
access_token_env = "BAKERY_TOKEN"

[shop.payment]
provider = "simulated"
"""


@pytest.fixture(scope="module")
def whatsapp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("meta")
    (folder / "shops.toml").write_text(SHOPS)
    (folder / "token").write_text(TOKEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAKERY_TOKEN", TOKEN)
        with running("http://127.0.0.1:1/", shops=folder / "shops.toml", simulator_check_tokens="true") as simulator:
            yield (
                simulator,
                {
                    "PANIER_GRAPH_URL": f"{simulator.url}/graph",
                    "PANIER_SHOPS": str(folder / "shops.toml"),
                    "BAKERY_TOKEN_FILE": str(folder / "token"),
                },
            )


def meta(env: dict[str, str]) -> list[Finding]:
    found = list(meta_check.look(env))
    assert not [one for one in found if TOKEN in one.says + one.do]
    return found


def test_meta_knows_the_number_the_token_and_us(whatsapp: tuple[Simulator, dict[str, str]]) -> None:
    assert levels(meta(whatsapp[1])) == {
        f"meta.token.{NUMBER}": "ok",
        "clock.meta": "ok",
        f"meta.number.{NUMBER}": "ok",
        "meta.webhooks.bakery": "ok",
    }


@pytest.mark.parametrize(("days", "level"), [(30, "ok"), (3, "warn"), (0.5, "fail")])
def test_a_token_that_ends(whatsapp: tuple[Simulator, dict[str, str]], days: float, level: str) -> None:
    simulator, env = whatsapp
    at = int(datetime.now(UTC).timestamp() + days * 86400)
    simulator.call("PATCH", f"/api/numbers/{NUMBER}", {"token_expires_at": at})
    try:
        assert the(meta(env), f"meta.token.{NUMBER}").level == level
    finally:
        simulator.call("PATCH", f"/api/numbers/{NUMBER}", {"token_expires_at": 0})


def test_a_token_that_meta_does_not_know(whatsapp: tuple[Simulator, dict[str, str]]) -> None:
    env = {name: value for name, value in whatsapp[1].items() if name != "BAKERY_TOKEN_FILE"}
    found = levels(meta({**env, "BAKERY_TOKEN": "another"}))
    assert found[f"meta.token.{NUMBER}"] == "fail"
    assert the(meta(env), f"meta.token.{NUMBER}").says.endswith("BAKERY_TOKEN is not set")


def test_a_tokens_file_that_is_missing_is_said_once(whatsapp: tuple[Simulator, dict[str, str]]) -> None:
    [found] = meta({**whatsapp[1], "BAKERY_TOKEN_FILE": "/nowhere"})
    assert (found.check, found.level) == (f"meta.token.{NUMBER}", "fail")
    assert "BAKERY_TOKEN_FILE cannot be read" in found.says


async def test_a_file_of_a_databases_url_that_is_missing_is_named() -> None:
    found = the(await postgres_check.look({"PANIER_CART_DATABASE_URL_FILE": "/nowhere"}), "postgres.cart")
    assert (found.level, "PANIER_CART_DATABASE_URL_FILE cannot be read" in found.says) == ("fail", True)


def test_a_token_without_the_right_to_send() -> None:
    said = {"data": {"is_valid": True, "expires_at": 0, "scopes": ["email"]}}
    found = meta_check.judge_token("c", "number 1", 200, said, 0.0)
    assert (found.level, found.says) == ("fail", "number 1: the token lacks whatsapp_business_messaging")


def test_a_number_that_is_not_registered(whatsapp: tuple[Simulator, dict[str, str]]) -> None:
    simulator, env = whatsapp
    simulator.call("PATCH", f"/api/numbers/{NUMBER}", {"registered": False})
    try:
        assert the(meta(env), f"meta.number.{NUMBER}").level == "fail"
        simulator.call("PATCH", f"/api/numbers/{NUMBER}", {"registered": True, "quality": "RED"})
        assert the(meta(env), f"meta.number.{NUMBER}").level == "warn"
    finally:
        simulator.call("PATCH", f"/api/numbers/{NUMBER}", {"registered": True, "quality": "GREEN"})


def _subscription(simulator: Simulator, method: str) -> None:
    connection = http.client.HTTPConnection(simulator.url.partition("//")[2])
    connection.request(method, f"/graph/v26.0/{ACCOUNT}/subscribed_apps", headers={"Authorization": f"Bearer {TOKEN}"})
    assert connection.getresponse().status == 200
    connection.close()


def test_nobody_subscribed_to_the_account(whatsapp: tuple[Simulator, dict[str, str]]) -> None:
    simulator, env = whatsapp
    _subscription(simulator, "DELETE")
    try:
        assert the(meta(env), "meta.webhooks.bakery").level == "fail"
    finally:
        _subscription(simulator, "POST")


def test_a_graph_api_that_is_away_and_a_shops_file_that_is_none(
    whatsapp: tuple[Simulator, dict[str, str]], tmp_path: Path
) -> None:
    away = levels(meta({**whatsapp[1], "PANIER_GRAPH_URL": "http://127.0.0.1:1"}))
    assert away == {f"meta.token.{NUMBER}": "fail", "meta.webhooks.bakery": "fail"}
    (tmp_path / "shops.toml").write_text("nonsense")
    assert levels(meta({"PANIER_SHOPS": str(tmp_path / "shops.toml")})) == {"meta.shops": "fail"}


# The services.


def _row(**changes: Any) -> dict[str, Any]:
    return {"name": "cart", "ready": True, "why": None, "version": "0.1.0", "lag": {}, **changes}


def test_a_service_that_is_ready_behind_or_not_ready() -> None:
    assert levels(services_check.judge(_row())) == {"service.cart": "ok"}
    behind = {"panier.cart.v1": {"records": 10, "seconds": 90.0}}
    assert levels(services_check.judge(_row(lag=behind))) == {"service.cart": "warn"}
    assert levels(services_check.judge(_row(ready=False, why="no broker"))) == {"service.cart": "fail"}


def test_two_versions_side_by_side() -> None:
    assert services_check.versions({"cart": "0.1.0", "sender": "0.1.0"}).level == "ok"
    found = services_check.versions({"cart": "0.1.0", "sender": "0.0.9"})
    assert (found.level, "sender is 0.0.9" in found.says) == ("warn", True)


def test_dead_letters_and_services_nobody_can_find(services: FakeServices) -> None:
    api = InternalApi({"cart": services.url}, "the-token")
    services.on("GET", path("dead-letters"), [{"id": "1"}])
    found = levels(services_check.look({"services": [_row()]}, api))
    assert (found["dead-letters.cart"], found["service.sender"]) == ("warn", "skipped")


def test_sales_that_differ_or_cannot_be_asked() -> None:
    differ = {"shop": "bakery", "day": "2026-07-01"}
    assert services_check.look_at_sales(list).level == "ok"
    found = services_check.look_at_sales(lambda: [differ, differ])
    assert (found.level, found.says) == ("fail", "sales and orders differ: bakery 2026-07-01")

    def nobody() -> list[dict[str, Any]]:
        raise Refused("unreachable", "sales does not answer")

    assert services_check.look_at_sales(nobody).level == "skipped"


# The command.


def test_the_command_exits_1_and_says_what_to_do(panier: Panier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PANIER_KAFKA_BOOTSTRAP_SERVERS", raising=False)
    done = panier("doctor", "--wait", "0", "--json")
    assert done.exit == 1
    failed = {one["check"]: one["do"] for one in done.document["findings"] if one["level"] == "fail"}
    assert failed["kafka.reachable"] == "set PANIER_KAFKA_BOOTSTRAP_SERVERS"
    assert not done.document["ok"]
    shown = panier("doctor", "--only", "kafka.", "--wait", "0")
    assert shown.exit == 1
    assert "→ set PANIER_KAFKA_BOOTSTRAP_SERVERS" in shown.out
    assert "settings." not in shown.out


def test_the_parts_that_nobody_wants_ask_nobody(
    panier: Panier, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PANIER_SHOPS", raising=False)
    assert levels_of(panier("doctor", "--only", "meta.", "--json")) == {"meta.shops": "skipped"}
    assert services.requests == []
    assert levels_of(panier("doctor", "--only", "dead-letters.cart", "--json")) == {"dead-letters.cart": "skipped"}
    assert "/internal/orders" not in {asked.path for asked in services.requests}


def levels_of(done: Done) -> dict[str, str]:
    return {one["check"]: one["level"] for one in done.document["findings"]}


def test_every_finding_is_named_as_its_part_says(services: FakeServices) -> None:
    """Else --only would leave out the part that finds it."""
    services.on("GET", path("shops"), [])
    parts = doctor._parts(deployment({**os.environ, **CART}), 0.0)
    found = {one.check: names for names, look in parts.items() for one in look()}
    assert {check: names for check, names in found.items() if not check.startswith(names)} == {}
    assert {"settings.cart", "kafka.reachable", "postgres.cart", "meta.shops", "service.cart", "sales"} <= found.keys()
