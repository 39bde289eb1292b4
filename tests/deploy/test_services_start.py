"""Each job and each service with exactly the environment that its rendered manifest gives it.

On a real Kafka and a real PostgreSQL, whose databases and their owners are made by the script that the guide names.
`dev` speaks to its broker in plain; `production` by TLS, each service with the certificate and the rights of its
generated user.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError
from known_settings import ROOT, SERVICES, WITH_DATABASE
from manifest_rules import workloads
from panier_cli.doctor.kafka import look
from panier_cli.doctor.settings import as_environment
from panier_cli.engines.postgres import binaries
from panier_common.brokers import brokers
from panier_common.kafka import apply_topics
from platform_rules import of_kind
from pods import Cluster, Running, stop_in_time, until_ready
from render import render
from secured_kafka import SecuredKafka, allow, forbid, secured_kafka, take_away

OVERLAYS = ROOT / "deploy" / "k8s" / "overlays"
PASSWORD = "0123456789abcdef"
OWNERS = "fedcba/9876543210+=="  # encoded in a URL
APP_SECRET = "app-secret"

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", params=["dev", "production"])
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def _forget(server: str) -> None:
    admin = await asyncpg.connect(server)
    try:
        for service in WITH_DATABASE:
            await admin.execute(f"DROP DATABASE panier_{service} WITH (FORCE)")
            await admin.execute(f"DROP ROLE panier_{service}, panier_{service}_owner")
    finally:
        await admin.close()


@pytest.fixture(scope="module")
def databases(overlay: str, postgres: str) -> Iterator[dict[str, str]]:
    """URLs by Secret, of roles and databases that the script made; each overlay has its own."""
    at = urlsplit(postgres)
    done = subprocess.run(
        [ROOT / "deploy" / "compose" / "create-databases.sh"],
        env={
            "PATH": f"{binaries()}:{os.environ['PATH']}",
            "PGHOST": str(at.hostname),
            "PGPORT": str(at.port),
            "PGPASSWORD": str(at.password),
            "POSTGRES_USER": str(at.username),
            **{f"PANIER_{service.upper()}_DATABASE_PASSWORD": PASSWORD for service in WITH_DATABASE},
            **{f"PANIER_{service.upper()}_OWNER_PASSWORD": OWNERS for service in WITH_DATABASE},
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    given = {"database": ("", PASSWORD), "owner": ("_owner", quote(OWNERS, safe=""))}
    yield {
        f"panier-{s}-{of}": f"postgresql://panier_{s}{role}:{password}@{at.hostname}:{at.port}/panier_{s}"
        for s in WITH_DATABASE
        for of, (role, password) in given.items()
    }
    asyncio.run(_forget(postgres))


@pytest.fixture(scope="module")
def secured(overlay: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka | None]:
    """For production: brokers that know its KafkaUsers, with the topics that the topic operator would have made."""
    if overlay != "production":
        yield None
        return
    users = list(of_kind(render(OVERLAYS / overlay), "KafkaUser"))
    with secured_kafka(tmp_path_factory.mktemp("secured"), users) as kafka:
        asyncio.run(_prepare(kafka, users))
        yield kafka


async def _prepare(kafka: SecuredKafka, users: list[dict[str, object]]) -> None:
    await apply_topics(kafka.plain)
    await allow(kafka, users)


@pytest.fixture(scope="module")
def cluster(
    overlay: str,
    databases: dict[str, str],
    secured: SecuredKafka | None,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Cluster:
    """The overlay, its references given values, and every job done."""
    address = str(request.getfixturevalue("kafka")) if secured is None else secured.tls
    users = ("jobs", *SERVICES) if secured is not None else ()
    certificates = {f"panier-{user}": secured.certificates(f"panier-{user}") for user in users if secured is not None}
    tokens = tmp_path_factory.mktemp("tokens")
    (tokens / "BOULANGERIE_TOKEN").write_text("access-token")
    cluster = Cluster(
        render(OVERLAYS / overlay),
        settings={"PANIER_KAFKA_BOOTSTRAP_SERVERS": address},
        secrets={
            ("panier-admin", "token"): "admin-token",
            ("panier-meta", "app-secret"): APP_SECRET,
            ("panier-meta", "verify-token"): "verify-token",
            **{(secret, "url"): url for secret, url in databases.items()},
        },
        volumes={"shops": ROOT / "examples" / "bakery", "tokens": tokens, **certificates},
    )
    for job in [name for name, _, _ in workloads(cluster.objects) if name.startswith("Job ")]:
        done = subprocess.run(
            [sys.executable, "-m", "panier_cli", *cluster.arguments(job)],
            env=cluster.environment(job),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{job}: {done.stderr}"
    return cluster


@pytest.fixture(scope="module")
def services(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    running: list[Running] = []
    folder = tmp_path_factory.mktemp("services")
    try:
        running.extend(Running(s, cluster.environment(f"Deployment panier-{s}"), folder) for s in SERVICES)
        yield running
    finally:
        for one in running:
            with contextlib.suppress(ProcessLookupError):
                one.process.kill()
            one.process.wait()


def test_every_service_becomes_ready_answers_and_stops_in_the_time_it_is_given(
    cluster: Cluster, services: list[Running], secured: SecuredKafka | None, request: pytest.FixtureRequest
) -> None:
    until_ready(services)
    [ingest] = [one for one in services if one.service == "ingest"]
    assert _greet(ingest) == 200
    plain = str(request.getfixturevalue("kafka")) if secured is None else secured.plain
    asyncio.run(_answered(plain))
    stop_in_time(cluster, services)
    if secured is not None:
        asyncio.run(_may_write_only_its_own(secured))
        asyncio.run(_the_operator_looks_reads_and_writes_nothing(secured))
        asyncio.run(_the_doctor_sees_rights(secured))


def _greet(ingest: Running) -> int:
    """A customer's first word, as Meta would bring it."""
    fixture = ROOT / "tests" / "fixtures" / "whatsapp" / "meta-openapi" / "webhooks" / "text_message.json"
    document = json.loads(fixture.read_text("utf-8"))
    value = document["entry"][0]["changes"][0]["value"]
    value["messages"][0] |= {"text": {"body": "Bonjour"}, "timestamp": str(int(time.time()))}
    raw = json.dumps(document).encode()
    signature = hmac.new(APP_SECRET.encode(), raw, hashlib.sha256).hexdigest()
    posted = urllib.request.Request(
        f"http://127.0.0.1:{ingest.public_port}/webhooks/whatsapp",
        raw,
        {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"},
    )
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(posted, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > until:  # the first record of all takes a cold broker its time
                raise
        time.sleep(0.5)


async def _answered(plain: str) -> None:
    """A reply was asked for: door, topics, catalogue and outbox may all do what they must."""
    consumer = AIOKafkaConsumer(
        "panier.outbound.v1", bootstrap_servers=plain, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        async with asyncio.timeout(60):
            await consumer.getone()
    finally:
        await consumer.stop()


async def _may_write_only_its_own(kafka: SecuredKafka) -> None:
    """The generated rights are no wider than the table of topics."""
    with as_environment({"PANIER_KAFKA_TLS": str(kafka.certificates("panier-cart"))}):
        producer = AIOKafkaProducer(**brokers(kafka.tls))
    await producer.start()
    try:
        await producer.send_and_wait("panier.cart.v1", b"{}")
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait("panier.stock.v1", b"{}")
    finally:
        await producer.stop()


async def _the_operator_looks_reads_and_writes_nothing(kafka: SecuredKafka) -> None:
    """What doctor asks of the brokers, and the records that an export or a restore reads, without a group."""
    with as_environment({"PANIER_KAFKA_TLS": str(kafka.certificates("panier-operator"))}):
        found = {one.check: one.level for one in await look(kafka.tls)}
        told = brokers(kafka.tls)
    assert [found[check] for check in ("kafka.reachable", "kafka.tls", "kafka.settings", "kafka.rights")] == 4 * ["ok"]
    consumer = AIOKafkaConsumer("panier.outbound.v1", **told, auto_offset_reset="earliest", enable_auto_commit=False)
    producer = AIOKafkaProducer(**told)
    await consumer.start()
    await producer.start()
    try:
        async with asyncio.timeout(60):
            await consumer.getone()
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait("panier.stock.v1", b"{}")
    finally:
        await consumer.stop()
        await producer.stop()


async def _the_doctor_sees_rights(kafka: SecuredKafka) -> None:
    """The generated rights are what the table needs; one that is taken away or forbidden is named."""

    async def is_told(beginning: str) -> None:
        """Brokers go by what the controller has taken a moment later."""
        until = time.monotonic() + 30
        while True:
            [found] = [one for one in await look(kafka.plain) if one.check == "kafka.rights"]
            if f"{found.level}: {found.says};".startswith(beginning):
                return
            assert time.monotonic() < until, found
            await asyncio.sleep(0.2)

    await is_told("ok: ")
    await take_away(kafka, "panier-cart", "group", "panier.cart", "Read")
    await is_told("fail: cart may not join the groups panier.cart.*;")
    await forbid(kafka, "panier-cart", "topic", "panier.outbound.v1", "Write")
    await is_told("fail: cart may not write panier.outbound.v1;")


def test_a_service_that_lacks_a_setting_ends_and_names_it_and_no_secret(
    cluster: Cluster, tmp_path: pathlib.Path
) -> None:
    env = cluster.environment("Deployment panier-cart")
    del env["PANIER_CART_DATABASE_URL"]
    cart = Running("cart", env, tmp_path)
    try:
        assert cart.process.wait(60) != 0
    finally:
        cart.process.kill()
        cart.process.wait()
    assert "PANIER_CART_DATABASE_URL" in cart.log
    assert "admin-token" not in cart.log, "a secret is in the log"


def test_a_service_whose_databases_url_cannot_be_read_says_so_and_nothing_of_it(
    cluster: Cluster, tmp_path: pathlib.Path
) -> None:
    env = cluster.environment("Deployment panier-cart")
    env["PANIER_CART_DATABASE_URL"] = "postgresql://panier_cart:hunter/2+c==@127.0.0.1:1/panier_cart"
    cart = Running("cart", env, tmp_path)
    try:
        until = time.monotonic() + 60
        while "percent-encode the password" not in (why := str(cart.why_not_ready())):
            assert time.monotonic() < until, why
            time.sleep(0.2)
        stop_in_time(cluster, [cart])
    finally:
        with contextlib.suppress(ProcessLookupError):
            cart.process.kill()
        cart.process.wait()
    assert "hunter" not in (tmp_path / "cart.log").read_text("utf-8"), "a part of the password is in the log"
