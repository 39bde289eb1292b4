"""The service as a process: ready only with its shops and its catalogue, gone within its time on SIGTERM."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

import aiohttp
from panier_common.kafka import Producer, apply_topics

from .story import BAKERY, NOON


async def test_is_ready_once_it_knows_a_shop_and_drains(kafka: str, database: Callable[[str], Awaitable[str]]) -> None:
    await apply_topics(kafka)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "PANIER_CART_DATABASE_URL": await database("panier_cart"),
        "PANIER_CART_ADMIN_HOST": "127.0.0.1",
        "PANIER_CART_ADMIN_PORT": str(port),
        "PANIER_ADMIN_TOKEN": "secret",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "panier_cart", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            why = await _readiness(client, process, lambda why: why is not None and "shop" in why)
            assert why is not None
            producer = Producer(kafka, "test")
            await producer.publish(BAKERY, "shop-bakery", NOON, "catalog")
            await producer.stop()
            await _readiness(client, process, lambda why: why is None)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


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
