"""What tracing costs the runner: processor time of an event with one trace in ten kept, against none, in turns.

`python -m panier_bench.tracing`. Spans go to a receiver in another process, so that only making and sending them is
counted. Without tracing, records carry no context at all.
"""

import asyncio
import gc
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any

import typer
import uvloop
from panier_cart.loops import conversations
from panier_common import telemetry
from panier_common.event import TRACEPARENT
from panier_common.kafka import Outgoing, Producer
from panier_common.postgres import create_pool
from panier_common.shops import ShopDirectory

from panier_bench import cores, runner
from panier_bench.engines import Engines, engines, topics
from panier_bench.figures import Tell, silent
from panier_bench.shop import SHOP, publish

SHARE = 0.1


class _Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


def receive() -> None:
    """Take spans until standard input closes; the first line printed is the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def receiver() -> Iterator[str]:
    with cores.others():
        child = subprocess.Popen(
            [sys.executable, "-c", "from panier_bench.tracing import receive; receive()"],
            stdout=subprocess.PIPE,
            text=True,
        )
    assert child.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
    finally:
        child.terminate()
        child.wait(10)
        child.stdout.close()


def traced(records: list[Outgoing], share: float, seed: int) -> list[Outgoing]:
    """The records as a door that keeps this share of traces would have sent them."""
    chosen = random.Random(seed)
    for record in records:
        if chosen.random() < share:
            record.headers[TRACEPARENT] = f"00-{chosen.getrandbits(127) + 1:032x}-{chosen.getrandbits(63) + 1:016x}-01"
    return records


async def measure(
    engines: Engines, *, events: int = 10_000, rounds: int = 5, share: float = SHARE, tell: Tell = silent
) -> dict[str, Any]:
    """Rounds of both sides in turns, each first every other time; the median of the rounds' ratios."""
    pool = await create_pool(await engines.database("panier_cart"))
    producer = Producer(engines.kafka, "bench")
    shops = ShopDirectory(engines.kafka)
    shops.put(SHOP)
    shops.loaded = True
    statements = runner._Statements()
    read = 0

    async def one(with_tracing: bool) -> float:
        nonlocal read
        records = runner.presses(read, events)
        read += events
        await publish(producer, traced(records, share, read) if with_tracing else records)
        telemetry._State.tracing = with_tracing
        with cores.measured():
            _, busy = await runner._read_all(conversations(shops), pool, engines, statements)
        # What is still to be sent is part of the cost.
        started = time.process_time()
        await asyncio.to_thread(telemetry.flush)
        return (busy + time.process_time() - started) / events * 1e6

    try:
        await runner.stock(pool)
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        await one(False)
        await one(True)
        sides: dict[bool, list[float]] = {False: [], True: []}
        for n in range(rounds):
            for side in (False, True) if n % 2 else (True, False):
                sides[side].append(await one(side))
            tell(f"tracing {n + 1}/{rounds}: {sides[False][-1]:.0f} µs without, {sides[True][-1]:.0f} µs with")
        costs = [on / off - 1 for off, on in zip(sides[False], sides[True], strict=True)]
        return {
            "share": share,
            "cpu_us_per_event": {
                "without": round(statistics.median(sides[False]), 1),
                "with": round(statistics.median(sides[True]), 1),
            },
            "cost_percent": round(statistics.median(costs) * 100, 1),
            "spread": {"cost_percent": {"least": round(min(costs) * 100, 1), "most": round(max(costs) * 100, 1)}},
            "events": events,
            "rounds": rounds,
        }
    finally:
        await producer.stop()
        pool.terminate()


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


async def _run(events: int, rounds: int, share: float) -> dict[str, Any]:
    with engines() as found, receiver() as url:
        os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{url}/v1/traces"
        telemetry.set_up("bench", "0", "ERROR", "bench")
        await topics(found)
        return await measure(
            found, events=events, rounds=rounds, share=share, tell=lambda text: print(text, file=sys.stderr)
        )


def run(
    events: Annotated[int, typer.Option(min=1000, help="Events of one side in a round.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each side.")] = 5,
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of traces that is kept.")] = SHARE,
) -> None:
    """Measure what tracing costs."""
    document = uvloop.run(_run(events, rounds, share))
    spent, cost = document["cpu_us_per_event"], document["spread"]["cost_percent"]
    print(
        f"tracing {share:.0%} of actions costs {document['cost_percent']} % "
        f"({cost['least']} - {cost['most']} % in {rounds} rounds): "
        f"{spent['without']} µs of processor an event without, {spent['with']} µs with"
    )


if __name__ == "__main__":
    typer.run(run)
