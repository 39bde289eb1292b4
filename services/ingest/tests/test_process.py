"""`python -m panier_ingest` as a process, before a broker of its own that is killed, stopped and brought back."""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from panier_cli import children
from panier_cli.engines import Engine, kafka, wait_until_answering
from panier_common.contracts.events import ShopConfigured
from panier_common.event import from_wire
from panier_common.kafka import Producer, apply_topics
from panier_common.ports import free_port
from panier_common.topics import INBOUND

ACKNOWLEDGE_SECONDS = 3.0


@dataclass
class Broker:
    engine: Engine
    process: Process | None = None

    async def start(self) -> None:
        assert self.engine.program is not None
        self.process = await children.spawn(self.engine.program)
        await wait_until_answering(self.engine, 60)

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def halt(self) -> None:
        """Returns when it stands still: its other threads run on until one of them has seen the signal."""
        self.send(signal.SIGSTOP)
        assert self.process is not None
        threads, until = Path(f"/proc/{self.process.pid}/task"), time.monotonic() + 30
        while any(") T " not in one.read_text() for one in threads.glob("*/stat")):
            assert time.monotonic() < until, "the broker did not stop"
            time.sleep(0.01)

    async def kill(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)
        assert self.process is not None
        await self.process.wait()
        children.forget(self.process)


@dataclass
class Ingest:
    process: Process
    session: aiohttp.ClientSession
    port: int
    admin_port: int

    async def post(self, body: bytes, signature: str) -> aiohttp.ClientResponse:
        url = f"http://127.0.0.1:{self.port}/webhooks/whatsapp"
        async with self.session.post(url, data=body, headers={"X-Hub-Signature-256": signature}) as answer:
            await answer.read()
            return answer

    async def ready(self) -> tuple[int, str]:
        try:
            async with self.session.get(f"http://127.0.0.1:{self.admin_port}/readyz") as answer:
                return answer.status, str((await answer.json()).get("why"))
        except aiohttp.ClientConnectionError:
            return 0, "not listening"

    async def until_ready(self, status: int) -> str:
        async with asyncio.timeout(120):
            while (now := await self.ready())[0] != status:
                assert self.process.returncode is None
                await asyncio.sleep(0.05)
        return now[1]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def broker(tmp_path_factory: Any, shop: ShopConfigured) -> AsyncIterator[Broker]:
    folder: Path = tmp_path_factory.mktemp("broker")
    made = Broker(kafka.prepare(folder, lambda _: None, ""))
    await made.start()
    await apply_topics(made.engine.url)
    producer = Producer(made.engine.url, "ingest-tests")
    await producer.publish(shop, "shop-1", datetime.now(UTC), "tests")
    await producer.stop()
    yield made
    await made.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def start_ingest(broker: Broker) -> AsyncIterator[Callable[[], Awaitable[Ingest]]]:
    """Starts a process each time, always on the same port; it is ready then."""
    port, admin_port = free_port(), free_port()
    settings = {
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": broker.engine.url,
        "PANIER_ADMIN_TOKEN": "admin",
        "PANIER_META_APP_SECRET": "app-secret",
        "PANIER_META_VERIFY_TOKEN": "verify-token",
        "PANIER_INGEST_HOST": "127.0.0.1",
        "PANIER_INGEST_PORT": str(port),
        "PANIER_INGEST_ADMIN_HOST": "127.0.0.1",
        "PANIER_INGEST_ADMIN_PORT": str(admin_port),
        "PANIER_INGEST_ACKNOWLEDGE_SECONDS": str(ACKNOWLEDGE_SECONDS),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PANIER_", "OTEL_"))}
    started: list[Process] = []
    async with aiohttp.ClientSession() as session:

        async def start() -> Ingest:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "panier_ingest", env={**kept, **settings}
            )
            started.append(process)
            made = Ingest(process, session, port, admin_port)
            await made.until_ready(200)
            return made

        yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest_asyncio.fixture(loop_scope="session")
async def ingest(start_ingest: Callable[[], Awaitable[Ingest]]) -> Ingest:
    return await start_ingest()


def text(wamid: str) -> dict[str, Any]:
    return {"from": "33699999999", "id": wamid, "timestamp": "1750000000", "type": "text", "text": {"body": "panier"}}


@pytest.mark.timeout(300)  # a broker starts twice
async def test_a_broker_that_is_killed_is_told_and_waited_out(
    broker: Broker, ingest: Ingest, make_webhook: Any, sign: Any
) -> None:
    async def post(wamid: str) -> aiohttp.ClientResponse:
        body = make_webhook(text(wamid))
        return await ingest.post(body, sign(body))

    await ingest.until_ready(200)
    assert (await post("wamid.before")).status == 200
    await broker.kill()
    started = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(post(f"wamid.away.{n}") for n in range(50)))
    assert {answer.status for answer in answers} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert asyncio.get_running_loop().time() - started < ACKNOWLEDGE_SECONDS + 10
    assert "Kafka" in await ingest.until_ready(503)
    await broker.start()
    await ingest.until_ready(200)
    async with asyncio.timeout(30):
        while (await post("wamid.after")).status != 200:
            pass


async def test_requests_in_flight_are_finished_at_sigterm(
    broker: Broker, ingest: Ingest, make_webhook: Any, sign: Any
) -> None:
    await ingest.until_ready(200)
    body = make_webhook(text("wamid.in-flight"))
    assert (await ingest.post(body, sign(body))).status == 200
    broker.halt()
    waiting = asyncio.create_task(ingest.post(body, sign(body)))
    try:
        # The request is in, for the connection of the next one is refused only after the signal.
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        ingest.process.terminate()
        async with asyncio.timeout(5):
            while await listens(ingest.port):
                pass
    finally:
        broker.send(signal.SIGCONT)
    assert (await waiting).status == 200
    assert await asyncio.wait_for(ingest.process.wait(), 20) == 0


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_a_broker_that_stops_answering_is_told_before_a_queue_grows(
    broker: Broker, ingest: Ingest, make_webhook: Any, sign: Any
) -> None:
    """The first wait for their time; who comes once half of it has passed is told at once. None is lost later."""

    async def post(wamid: str) -> int:
        body = make_webhook(text(wamid))
        return (await ingest.post(body, sign(body))).status

    await ingest.until_ready(200)
    assert await post("wamid.slow.before") == 200
    broker.halt()
    try:
        first = [asyncio.create_task(post(f"wamid.slow.{n}")) for n in range(50)]
        done, _ = await asyncio.wait(first, timeout=ACKNOWLEDGE_SECONDS * 0.6)
        assert not done
        assert await post("wamid.slow.late") == 503
        assert not any(one.done() for one in first)  # it did not wait where they wait
        assert set(await asyncio.gather(*first)) == {503}
    finally:
        broker.send(signal.SIGCONT)
    # What was told 503 may arrive in the log after all; its repeats are taken, and carry the same id.
    async with asyncio.timeout(60):
        while await post("wamid.slow.0") != 200:
            pass
    assert len({ce_id for wamid, ce_id in await kept(broker) if wamid == "wamid.slow.0"}) == 1


@pytest.mark.timeout(600)  # ingest and a broker start anew
async def test_nothing_acknowledged_is_lost_when_ingest_or_the_broker_is_killed(
    broker: Broker, start_ingest: Callable[[], Awaitable[Ingest]], make_webhook: Any, sign: Any
) -> None:
    """A ledger of what was answered 200, under load, with kills in the middle of it: each is in the topic."""
    ledger: set[str] = set()
    broken = 0
    ingest = await start_ingest()
    over = asyncio.Event()

    async def customer(name: int) -> None:
        nonlocal broken
        n = 0
        while not over.is_set():
            n += 1
            wamid = f"wamid.ledger.{name}.{n}"
            body = make_webhook(text(wamid))
            try:
                if (await ingest.post(body, sign(body))).status == 200:
                    ledger.add(wamid)
            except aiohttp.ClientError:
                broken += 1
                await asyncio.sleep(0.05)

    async def until_more(count: int) -> None:
        enough = len(ledger) + count
        async with asyncio.timeout(90):
            while len(ledger) < enough:  # noqa: ASYNC110 - probes ask, nobody tells
                await asyncio.sleep(0.01)

    load = [asyncio.create_task(customer(name)) for name in range(16)]
    for victim in ("ingest", "broker", "ingest"):
        await until_more(200)
        if victim == "ingest":
            os.kill(ingest.process.pid, signal.SIGKILL)
            await ingest.process.wait()
            ingest = await start_ingest()
        else:
            await broker.kill()
            await broker.start()
    await until_more(200)
    over.set()
    await asyncio.gather(*load)
    assert broken >= 16  # the kills came in the middle of requests
    assert ledger <= {wamid for wamid, _ in await kept(broker)}


async def kept(broker: Broker) -> list[tuple[str, str]]:
    """(wamid, ce_id) of every message in the log."""
    consumer = AIOKafkaConsumer(INBOUND.name, bootstrap_servers=broker.engine.url, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found: list[tuple[str, str]] = []
        while not all([await consumer.position(at) >= end for at, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [(json.loads(one.value)["wamid"], from_wire(one.headers)["ce_id"]) for one in records]
        return found
    finally:
        await consumer.stop()


async def test_a_port_in_use_names_its_setting(broker: Broker, ingest: Ingest) -> None:
    await ingest.until_ready(200)
    settings = {
        "PATH": os.environ["PATH"],
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": broker.engine.url,
        "PANIER_ADMIN_TOKEN": "admin",
        "PANIER_META_APP_SECRET": "app-secret",
        "PANIER_META_VERIFY_TOKEN": "verify-token",
        "PANIER_INGEST_PORT": str(ingest.port),
        "PANIER_INGEST_HOST": "127.0.0.1",
        "PANIER_INGEST_ADMIN_PORT": str(free_port()),
    }
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "panier_ingest", env=settings, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(second.communicate(), 30)
    assert second.returncode == 1
    assert b"PANIER_INGEST_PORT" in output
