"""The runner's events per second: the cart's own loop over 1,000 conversations, Kafka and PostgreSQL with fsync.

The events are published before the clock starts; it stops when the database has every one and the outbox is
empty. What arrived is counted, and so are the statements of one batch.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from panier_cart.loops import conversations
from panier_common.contracts import inbound as m
from panier_common.contracts.events import Customer, MessageReceived, Number, ShopConfigured
from panier_common.event import OWNER, Received, cloud_headers, encode, inbound_id
from panier_common.kafka import Outgoing, Producer, partition_of
from panier_common.postgres import Connection, Pool, create_pool
from panier_common.runner import Loop, Runner
from panier_common.shops import ShopDirectory
from panier_common.topics import INBOUND

from panier_bench.engines import Engines

CONVERSATIONS = 1_000
SHOP = ShopConfigured(
    shop="bench",
    version=1,
    name="Bench",
    languages=("fr",),
    currency="EUR",
    timezone="Europe/Paris",
    catalog_id="1",
    numbers=(Number("1", "+33 1", "BENCH_TOKEN"),),
    collect=True,
    delivery=None,
    payment_provider="simulated",
    expires_after_seconds=1800,
)
START = datetime(2026, 11, 1, tzinfo=UTC)
PRODUCTS = 50


Load = Callable[[Connection, Sequence[Received]], Awaitable[Any]]


def presses(first: int, count: int) -> list[Outgoing]:
    """`cart:add` presses, round-robin over the conversations."""
    made = []
    for i in range(first, first + count):
        user = f"FR.{i % CONVERSATIONS:010d}"
        at = START + timedelta(seconds=i // CONVERSATIONS)
        event = MessageReceived(
            f"1:{user}", "1", Customer(user), f"wamid.{i}", at, m.Reply(f"cart:add:sku-{i % PRODUCTS}"), shop="bench"
        )
        headers = cloud_headers(event, inbound_id("1", event.wamid), "ingest", at)
        headers[OWNER] = "cart"
        made.append(Outgoing(0, i, INBOUND.name, event.conversation, headers, encode(event)))
    return made


async def publish(producer: Producer, records: Sequence[Outgoing]) -> None:
    partitions = await producer.partitions(INBOUND.name)
    by_partition: dict[int, list[Outgoing]] = {}
    for record in records:
        by_partition.setdefault(partition_of(record.key, partitions), []).append(record)
    await asyncio.gather(*(producer.send_in_order(INBOUND.name, p, rows) for p, rows in by_partition.items()))


async def stock(pool: Pool) -> None:
    """Fifty products as the cart knows them."""
    await pool.execute(
        "INSERT INTO product (shop, sku, version, title, price_minor, currency, sold_out) "
        "SELECT 'bench', 'sku-' || n, 1, 'Product ' || n, 100 + n, 'EUR', false FROM generate_series(0, $1 - 1) AS n",
        PRODUCTS,
    )


async def measure(engines: Engines, *, events: int = 60_000, rounds: int = 5) -> dict[str, Any]:
    """Rounds of `events` each, the next read where the last ended; median, spread, statements of a batch."""
    pool = await create_pool(await engines.database("panier_cart"))
    producer = Producer(engines.kafka, "bench")
    shops = ShopDirectory(engines.kafka)
    shops.put(SHOP)
    shops.loaded = True
    try:
        await stock(pool)
        statements = _Statements()
        rates = []
        for n in range(rounds + 1):
            await publish(producer, presses(n * events, events))
            rates.append(events / await _read_all(conversations(shops), pool, engines, statements))
        arrived = await pool.fetchval("SELECT sum(version) FROM cart")
        if arrived != events * (rounds + 1):
            raise SystemExit(f"{arrived} of {events * (rounds + 1)} events arrived: this is no benchmark, it is a bug")
        counted = sorted(rates[1:])  # the first warms up
        return {
            "events_per_second": round(statistics.median(counted)),
            "least": round(counted[0]),
            "most": round(counted[-1]),
            "events": events,
            "rounds": rounds,
            "conversations": CONVERSATIONS,
            "statements_per_batch": statements.per_batch(),
        }
    finally:
        await producer.stop()
        pool.terminate()


async def _read_all(loop: Loop[Any], pool: Pool, engines: Engines, statements: "_Statements") -> float:
    """Seconds from the homes being open until everything was read, saved, published and tidied up."""
    runner = Runner(replace(loop, load=statements.counting(loop.load)), pool, engines.kafka)
    task = asyncio.create_task(runner.run())
    while runner.why_not_ready() is not None:
        await asyncio.sleep(0.005)
    started = time.perf_counter()
    while runner.lag()[INBOUND.name][0] or not runner.caught_up_since_start():
        await asyncio.sleep(0.01)
    seconds = time.perf_counter() - started
    while await pool.fetchval("SELECT count(*) FROM outbox"):
        await asyncio.sleep(0.1)
    runner.stop()
    await task
    return seconds


class _Statements:
    """Counts the statements between one batch's load and the next, BEGIN and COMMIT included."""

    def __init__(self) -> None:
        self._counts: list[int] = []
        self._watched: set[int] = set()
        self._now = 0

    def counting(self, load: Load) -> Load:
        async def counted(db: Connection, batch: Sequence[Received]) -> Any:
            connection: Any = db
            if id(connection._con) not in self._watched:
                self._watched.add(id(connection._con))
                connection._con.add_query_logger(self._seen)
            elif self._now:
                self._counts.append(self._now)
            self._now = 0
            return await load(db, batch)

        return counted

    def _seen(self, _: object) -> None:
        self._now += 1

    def per_batch(self) -> int:
        """The most frequent number."""
        return statistics.mode(self._counts)
