"""What `panier doctor` finds of brokers and databases, real ones: nothing where all is well, and each planted fault."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from panier_cli.doctor import kafka as kafka_check
from panier_cli.doctor import postgres as postgres_check
from panier_cli.doctor.findings import Finding
from panier_cli.doctor.kafka import Right
from panier_common.kafka import apply_topics
from panier_common.testing.plugin import Database
from panier_common.topics import CHANGELOGS, TOPICS

from .doctor_findings import levels, the

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


async def _delete(admin: AIOKafkaAdminClient, topic: str) -> None:
    """Back when the broker no longer names it: asked at once, it would still tell of its settings."""
    await admin.delete_topics([topic])
    while topic in await admin.list_topics():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def _failing(kafka: str, check: str) -> Finding:
    """The finding once it fails: a broker tells of a change a moment after it was made."""
    async with asyncio.timeout(20):
        while True:
            for one in await kafka_check.look(kafka):
                if (one.check, one.level) == (check, "fail"):
                    return one


async def _fine(kafka: str) -> dict[str, str]:
    """The findings once topics and settings are the table's: this, too, a broker tells a moment after."""
    async with asyncio.timeout(20):
        while True:
            found = levels(await kafka_check.look(kafka))
            if {found.get(f"kafka.{what}") for what in ("reachable", "topics", "partitions", "settings")} == {"ok"}:
                return found


async def test_brokers_with_the_tables_topics(kafka: str, admin: AIOKafkaAdminClient) -> None:
    found = await _fine(kafka)
    # One broker on a laptop: in plain, one copy, no rights.
    assert {found[f"kafka.{what}"] for what in ("tls", "copies", "rights")} == {"warn"}


async def test_a_topic_that_is_missing(kafka: str, admin: AIOKafkaAdminClient) -> None:
    await _delete(admin, "panier.sales.v1")
    found = await _failing(kafka, "kafka.topics")
    assert found.says == "not there: panier.sales.v1"


async def test_a_topic_with_another_setting(kafka: str, admin: AIOKafkaAdminClient) -> None:
    await _alter(admin, "panier.cart.v1", retention_ms="1000", max_message_bytes="4194304")
    found = await _failing(kafka, "kafka.settings")
    assert "panier.cart.v1: retention.ms is 1000, not 604800000" in found.says
    await _delete(admin, "panier.cart.v1")


async def test_a_topic_with_another_number_of_partitions(kafka: str, admin: AIOKafkaAdminClient) -> None:
    await _delete(admin, "panier.account.v1")
    await _failing(kafka, "kafka.topics")
    await apply_topics(kafka, partitions=5)
    found = await _failing(kafka, "kafka.partitions")
    assert "panier.account.v1" in found.says
    await _delete(admin, "panier.account.v1")


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
