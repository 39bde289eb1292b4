"""The runner's events per second: the cart's own loop over 1,000 conversations, Kafka and PostgreSQL with fsync.

The events are published before the clock starts. What arrived is counted, and so are the statements of one batch.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from panier_cart.loops import conversations
from panier_common.batch import Loop
from panier_common.contracts import inbound as m
from panier_common.contracts.events import Customer, MessageReceived
from panier_common.event import OWNER, Received, cloud_headers, encode, inbound_id
from panier_common.kafka import Kafka, Outgoing, Producer
from panier_common.postgres import Connection, Pool, create_pool
from panier_common.runner import Runner
from panier_common.shops import ShopDirectory
from panier_common.topics import INBOUND

from panier_bench import cores, figures
from panier_bench.engines import Engines
from panier_bench.figures import Tell, silent
from panier_bench.shop import NUMBER, SHOP, publish

CONVERSATIONS = 1_000
START = datetime(2026, 11, 1, tzinfo=UTC)
PRODUCTS = 50


Load = Callable[[Connection, Sequence[Received]], Awaitable[Any]]


def presses(first: int, count: int) -> list[Outgoing]:
    """Presses, round-robin over the conversations: each puts five products in its cart, then empties it."""
    made = []
    for i in range(first, first + count):
        user = f"FR.{i % CONVERSATIONS:010d}"
        at = START + timedelta(seconds=i // CONVERSATIONS)
        event = MessageReceived(
            f"{NUMBER}:{user}",
            NUMBER,
            Customer(user),
            f"wamid.{i}",
            at,
            m.Reply(_press(i)),
            shop=SHOP.shop,
        )
        headers = cloud_headers(event, inbound_id(NUMBER, event.wamid), "ingest", at)
        headers[OWNER] = "cart"
        made.append(Outgoing(0, i, INBOUND.name, event.conversation, headers, encode(event)))
    return made


def _press(i: int) -> str:
    turn = i // CONVERSATIONS
    return "cart:empty" if turn % 6 == 5 else f"cart:add:sku-{(i + turn) % PRODUCTS}"


async def stock(pool: Pool) -> None:
    """Fifty products as the cart knows them."""
    await pool.execute(
        "INSERT INTO product (shop, sku, version, title, price_minor, currency, sold_out) "
        "SELECT 'bench', 'sku-' || n, 1, 'Product ' || n, 100 + n, 'EUR', false FROM generate_series(0, $1 - 1) AS n",
        PRODUCTS,
    )


async def measure(engines: Engines, *, events: int = 60_000, rounds: int = 5, tell: Tell = silent) -> dict[str, Any]:
    """Rounds of `events` each, the next read where the last ended; median, spread, statements of a batch."""
    pool = await create_pool(await engines.database("panier_cart"))
    producer = Producer(engines.kafka, "bench")
    shops = ShopDirectory(engines.kafka)
    shops.put(SHOP)
    shops.loaded = True
    try:
        await stock(pool)
        statements = _Statements()
        rates, cpu = [], []
        gc.freeze()  # as every service does when it has started
        gc.set_threshold(10_000, 20, 20)
        for n in range(rounds + 1):  # the first warms up
            await publish(producer, presses(n * events, events))
            with cores.measured():
                seconds, busy = await _read_all(conversations(shops), pool, engines, statements)
            rates.append(events / seconds)
            cpu.append(busy / events * 1e6)
            if n:
                tell(f"runner {n}/{rounds}: {rates[-1]:,.0f} events/s, {cpu[-1]:.0f} µs of processor each")
        arrived = await pool.fetchval("SELECT sum(version) FROM cart")
        if arrived != events * (rounds + 1):
            figures.stop(f"{events * (rounds + 1)} events were published, {arrived} arrived")
        spread = figures.rates(rates[1:])
        return {
            "events_per_second": spread["median"],
            "cpu_us_per_event": round(statistics.median(cpu[1:]), 1),
            "statements_per_batch": statements.per_batch(),
            "spread": {"events_per_second": spread},
            "events": events,
            "published": await pool.fetchval("SELECT sum(seq)::bigint FROM home"),
            "rounds": rounds,
            "conversations": CONVERSATIONS,
            "pinned": cores.pinned(),
        }
    finally:
        await producer.stop()
        pool.terminate()


async def _read_all(loop: Loop[Any], pool: Pool, engines: Engines, statements: "_Statements") -> tuple[float, float]:
    """Seconds from the homes being open until everything was read and saved, and all but the last batch published.

    Beside them the seconds of processor that this process used meanwhile.

    That is waited for too, not counted: the deletion of outbox rows that shows it comes up to a second later.
    """
    runner = Runner(replace(loop, load=statements.counting(loop.load)), pool, Kafka(engines.kafka))
    task = asyncio.create_task(runner.run())
    try:
        while runner.why_not_ready() is not None:
            await _look(task, 0.005)
        started, used = time.perf_counter(), time.process_time()
        while runner.lag()[INBOUND.name][0] or not runner.caught_up_since_start():
            await _look(task, 0.025)  # asking costs the runner time
        seconds, busy = time.perf_counter() - started, time.process_time() - used
        while await pool.fetchval("SELECT count(*) FROM outbox"):
            await _look(task, 0.1)
        return seconds, busy
    finally:
        runner.stop()
        await task


async def _look(task: "asyncio.Task[None]", seconds: float) -> None:
    """A moment's wait, in which the runner must not have ended."""
    await asyncio.sleep(seconds)
    if task.done():
        task.result()
        raise RuntimeError("the runner ended by itself")


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
