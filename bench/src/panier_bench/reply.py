"""From the webhook to the reply on the wire, through the whole local stack as `make run` starts it.

Measured from the moment when the POST is sent (or, at a rate, was due) to the moment when the first reply to that
customer has arrived at the stand-in for Meta. Every message is of a customer of its own, in turns of the kinds below.
"""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from panier_cli.load import sending
from panier_cli.load.sending import Door
from panier_cli.load.webhooks import press, text, webhook

from panier_bench import figures, webhooks
from panier_bench.figures import Tell, silent
from panier_bench.stack import Stack

NUMBER = "106540352242922"  # of the example bakery
REPLY_SECONDS = 60.0
KINDS = {
    "greeting": text("Bonjour"),  # answered by catalog
    "search": text("croissant"),  # by catalog, after checkout let it pass
    "add to cart": press("cart:add:croissant", "Ajouter"),  # by cart
    "orders": text("commandes"),  # by checkout
}


async def measure(
    stack: Stack,
    *,
    singles: int = 200,
    warm_up: int = 50,
    rate: float = 50.0,
    seconds: float = 20.0,
    tell: Tell = silent,
) -> dict[str, Any]:
    """Latencies one after another on the idle stack, and at a rate."""
    customers = _customers()
    await _one_by_one(stack, customers, warm_up)
    idle = await _one_by_one(stack, customers, singles)
    alone = figures.latency([delay for _, delay in idle])
    tell(f"reply, idle: median {alone['p50_ms']} ms, p99 {alone['p99_ms']} ms over {singles}")
    await _at_rate(stack, customers, int(rate * 2), rate)
    busy = await _at_rate(stack, customers, int(rate * seconds), rate)
    together = figures.latency([delay for _, delay in busy])
    tell(f"reply, {rate:g}/s: median {together['p50_ms']} ms, p99 {together['p99_ms']} ms over {len(busy)}")
    return {
        "rate": rate,
        **together,
        "kinds": _by_kind(busy),
        "idle": {**alone, "kinds": _by_kind(idle)},
    }


Delay = tuple[str, float]
"""(kind of message, seconds until its reply)"""


def _customers() -> Iterator[tuple[str, str]]:
    """(customer, kind of message): each customer once."""
    return ((f"3371{n:07d}", kind) for n, kind in enumerate(itertools.cycle(KINDS)))


def _request(customer: str, kind: str) -> bytes:
    wamid = f"wamid.HBgLbench{customer}{time.time_ns():x}"
    return webhooks.request(webhook(NUMBER, customer, wamid, int(time.time()), KINDS[kind]))


async def _one_by_one(stack: Stack, customers: Iterator[tuple[str, str]], count: int) -> list[Delay]:
    delays = []
    for customer, kind in itertools.islice(customers, count):
        delays += await _replies(stack, [(customer, kind)], None)
    return delays


async def _at_rate(stack: Stack, customers: Iterator[tuple[str, str]], count: int, rate: float) -> list[Delay]:
    return await _replies(stack, list(itertools.islice(customers, count)), rate)


async def _replies(stack: Stack, asked: Sequence[tuple[str, str]], rate: float | None) -> list[Delay]:
    requests = [_request(customer, kind) for customer, kind in asked]
    expected = [stack.graph.expect(customer) for customer, _ in asked]
    door = Door("127.0.0.1", stack.ingest)
    if rate is None:
        posted = await sending.closed(door, requests, connections=1)
    else:
        posted = await sending.paced(door, requests, rate)
    if set(posted.statuses) != {200}:
        figures.stop(f"answers were not all 200: {dict(posted.statuses)}")
    try:
        async with asyncio.timeout(REPLY_SECONDS):
            arrived = await asyncio.gather(*expected)
    except TimeoutError:
        figures.stop(f"{sum(not future.done() for future in expected)} of {len(expected)} were not answered")
    return [(kind, at - due) for (_, kind), at, due in zip(asked, arrived, posted.due, strict=True)]


def _by_kind(delays: Sequence[Delay]) -> dict[str, dict[str, Any]]:
    grouped = defaultdict(list)
    for kind, seconds in delays:
        grouped[kind].append(seconds)
    return {kind: figures.latency(seconds) for kind, seconds in grouped.items()}
