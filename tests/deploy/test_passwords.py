"""Every kind of client signs in to a real broker by name and password over TLS, and nobody without them.

`panier topics apply` is the admin client; catalog has the consumers of its loops and the producer that publishes the
shops, which the others follow before they are ready; ingest has its publisher, sales has Faust's own clients.
"""

import asyncio
import contextlib
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from known_settings import ROOT
from panier_cli.stack.databases import on
from panier_common.brokers import brokers
from panier_common.postgres import migrate
from password_kafka import PasswordKafka, password_kafka
from pods import Running, until_ready

USER, PASSWORD = "panier", "correct-horse-battery"

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def kafka_of_passwords(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PasswordKafka]:
    with password_kafka(tmp_path_factory.mktemp("passwords"), USER, PASSWORD) as kafka:
        done = topics_apply(settings(kafka, "SCRAM-SHA-512"))
        assert done.returncode == 0, done.stderr
        yield kafka


def settings(kafka: PasswordKafka, mechanism: str, password: str = PASSWORD) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": kafka.address,
        "PANIER_KAFKA_TLS": str(kafka.certificates),
        "PANIER_KAFKA_SASL_MECHANISM": mechanism,
        "PANIER_KAFKA_USERNAME": USER,
        "PANIER_KAFKA_PASSWORD": password,
    }


def topics_apply(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "panier_cli", "topics", "apply"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_every_client_of_a_service_signs_in(
    mechanism: str, kafka_of_passwords: PasswordKafka, postgres: str, tmp_path: pathlib.Path
) -> None:
    env = settings(kafka_of_passwords, mechanism)
    assert topics_apply(env).returncode == 0
    secret = tmp_path / "password"
    secret.write_text(f"{env.pop('PANIER_KAFKA_PASSWORD')}\n")
    asyncio.run(_database(postgres, f"signs_in_{mechanism[:5].lower()}"))
    env |= {
        "PANIER_KAFKA_PASSWORD_FILE": str(secret),
        "PANIER_CATALOG_DATABASE_URL": on(postgres, f"signs_in_{mechanism[:5].lower()}"),
        "PANIER_SHOPS": str(ROOT / "examples" / "bakery" / "shops.toml"),
        "PANIER_ADMIN_TOKEN": "admin-token",
        "PANIER_META_APP_SECRET": "app-secret",
        "PANIER_META_VERIFY_TOKEN": "verify-token",
    }
    running: list[Running] = []
    try:
        running.extend(Running(service, env, tmp_path) for service in ("catalog", "ingest", "sales"))
        until_ready(running)
        assert all(PASSWORD not in one.log for one in running)
    finally:
        for one in running:
            with contextlib.suppress(ProcessLookupError):
                one.process.kill()
            one.process.wait()


async def _database(server: str, name: str) -> None:
    import asyncpg

    admin = await asyncpg.connect(server)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
    finally:
        await admin.close()
    await migrate(on(server, name), "panier_catalog")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_wrong_password_opens_nothing(
    mechanism: str, kafka_of_passwords: PasswordKafka, tmp_path: pathlib.Path
) -> None:
    env = settings(kafka_of_passwords, mechanism, "wrong")
    done = topics_apply(env)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "PANIER_KAFKA_" in done.stderr, "it says where to look"
    others = {"PANIER_META_APP_SECRET": "x", "PANIER_META_VERIFY_TOKEN": "x", "PANIER_ADMIN_TOKEN": "x"}
    ingest = Running("ingest", {**env, **others}, tmp_path)
    try:
        until = time.monotonic() + 60
        while "Kafka" not in (why := ingest.why_not_ready() or "ready") and "shop" not in why:
            assert why != "ready"
            assert time.monotonic() < until, why
            time.sleep(0.3)
    finally:
        ingest.process.kill()
        ingest.process.wait()


def test_without_a_password_or_with_another_authority_nothing_is_sent(
    kafka_of_passwords: PasswordKafka, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trustme

    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    stranger = settings(kafka_of_passwords, "PLAIN") | {"PANIER_KAFKA_TLS": str(tmp_path)}
    done = topics_apply(stranger)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for name, value in settings(kafka_of_passwords, "PLAIN").items():
        monkeypatch.setenv(name, value)
    given = brokers(kafka_of_passwords.address)
    nameless = {name: value for name, value in given.items() if not name.startswith("sasl")}

    async def send() -> None:
        producer = AIOKafkaProducer(**{**nameless, "security_protocol": "SSL"}, request_timeout_ms=3000)
        try:
            await producer.start()
            await producer.send_and_wait("panier.cart.v1", b"{}")
        finally:
            await producer.stop()

    with pytest.raises(KafkaError):
        asyncio.run(send())
