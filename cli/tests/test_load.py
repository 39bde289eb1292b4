"""`panier load` before a real door, and before doors that refuse, close or say nothing."""

import asyncio
import contextlib
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from panier_cli.commands.load import Target, target_of
from panier_cli.errors import Refused
from panier_cli.load import customers, http1
from panier_cli.load.customers import Writing
from panier_cli.load.sending import Door
from panier_common.contracts.events import Number, ShopConfigured
from panier_common.kafka import Producer, apply_topics
from panier_common.ports import free_port
from panier_common.topics import INBOUND

from .conftest import Panier
from .fake_services import serving

NUMBER, SECRET = "106540352242922", "the-door's-secret"
SHOP = ShopConfigured(
    shop="loaded",
    version=1,
    name="Loaded",
    languages=("fr",),
    currency="EUR",
    timezone="Europe/Paris",
    catalog_id="1",
    numbers=(Number(NUMBER, "+33 1", "TOKEN"),),
    collect=True,
    delivery=None,
    payment_provider="simulated",
    expires_after_seconds=1800,
)


async def _configure(kafka: str) -> None:
    await apply_topics(kafka)
    producer = Producer(kafka, "load-tests")
    await producer.publish(SHOP, "load-shop", datetime.now(UTC), "tests")
    await producer.stop()


async def _inbound(kafka: str) -> int:
    """How many records the topic has."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await consumer.start()
    try:
        await consumer._client.force_metadata_update()
        parts = [TopicPartition(INBOUND.name, p) for p in consumer.partitions_for_topic(INBOUND.name) or ()]
        return sum((await consumer.end_offsets(parts)).values())
    finally:
        await consumer.stop()


def _ready(admin: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{admin}/readyz") as answer:
        return bool(answer.status == 200)
    return False


@pytest.fixture(scope="module")
def door(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`python -m panier_ingest` before a real broker: its public address."""
    asyncio.run(_configure(kafka))
    port, admin = free_port(), free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PANIER_", "OTEL_"))}
    settings = {
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "PANIER_ADMIN_TOKEN": "admin",
        "PANIER_META_APP_SECRET": f"another, {SECRET}",
        "PANIER_META_VERIFY_TOKEN": "verify",
        "PANIER_INGEST_HOST": "127.0.0.1",
        "PANIER_INGEST_PORT": str(port),
        "PANIER_INGEST_ADMIN_HOST": "127.0.0.1",
        "PANIER_INGEST_ADMIN_PORT": str(admin),
    }
    log = tmp_path_factory.mktemp("door") / "log"
    with log.open("wb") as out:
        ingest = subprocess.Popen([sys.executable, "-m", "panier_ingest"], env={**kept, **settings}, stdout=out)
    try:
        until = time.monotonic() + 60
        while not _ready(f"http://127.0.0.1:{admin}"):
            assert ingest.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        ingest.terminate()
        ingest.wait(30)


QUICK = ("--rate", "200", "--seconds", "0.5", "--connections", "8", "--number", NUMBER, "--json")


@pytest.fixture(autouse=True)
def _secret(panier: Panier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANIER_META_APP_SECRET", SECRET)


def test_a_real_door_accepts_every_webhook_and_publishes_it(
    panier: Panier, door: str, kafka: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PANIER_META_APP_SECRET")
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    monkeypatch.setenv("PANIER_META_APP_SECRET_FILE", str(tmp_path / "secret"))
    before = asyncio.run(_inbound(kafka))
    done = panier("load", *QUICK, "--url", door)
    assert done.exit == 0, done.err
    found = done.document
    assert (found["due"], found["sent"], found["accepted"]) == (100, 100, 100)
    assert (found["refused"], found["unanswered"]) == ({}, 0)
    assert 0 < found["latency"]["p50_ms"] <= found["latency"]["p99_ms"] <= found["latency"]["most_ms"]
    assert 0.45 <= found["took_seconds"] < 30
    assert asyncio.run(_inbound(kafka)) - before == 100
    assert SECRET not in done.out + done.err


def test_a_wrong_secret_is_counted_as_401_and_told(panier: Panier, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANIER_META_APP_SECRET", "not-the-door's")
    done = panier("load", *QUICK, "--url", door)
    assert done.exit == 1
    assert (done.document["accepted"], done.document["refused"]) == (0, {"401": 100})
    assert done.document["latency"] == {}
    assert "the door does not know this secret" in done.err


def test_a_door_that_is_full_and_one_that_is_none(panier: Panier) -> None:
    with serving() as fake:
        fake.on("POST", "/api/full", (503, {}))
        full = panier("load", *QUICK[:-1], "--url", f"{fake.url}/api/full")
        none = panier("load", *QUICK, "--url", f"{fake.url}/api/nothing")
    assert full.exit == none.exit == 1
    assert [line.split() for line in full.out.splitlines() if "503" in line] == [["refused", "with", "503", "100"]]
    assert "Meta would come again" in full.err
    assert none.document["refused"] == {"404": 100}
    assert "nothing takes webhooks at this address" in none.err


def test_nothing_listens(panier: Panier) -> None:
    done = panier("load", *QUICK, "--url", f"http://127.0.0.1:{free_port()}")
    assert (done.exit, done.error["code"], done.out) == (1, "unreachable", "")
    assert "--url" in done.error["hint"]


@contextlib.contextmanager
def answering(answer: Callable[[int], bytes | None], seconds: float = 0.0) -> Iterator[str]:
    """A server that answers request n on a connection so, and closes the connection instead for None."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            buffer, n = b"", 0
            while data := self.request.recv(65536):
                buffer += data
                while (found := http1.split(buffer)) is not None:
                    buffer = buffer[found[2] :]
                    time.sleep(seconds)
                    said, n = answer(n), n + 1
                    if said is None:
                        return
                    self.request.sendall(said)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def test_waiting_counts_from_when_a_webhook_was_due(panier: Panier) -> None:
    """One connection, 30 ms an answer, 100 a second: the last of 20 is due after 0.2 s and answered after 0.6 s."""
    with answering(lambda n: OK, 0.03) as slow:
        words = ("--rate", "100", "--seconds", "0.2", "--connections", "1", "--url", slow, "--number", NUMBER)
        found = panier("load", *words, "--json").document
    assert found["accepted"] == 20
    assert found["latency"]["most_ms"] >= 20 * 30 - 200
    assert found["latency"]["p50_ms"] < found["latency"]["p99_ms"]


def test_what_was_not_answered_in_time_is_counted_and_ends_the_load(panier: Panier) -> None:
    with answering(lambda n: b"") as silent:
        began = time.monotonic()
        done = panier("load", *QUICK, "--url", silent, "--within", "0.2")
    assert time.monotonic() - began < 10
    assert done.exit == 1
    assert (done.document["sent"], done.document["unanswered"], done.document["due"]) == (8, 100, 100)
    assert "no answer in time" in done.err


def test_connections_that_a_door_closes_are_opened_again(panier: Panier) -> None:
    with answering(lambda n: LAST if n % 3 == 2 else OK) as polite:
        every = panier("load", *QUICK, "--url", polite)
    assert (every.exit, every.document["accepted"]) == (0, 100), every.err
    with answering(lambda n: None if n == 4 else OK) as rude:
        done = panier("load", *QUICK, "--url", rude)
    found = done.document
    assert done.exit == 1
    assert found["accepted"] + found["unanswered"] == 100
    assert found["accepted"] > 50
    assert found["unanswered"] > 0


@pytest.mark.parametrize("said", [b"HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"what?\r\n\r\n"])
def test_an_answer_of_another_kind_disturbs_no_other(panier: Panier, said: bytes) -> None:
    with answering(lambda n: said) as odd:
        found = panier("load", *QUICK, "--url", odd).document
    assert found["accepted"] == 0
    assert found["unanswered"] + sum(found["refused"].values()) == 100


def test_another_machine_is_loaded_only_when_that_is_meant(panier: Panier) -> None:
    done = panier("load", *QUICK, "--url", "https://192.0.2.7/door")
    assert (done.exit, done.error["code"]) == (1, "elsewhere")
    assert "--yes-elsewhere" in done.error["hint"]
    meant = target_of("https://192.0.2.7/door", True)
    assert (meant.door.host, meant.door.port, meant.path) == ("192.0.2.7", 443, "/door")
    assert meant.door.tls is not None
    assert target_of("http://localhost:8080", False) == Target(
        Door("localhost", 8080), "/webhooks/whatsapp", "localhost:8080"
    )
    with pytest.raises(Refused, match="no address of a door"):
        target_of("ftp://127.0.0.1", False)


def test_what_is_missing_or_too_much_is_said_before_anything_is_sent(
    panier: Panier, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert panier("load", "--json").error["code"] == "not_running"
    many = panier("load", "--rate", "5000", "--seconds", "3600", "--json")
    assert (many.exit, many.error["code"]) == (2, "bad_load")
    assert panier("load", "--rate", "9000", "--json").exit == 2
    monkeypatch.delenv("PANIER_META_APP_SECRET")
    none = panier("load", "--url", "http://127.0.0.1:1", "--json")
    assert (none.exit, none.error["code"]) == (2, "no_secret")
    assert "PANIER_META_APP_SECRET_FILE" in none.error["hint"]


def test_customers_write_in_turn_and_no_message_is_another() -> None:
    writing = Writing(5, 2, NUMBER, "Bonjour", SECRET, "/door", "shop.example")
    heads, bodies = zip(*(request.split(b"\r\n\r\n", 1) for request in writing), strict=True)
    assert all(b"POST /door HTTP/1.1\r\nHost: shop.example\r\n" in head for head in heads)
    messages = [json.loads(body)["entry"][0]["changes"][0]["value"]["messages"][0] for body in bodies]
    assert [int(message["from"]) - customers.FIRST for message in messages] == [0, 1, 0, 1, 0]
    assert len({message["id"] for message in messages}) == 5
    assert len(writing[1:3]) == 2
