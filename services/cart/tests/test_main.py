"""The service as a process: ready only with its shops and its catalogue, gone within its time on SIGTERM."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import asyncpg
from panier_cli import children
from panier_cli.engines import kafka as kafka_engine
from panier_cli.engines import wait_until_answering
from panier_common.kafka import Producer, apply_topics

from .story import BAKERY, NOON


async def test_is_ready_once_it_knows_a_shop_and_drains(kafka: str, database: Callable[[str], Awaitable[str]]) -> None:
    await apply_topics(kafka)
    async with _cart(kafka, await database("panier_cart")) as (client, process):
        why = await _readiness(client, process, lambda why: why is not None and "shop" in why)
        assert why is not None
        await _know_the_bakery(kafka)
        await _readiness(client, process, lambda why: why is None)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_is_not_ready_while_its_broker_is_silent(
    tmp_path: Path, database: Callable[[str], Awaitable[str]]
) -> None:
    """An idle loop reads nothing either way: silence is noticed all the same, and the broker's return."""
    engine = kafka_engine.prepare(tmp_path, lambda _: None, "")
    assert engine.program is not None
    broker = await children.spawn(engine.program)
    try:
        await wait_until_answering(engine, 60)
        await apply_topics(engine.url)
        await _know_the_bakery(engine.url)
        async with _cart(engine.url, await database("panier_cart")) as (client, process):
            await _readiness(client, process, lambda why: why is None)
            os.kill(broker.pid, signal.SIGSTOP)
            await _readiness(client, process, lambda why: why == "the broker does not answer")
            assert await _probed(client) == {"/livez": 200, "/readyz": 503}
            os.kill(broker.pid, signal.SIGCONT)
            await _readiness(client, process, lambda why: why is None)
    finally:
        broker.kill()
        await broker.wait()
        children.forget(broker)


async def test_is_alive_and_not_ready_while_its_database_refuses(
    kafka: str, postgres: str, database: Callable[[str], Awaitable[str]]
) -> None:
    """Ended for its engine's trouble, it would only have to come back through it."""
    await apply_topics(kafka)
    await _know_the_bakery(kafka)
    url = await database("panier_cart")
    name = urlsplit(url).path[1:]
    server = await asyncpg.connect(postgres)
    try:
        async with _cart(kafka, url) as (client, process):
            await _readiness(client, process, lambda why: why is None)
            await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
            await _readiness(client, process, lambda why: why is not None and why.startswith("the database"))
            assert await _probed(client) == {"/livez": 200, "/readyz": 503}
            await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await _readiness(client, process, lambda why: why is None)
    finally:
        await server.close()


async def test_is_alive_before_any_engine_is_there() -> None:
    """The startup probe asks the same: a service that comes before its engines is not ended for it."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{nobody.getsockname()[1]}"
        async with _cart(closed, f"postgresql://panier_cart:word@{closed}/panier_cart") as (client, process):
            await _readiness(client, process, lambda why: why is not None and "answer" in why)
            assert await _probed(client) == {"/livez": 200, "/readyz": 503}


@asynccontextmanager
async def _cart(kafka: str, database: str) -> AsyncIterator[tuple[aiohttp.ClientSession, asyncio.subprocess.Process]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "PANIER_CART_DATABASE_URL": database,
        "PANIER_CART_ADMIN_HOST": "127.0.0.1",
        "PANIER_CART_ADMIN_PORT": str(port),
        "PANIER_ADMIN_TOKEN": "secret",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "panier_cart", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            yield client, process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _know_the_bakery(kafka: str) -> None:
    producer = Producer(kafka, "test")
    await producer.publish(BAKERY, "shop-bakery", NOON, "catalog")
    await producer.stop()


async def _probed(client: aiohttp.ClientSession) -> dict[str, int]:
    """What the kubelet would see, within the time that its probes have."""
    seen = {}
    for path in ("/livez", "/readyz"):
        async with client.get(path, timeout=aiohttp.ClientTimeout(3)) as response:
            seen[path] = response.status
    return seen


async def _readiness(
    client: aiohttp.ClientSession, process: asyncio.subprocess.Process, wanted: Callable[[str | None], bool]
) -> str | None:
    """Why the service is not ready (None when it is), once that is what the caller waits for."""
    seen: str | None = "never answered"
    for _ in range(600):
        assert process.returncode is None, f"the service ended; it was: {seen}"
        try:
            async with client.get("/readyz") as response:
                seen = (await response.json()).get("why")
                if wanted(seen):
                    return seen
        except aiohttp.ClientConnectionError:
            seen = "does not listen yet"
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited in vain; it was: {seen}")
