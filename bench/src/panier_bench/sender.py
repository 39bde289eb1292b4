"""The sender against a bare loop of its HTTP client: the same bodies to the same stand-in, in turns.

A round's messages are published before its sender starts; both sides count from the first call's arrival to the
last one's, in seconds and in seconds of processor: those say the same on a busy machine. Each message must arrive
exactly once, and every customer's in order.
"""

import tempfile
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import psutil
from panier_common.contracts.events import Customer, MessageRequested
from panier_common.contracts.outbound import TextMessage, packed
from panier_common.event import cloud_headers, encode
from panier_common.kafka import Outgoing, Producer
from panier_common.topics import OUTBOUND

from panier_bench import cores, figures, graph, processes
from panier_bench.engines import Engines
from panier_bench.figures import Tell, silent
from panier_bench.graph import Call, Graph
from panier_bench.shop import NUMBER, NUMBERS, SHOP, TOKEN, configure, publish

CUSTOMERS = 2_000
SILENCE_SECONDS = 60.0
CONCURRENCY = 256


class _Round(NamedTuple):
    """One side of a round."""

    per_second: float
    cpu_us: float  # of the measured process, for each message


class _Text(msgspec.Struct):
    body: str


class _Sent(msgspec.Struct):
    text: _Text


async def measure(
    engines: Engines, *, messages: int = 10_000, customers: int = CUSTOMERS, rounds: int = 5, tell: Tell = silent
) -> dict[str, Any]:
    """Messages a second of both sides and the ratio."""
    producer = Producer(engines.kafka, "bench")
    await configure(producer)
    settings = {
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": engines.kafka,
        "PANIER_SENDER_CALLS_LIMIT": str(CONCURRENCY),
        "PANIER_SENDER_DATABASE_URL": await engines.database("panier_sender"),
        TOKEN: "bench",
    }
    ours: list[_Round] = []
    bare: list[_Round] = []
    try:
        with cores.others():
            async with graph.listening() as stand_in:
                settings["PANIER_GRAPH_URL"] = stand_in.url
                for n in range(rounds):
                    await publish(producer, _requested(n * messages, messages, customers))
                    ours.append(await _sender(stand_in, settings, n * messages, messages))
                    bare.append(await _bare(stand_in))
                    tell(f"sender {n + 1}/{rounds}: {_told(ours[-1])}, bare client {_told(bare[-1])}")
    finally:
        await producer.stop()
    our_rates, bare_rates = [one.per_second for one in ours], [one.per_second for one in bare]
    our_cpu = figures.rates([one.cpu_us for one in ours])
    ratio = figures.ratio(our_rates, bare_rates)
    return {
        "messages_per_second": figures.rates(our_rates)["median"],
        "bare_per_second": figures.rates(bare_rates)["median"],
        "ratio": ratio["median"],
        "cpu_us_per_message": our_cpu["median"],
        "bare_cpu_us_per_message": figures.rates([one.cpu_us for one in bare])["median"],
        "spread": {
            "messages_per_second": figures.rates(our_rates),
            "bare_per_second": figures.rates(bare_rates),
            "ratio": ratio,
            "cpu_us_per_message": our_cpu,
        },
        "messages": messages,
        "customers": customers,
        "rounds": rounds,
        "concurrency": CONCURRENCY,
        "pinned": cores.pinned(),
    }


def _requested(first: int, count: int, customers: int) -> list[Outgoing]:
    """Messages in turns to all customers, each of whom writes to one number; the text begins with the message's own."""
    at = datetime.now(UTC)
    made = []
    for n in range(first, first + count):
        customer = f"336{n % customers:08d}"
        number = NUMBERS[n % customers % len(NUMBERS)]
        event = MessageRequested(
            phone_number_id=number,
            conversation=f"{number}:{customer}",
            shop=SHOP.shop,
            customer=Customer(wa_id=customer),
            message=packed(TextMessage(body=f"{n} " + "Votre panier est prêt à être commandé. " * 5)),
            answers_at=at,
        )
        headers = cloud_headers(event, str(uuid.uuid4()), "bench", at)
        made.append(Outgoing(0, n, OUTBOUND.name, number, headers, encode(event)))
    return made


async def _sender(stand_in: Graph, settings: dict[str, str], first: int, messages: int) -> _Round:
    stand_in.calls.clear()
    async with processes.service("sender", settings) as pid:
        cpu_us = await _worked(stand_in, pid, messages)
    # The sender has ended in order: what it would have sent twice is here as well.
    _judge(stand_in.calls, first, messages)
    return _Round(_per_second(stand_in.calls), cpu_us)


async def _worked(stand_in: Graph, pid: int, messages: int) -> float:
    """Until all have arrived: microseconds of processor that the process took for each, its start left out."""
    process = psutil.Process(pid)
    await stand_in.until(1, SILENCE_SECONDS)
    before, known = process.cpu_times(), len(stand_in.calls)
    await stand_in.until(messages, SILENCE_SECONDS)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / max(1, messages - known) * 1e6


def _judge(calls: Sequence[Call], first: int, messages: int) -> None:
    """Each once, and in order for each customer."""
    decoder = msgspec.json.Decoder(_Sent)
    last: dict[str, int] = {}
    seen = set()
    for call in calls:
        n = int(decoder.decode(call.body).text.body.split(" ", 1)[0])
        if n < last.get(call.customer, -1):
            figures.stop(f"message {n} arrived after {last[call.customer]} at the same customer")
        last[call.customer] = n
        seen.add(n)
    if len(calls) != messages or seen != set(range(first, first + messages)):
        figures.stop(f"{messages} messages were requested, {len(calls)} arrived, {len(seen)} of them different")


async def _bare(stand_in: Graph) -> _Round:
    """The bodies that the sender has just sent, again, by a loop and nothing else."""
    bodies = [call.body for call in stand_in.calls]
    stand_in.calls.clear()
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\n".join(bodies))
        file.flush()
        url = f"{stand_in.url}/v26.0/{NUMBER}/messages"
        async with processes.running("panier_bench.bare_client", url, file.name, str(CONCURRENCY)) as pid:
            cpu_us = await _worked(stand_in, pid, len(bodies))
    return _Round(_per_second(stand_in.calls), cpu_us)


def _told(one: _Round) -> str:
    return f"{one.per_second:,.0f} messages/s, {one.cpu_us:.0f} µs of processor each"


def _per_second(calls: Sequence[Call]) -> float:
    return (len(calls) - 1) / (calls[-1].at - calls[0].at)
