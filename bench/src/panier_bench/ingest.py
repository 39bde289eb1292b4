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
from panier_common.ports import free_port
from panier_common.topics import INBOUND

from panier_bench import cores, figures, processes, webhooks
from panier_bench.engines import Engines
from panier_bench.figures import Tell, silent
from panier_bench.shop import NUMBER, configure

PACED_SECONDS = 5.0
WARM_UP = 20_000  # until the broker has compiled what it does most
CUSTOMERS = 5_000


MANY_CONNECTIONS = 256  # so many senders that the door is not idle while the broker answers


async def measure(engines: Engines, *, requests: int = 40_000, rounds: int = 5, tell: Tell = silent) -> dict[str, Any]:
    """Requests a second of both sides, the ratio, and latencies at half of what ingest can do; `many` has the
    same over more connections.
    """
    producer = Producer(engines.kafka, "bench")
    await configure(producer)
    await producer.stop()
    webhook = _Webhooks()
    async with _ingest(engines) as ours, _echo() as bare:
        with cores.others():
            before = await _records(engines.kafka)
            sides = _Sides(ours, bare, webhook, tell)
            await sides.round(WARM_UP, sending.CONNECTIONS)
            found = await sides.compared(requests, rounds, sending.CONNECTIONS)
            half = found["per_second"] / 2
            waited = await _paced(ours[0], webhook.requests(int(half * PACED_SECONDS)), half)
            many = await sides.compared(requests, rounds, MANY_CONNECTIONS)
            arrived = await _records(engines.kafka) - before
    if arrived != webhook.made:
        figures.stop(f"{webhook.made} webhooks were answered 200, {arrived} are in the topic")
    paced = figures.latency(waited.latencies) | {"paced_per_second": round(half)}
    told = {"body_bytes": webhooks.BODY_BYTES, "pinned": cores.pinned(), "arrived": arrived}
    return found | paced | told | {"many": many}


class _Sides:
    """Ingest and the echo, each by its port and pid, loaded in turns."""

    def __init__(self, ours: tuple[int, int], bare: tuple[int, int], webhook: "_Webhooks", tell: Tell) -> None:
        self._sides = ours, bare
        self._webhook = webhook
        self._tell = tell

    async def round(self, requests: int, connections: int) -> list[tuple[float, float]]:
        """Requests a second and seconds of processor of each side."""
        made = self._webhook.requests(requests)
        found = []
        for port, pid in self._sides:
            before = _cpu_seconds(pid)
            loaded = _all_ok(await sending.closed(Door("127.0.0.1", port), made, connections=connections))
            found.append((loaded.per_second, _cpu_seconds(pid) - before))
        return found

    async def compared(self, requests: int, rounds: int, connections: int) -> dict[str, Any]:
        """The medians of some rounds, their ratio, and what a request cost each side's processor."""
        pairs = []
        for n in range(rounds):
            pairs.append(await self.round(requests, connections))
            (rate, _), (bare_rate, _) = pairs[-1]
            what = f"ingest, {connections} connections, {n + 1}/{rounds}"
            self._tell(f"{what}: {rate:,.0f} requests/s, bare echo {bare_rate:,.0f}/s")
        ours, bare = ([pair[side][0] for pair in pairs] for side in (0, 1))
        spent, bare_spent = (sum(pair[side][1] for pair in pairs) for side in (0, 1))
        ratio = figures.ratio(ours, bare)
        return {
            "per_second": figures.rates(ours)["median"],
            "bare_per_second": figures.rates(bare)["median"],
            "ratio": ratio["median"],
            "spread": {"per_second": figures.rates(ours), "bare_per_second": figures.rates(bare), "ratio": ratio},
            "rounds": rounds,
            "connections": connections,
            "busy": round(spent / sum(requests / rate for rate in ours), 2),
            "cpu_us": round(1e6 * spent / requests / rounds, 1),
            "bare_cpu_us": round(1e6 * bare_spent / requests / rounds, 1),
        }


async def _paced(port: int, requests: list[bytes], rate: float) -> Loaded:
    return _all_ok(await sending.paced(Door("127.0.0.1", port), requests, rate))


class _Webhooks:
    """Requests that no two of are the same message."""

    def __init__(self) -> None:
        self.made = 0
        self._run = time.time_ns()

    def requests(self, count: int) -> list[bytes]:
        at = int(time.time())
        numbers = range(self.made, self.made + count)
        self.made += count
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
    port = free_port()
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
async def _echo() -> AsyncIterator[tuple[int, int]]:
    """Its port and its pid."""
    port = free_port()
    async with processes.running("panier_bench.echo", str(port)) as pid:
        await processes.until_ready(f"http://127.0.0.1:{port}/", pid)
        yield port, pid


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
