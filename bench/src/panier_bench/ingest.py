"""The door against a bare echo: signed webhooks, each answered once Kafka has acknowledged it.

Both run under the same server with the same settings on one core, in turns; the load, the broker and everything
else have the other cores. What was answered 200 is counted in the topic afterwards.
"""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from panier_cli.load import sending
from panier_cli.load.sending import Door, Loaded
from panier_common.kafka import Producer
from panier_common.topics import INBOUND

from panier_bench import cores, figures, processes, webhooks
from panier_bench.engines import Engines
from panier_bench.figures import Tell, silent
from panier_bench.shop import NUMBER, configure

PACED_SECONDS = 5.0
WARM_UP = 2_000
CUSTOMERS = 5_000


async def measure(engines: Engines, *, requests: int = 40_000, rounds: int = 5, tell: Tell = silent) -> dict[str, Any]:
    """Requests a second of both sides, the ratio, and latencies at half of what ingest can do."""
    producer = Producer(engines.kafka, "bench")
    await configure(producer)
    await producer.stop()
    webhook = _Webhooks()
    ours: list[float] = []
    bare: list[float] = []
    spent = 0.0
    async with _ingest(engines) as (door, pid), _echo() as echo:
        with cores.others():
            before = await _records(engines.kafka)
            published = 0
            for n in range(-1, rounds):  # the first warms up
                size = WARM_UP if n < 0 else requests
                made = webhook.requests(size)
                before_round = _cpu_seconds(pid)
                pair = [
                    _all_ok(await sending.closed(Door("127.0.0.1", port), made)).per_second for port in (door, echo)
                ]
                published += size
                if n >= 0:
                    ours.append(pair[0])
                    bare.append(pair[1])
                    spent += _cpu_seconds(pid) - before_round
                    tell(f"ingest {n + 1}/{rounds}: {pair[0]:,.0f} requests/s, bare echo {pair[1]:,.0f}/s")
            half = figures.rates(ours)["median"] / 2
            made = webhook.requests(int(half * PACED_SECONDS))
            waited = _all_ok(await sending.paced(Door("127.0.0.1", door), made, half))
            published += len(made)
            arrived = await _records(engines.kafka) - before
    if arrived != published:
        figures.stop(f"{published} webhooks were answered 200, {arrived} are in the topic")
    busy = spent / sum(requests / rate for rate in ours)
    return _result(ours, bare, waited, half) | {"busy": round(busy, 2), "arrived": arrived}


def _result(ours: list[float], bare: list[float], waited: Loaded, paced_at: float) -> dict[str, Any]:
    ratio = figures.ratio(ours, bare)
    delays = figures.latency(waited.latencies)
    return {
        "per_second": figures.rates(ours)["median"],
        "bare_per_second": figures.rates(bare)["median"],
        "ratio": ratio["median"],
        "p50_ms": delays["p50_ms"],
        "p99_ms": delays["p99_ms"],
        "paced_per_second": round(paced_at),
        "spread": {"per_second": figures.rates(ours), "bare_per_second": figures.rates(bare), "ratio": ratio},
        "rounds": len(ours),
        "body_bytes": webhooks.BODY_BYTES,
        "connections": sending.CONNECTIONS,
        "pinned": cores.pinned(),
    }


class _Webhooks:
    """Requests that no two of are the same message."""

    def __init__(self) -> None:
        self._made = 0
        self._run = time.time_ns()

    def requests(self, count: int) -> list[bytes]:
        at = int(time.time())
        numbers = range(self._made, self._made + count)
        self._made += count
        return [
            webhooks.request(
                webhooks.of_size(NUMBER, f"336{n % CUSTOMERS:08d}", f"wamid.HBgLMzM2{self._run:x}{n:016x}", at)
            )
            for n in numbers
        ]


def _all_ok(loaded: Loaded) -> Loaded:
    if set(loaded.statuses) != {200}:
        figures.stop(f"answers were not all 200: {dict(loaded.statuses)}")
    return loaded


@contextlib.asynccontextmanager
async def _ingest(engines: Engines) -> AsyncIterator[tuple[int, int]]:
    """Its public port and its pid."""
    port = processes.free_port()
    settings = {
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": engines.kafka,
        "PANIER_META_APP_SECRET": webhooks.SECRET,
        "PANIER_META_VERIFY_TOKEN": "bench",
        "PANIER_INGEST_HOST": "127.0.0.1",
        "PANIER_INGEST_PORT": str(port),
    }
    async with processes.service("ingest", settings) as pid:
        yield port, pid


@contextlib.asynccontextmanager
async def _echo() -> AsyncIterator[int]:
    port = processes.free_port()
    async with processes.running("panier_bench.echo", str(port)) as pid:
        await processes.until_ready(f"http://127.0.0.1:{port}/", pid)
        yield port


def _cpu_seconds(pid: int) -> float:
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


async def _records(bootstrap_servers: str) -> int:
    """How many records the inbound topic holds."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    await consumer.start()
    try:
        await consumer._client.force_metadata_update()
        partitions = [TopicPartition(INBOUND.name, p) for p in consumer.partitions_for_topic(INBOUND.name) or ()]
        ends = await consumer.end_offsets(partitions)
        return sum(ends.values())
    finally:
        await consumer.stop()
