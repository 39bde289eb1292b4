"""What `panier doctor` finds: nothing where all is well, and each fault where one was planted. Real engines."""

import asyncio
import http.client
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from panier_cli.doctor import kafka as kafka_check
from panier_cli.doctor import meta as meta_check
from panier_cli.doctor import postgres as postgres_check
from panier_cli.doctor import services as services_check
from panier_cli.doctor import settings as settings_check
from panier_cli.doctor.findings import Finding, document
from panier_cli.doctor.kafka import Right
from panier_cli.errors import Refused
from panier_cli.internal_api import InternalApi, path
from panier_common.kafka import apply_topics
from panier_common.testing.plugin import Database
from panier_common.topics import CHANGELOGS, TOPICS
from panier_simulator.client import Simulator
from panier_simulator.testing import running

from .conftest import Panier
from .fake_services import FakeServices

NUMBER, ACCOUNT, TOKEN = "106540352242922", "102290129340398", "a-token-of-secret-letters"


def levels(found: Any) -> dict[str, str]:
    return {one.check: one.level for one in found}


def the(found: Any, check: str) -> Finding:
    [one] = [one for one in found if one.check == check]
    return one


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


# Kafka.


@pytest_asyncio.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    await apply_topics(kafka)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    yield admin
    await admin.close()
    await apply_topics(kafka)


async def _alter(admin: AIOKafkaAdminClient, topic: str, **settings: str) -> None:
    of = ConfigResource(ConfigResourceType.TOPIC, topic, {n.replace("_", "."): v for n, v in settings.items()})
    await admin.alter_configs([of])


async def _failing(kafka: str, check: str) -> Finding:
    """The finding once it fails: a broker tells of a change a moment after it was made."""
    async with asyncio.timeout(20):
        while True:
            for one in await kafka_check.look(kafka):
                if (one.check, one.level) == (check, "fail"):
                    return one


async def test_brokers_with_the_tables_topics(kafka: str, admin: AIOKafkaAdminClient) -> None:
    found = levels(await kafka_check.look(kafka))
    fine = ("reachable", "topics", "partitions", "settings")
    assert {found[f"kafka.{what}"] for what in fine} == {"ok"}
    # One broker on a laptop: in plain, one copy, no rights.
    assert {found[f"kafka.{what}"] for what in ("tls", "copies", "rights")} == {"warn"}


async def test_a_topic_that_is_missing(kafka: str, admin: AIOKafkaAdminClient) -> None:
    await admin.delete_topics(["panier.sales.v1"])
    found = await _failing(kafka, "kafka.topics")
    assert found.says == "not there: panier.sales.v1"


async def test_a_topic_with_another_setting(kafka: str, admin: AIOKafkaAdminClient) -> None:
    await _alter(admin, "panier.cart.v1", retention_ms="1000", max_message_bytes="4194304")
    found = await _failing(kafka, "kafka.settings")
    assert "panier.cart.v1: retention.ms is 1000, not 604800000" in found.says
    await admin.delete_topics(["panier.cart.v1"])


async def test_a_topic_with_another_number_of_partitions(kafka: str, admin: AIOKafkaAdminClient) -> None:
    await admin.delete_topics(["panier.account.v1"])
    await _failing(kafka, "kafka.topics")
    await apply_topics(kafka, partitions=5)
    found = await _failing(kafka, "kafka.partitions")
    assert "panier.account.v1" in found.says
    await admin.delete_topics(["panier.account.v1"])


async def test_no_broker() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        [found] = await kafka_check.look(f"127.0.0.1:{taken.getsockname()[1]}")
    assert (found.check, found.level) == ("kafka.reachable", "fail")
    assert [one.level for one in await kafka_check.look(None)] == ["fail"]


# Numbers of Kafka's protocol.
TOPIC, GROUP, ALL, READ, WRITE = 2, 3, 2, 3, 4


def _rights() -> kafka_check.Rights:
    rights: kafka_check.Rights = {}
    for topic in (*TOPICS, *CHANGELOGS):
        for service in topic.producers:
            rights.setdefault(service, []).append(Right(TOPIC, topic.name, False, WRITE))
        for service in topic.consumers:
            rights.setdefault(service, []).append(Right(TOPIC, topic.name, False, READ))
    for service, granted in rights.items():
        granted.append(Right(GROUP, f"panier.{service}", True, READ))
    return rights


def test_rights_as_the_table_says_too_few_and_too_many() -> None:
    assert levels(kafka_check.judge_rights(_rights())) == {"kafka.rights": "ok"}
    few = _rights()
    few["cart"].remove(Right(TOPIC, "panier.outbound.v1", False, WRITE))
    assert the(kafka_check.judge_rights(few), "kafka.rights").says == "cart may not write panier.outbound.v1"
    many = _rights()
    many["cart"].append(Right(TOPIC, "panier.payment", True, WRITE))
    found = the(kafka_check.judge_rights(many), "kafka.rights")
    assert (found.level, found.says) == ("warn", "cart may write panier.payment.v1")


def test_a_service_that_may_join_no_group_reads_nothing() -> None:
    alone = _rights()
    alone["cart"].remove(Right(GROUP, "panier.cart", True, READ))
    found = the(kafka_check.judge_rights(alone), "kafka.rights")
    assert (found.level, found.says) == ("fail", "cart may not join the groups panier.cart.*")


def test_what_is_forbidden_is_not_allowed_whatever_else_allows_it() -> None:
    forbidden = _rights()
    forbidden["cart"].append(Right(TOPIC, "panier.outbound", True, ALL, allowed=False))
    assert the(kafka_check.judge_rights(forbidden), "kafka.rights").says == "cart may not write panier.outbound.v1"


# PostgreSQL.


@pytest_asyncio.fixture
async def cart(database: Database) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    url = await database("panier_cart")
    connection = await asyncpg.connect(url)
    yield connection, url
    await connection.execute("ALTER SYSTEM RESET fsync")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def _postgres(url: str) -> list[Finding]:
    return await postgres_check.look({"PANIER_CART_DATABASE_URL": url})


async def _fsync(connection: asyncpg.Connection, value: str) -> None:
    await connection.execute(f"ALTER SYSTEM SET fsync = {value}")
    await connection.execute("SELECT pg_reload_conf()")
    while await connection.fetchval("SELECT setting FROM pg_settings WHERE name = 'fsync'") != value:
        pass


async def test_a_database_that_is_fine(cart: tuple[asyncpg.Connection, str]) -> None:
    connection, url = cart
    await _fsync(connection, "on")
    found = {c: level for c, level in levels(await _postgres(url)).items() if "cart" in c}
    assert set(found) == {
        "postgres.cart", "postgres.cart.durability", "postgres.cart.connections", "clock.postgres.cart", "schema.cart"
    }  # fmt: skip
    unsafe = {c for c, level in found.items() if level != "ok"}
    assert unsafe <= {"postgres.cart.durability"}  # the tests' own server is fast, not safe


async def test_a_server_that_forgets_when_it_crashes(cart: tuple[asyncpg.Connection, str]) -> None:
    connection, url = cart
    await _fsync(connection, "off")
    found = the(await _postgres(url), "postgres.cart.durability")
    assert found.level == "fail"
    assert "fsync is off" in found.says


async def test_a_schema_that_is_older_or_newer(cart: tuple[asyncpg.Connection, str]) -> None:
    connection, url = cart
    await connection.execute("INSERT INTO migration (name) VALUES ('panier_cart/9999_future.sql')")
    assert the(await _postgres(url), "schema.cart").level == "warn"
    await connection.execute("DELETE FROM migration WHERE name LIKE 'panier_cart/%'")
    found = [one for one in await _postgres(url) if one.check == "schema.cart"]
    assert [one.level for one in found] == ["fail"]
    assert found[0].do == "panier migrate --service cart"


async def test_no_room_for_another_process(cart: tuple[asyncpg.Connection, str], postgres: str) -> None:
    connection, url = cart
    await connection.execute("CREATE ROLE narrow LOGIN PASSWORD 'narrow' CONNECTION LIMIT 3")
    await connection.execute("GRANT SELECT ON migration TO narrow")
    try:
        host = url.partition("@")[2]
        found = the(await _postgres(f"postgresql://narrow:narrow@{host}"), "postgres.cart.connections")
        assert found.level == "fail"
        assert found.says.startswith("2 of ")
    finally:
        await connection.execute("DROP OWNED BY narrow; DROP ROLE narrow")


async def test_a_database_that_is_not_there() -> None:
    found = the(await _postgres("postgresql://x@127.0.0.1:1/x"), "postgres.cart")
    assert found.level == "fail"


async def test_an_old_server_a_standby_and_clocks_that_differ(cart: tuple[asyncpg.Connection, str]) -> None:
    connection, _ = cart
    row = dict(await connection.fetchrow(postgres_check._ASKED) or {})
    here = datetime.now(UTC)
    assert levels(postgres_check.judge("cart", {**row, "version": 130005}, here))["postgres.cart"] == "fail"
    found = [one.says for one in postgres_check.judge("cart", {**row, "standby": True}, here) if one.level == "fail"]
    assert "this is a standby: nothing can be written" in found
    for ahead, level in ((0.5, "ok"), (5, "warn"), (-60, "fail")):
        off = postgres_check.judge("cart", row, here - timedelta(seconds=ahead))
        assert the(off, "clock.postgres.cart").level == level


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
