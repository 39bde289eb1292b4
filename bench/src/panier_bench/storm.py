"""`python -m panier_bench.storm`: the real sender against the simulator with every fault on, and what became of it all.

Kafka, PostgreSQL, ingest and sender are real; customers, limits and faults are the simulator's. Messages are asked
for at a steady rate, some customers being sent several in a row. In the end every one of them must have been
accepted once, or have failed with a code that WhatsApp gave for it, in order for each customer, and neither limit
may have been broken. Then WhatsApp's clock is moved: what came late comes, and a day later only templates may go.
"""

import asyncio
import contextlib
import json
import logging
import random
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import typer
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from panier_common.contracts.events import Customer, MessageFailed, MessageRequested, MessageSent, Number, Template
from panier_common.contracts.outbound import TextMessage, packed
from panier_common.event import cloud_headers, decode, encode
from panier_common.kafka import Outgoing, Producer
from panier_common.ports import free_port
from panier_common.topics import OUTBOUND, SENT
from panier_simulator.client import Simulator
from rich.console import Console

from panier_bench import cores, processes, recorded_sender, webhooks
from panier_bench.engines import Engines, engines, topics
from panier_bench.figures import Tell, silent
from panier_bench.ledger import Ledger, Requested, is_right, judge
from panier_bench.senders import Senders
from panier_bench.shop import SHOP, TOKEN, publish

TICK_SECONDS = 0.05
LANES = ("answer", "answer", "news", "reminder")
BURSTS = (1, 1, 1, 1, 1, 1, 2, 3, 5)  # messages in a row for one customer
LATE_SECONDS = 60.0  # what came last has so long to become known
PAIR_SECONDS = 6  # Meta takes one message in so long for one customer, in the long run
HOUR_SECONDS, DAY_SECONDS = 3600, 90_000
LATER = 400  # messages a day later
RESULTS = Path(__file__).resolve().parents[2] / "results"
SAMPLE = Template("hello_world", "en_US")  # every account has it
GREETINGS_PER_SECOND = 60  # of one number: what customers write counts against it as well


@dataclass(frozen=True)
class Plan:
    """How hard it blows."""

    rate: float = 500.0
    seconds: float = 600.0
    numbers: int = 8
    customers: int = 6000
    throughput: int = 80
    senders: int = 1
    seed: int = 1
    faults: str = "all"
    kills: int = 0
    sender: str = "panier_bench.recorded_sender"  # the module that is started
    patience_seconds: float = 120.0  # how long nothing may come to an end before the rest is given up

    def check(self) -> None:
        """Raises SystemExit for a storm whose own limits cannot be kept."""
        if self.rate > 0.9 * self.throughput * self.numbers:
            raise SystemExit(f"{self.numbers} numbers at {self.throughput} a second cannot send {self.rate:g} a second")
        if self.rate * PAIR_SECONDS > 0.9 * self.customers:
            raise SystemExit(f"{self.customers} customers cannot be sent {self.rate:g} a second: one each in 6 seconds")


@dataclass(frozen=True)
class Weather:
    """A storm under way: where everything is."""

    plan: Plan
    simulator: Simulator
    producer: Producer
    numbers: Sequence[str]
    senders: Senders
    ledger: Ledger
    calls: Path  # where the senders note when they begin a call

    def number_of(self, customer: int) -> str:
        """Each customer talks to one number."""
        return self.numbers[customer % len(self.numbers)]


async def run(found: Engines, plan: Plan, tell: Tell = silent) -> dict[str, Any]:
    """The report of `ledger.judge`, and what was asked for."""
    plan.check()
    producer = Producer(found.kafka, "storm")
    with tempfile.TemporaryDirectory(prefix="panier-storm-") as folder:
        try:
            async with _world(found, plan, producer, Path(folder)) as weather:
                await _greet(weather)
                tell(f"{plan.customers} customers have written")
                weather.simulator.faults(plan.faults, seed=plan.seed)
                async with _following(found, weather):
                    started = time.monotonic()
                    await asyncio.gather(_blow(weather, tell), _kill_now_and_then(weather, tell))
                    tell(f"{len(weather.ledger.requested)} messages asked for; waiting for their ends")
                    await _drain(weather, tell)
                    await _a_day_later(weather, tell)
                    took = time.monotonic() - started
                return await asyncio.to_thread(_report, weather, took)
        finally:
            await producer.stop()


@contextlib.asynccontextmanager
async def _world(found: Engines, plan: Plan, producer: Producer, folder: Path) -> AsyncIterator[Weather]:
    """Shops, simulator, ingest and senders, ready."""
    numbers = [f"{int(time.time())}{n:05d}" for n in range(plan.numbers)]
    await _configure(producer, numbers)
    port, door = free_port(), free_port()
    simulator = Simulator(f"http://127.0.0.1:{port}")
    async with contextlib.AsyncExitStack() as stack:
        ingest = {
            "PANIER_KAFKA_BOOTSTRAP_SERVERS": found.kafka,
            "PANIER_META_APP_SECRET": webhooks.SECRET,
            "PANIER_META_VERIFY_TOKEN": "storm",
            "PANIER_INGEST_HOST": "127.0.0.1",
            "PANIER_INGEST_PORT": str(door),
        }
        await stack.enter_async_context(processes.service("ingest", ingest, cores.anywhere))
        told = _simulator_settings(plan, numbers, folder, port, door)
        pid = await stack.enter_async_context(
            processes.running("panier_simulator", settings=told, where=cores.anywhere)
        )
        await processes.until_ready(f"{simulator.url}/readyz", pid)
        sender = {
            "PANIER_KAFKA_BOOTSTRAP_SERVERS": found.kafka,
            "PANIER_SENDER_DATABASE_URL": await found.database("panier_sender"),
            "PANIER_GRAPH_URL": simulator.graph_url,
            TOKEN: "storm",
            recorded_sender.FILE: str(folder / "calls"),
        }
        senders = Senders(sender, plan.sender)
        stack.push_async_callback(senders.stop)
        for _ in range(plan.senders):
            await senders.start()
        yield Weather(plan, simulator, producer, numbers, senders, Ledger(), folder / "calls")


async def _configure(producer: Producer, numbers: Sequence[str]) -> None:
    """A shop for each number, known to every service."""
    for n, number in enumerate(numbers):
        of_shop = (Number(number, f"+1 555 {number[-7:]}", TOKEN),)
        shop = msgspec.structs.replace(SHOP, shop=f"storm-{number}", version=1, numbers=of_shop)
        await producer.publish(shop, f"storm-{number}-{n}", datetime.now(UTC), "storm")


def _simulator_settings(plan: Plan, numbers: Sequence[str], folder: Path, port: int, door: int) -> dict[str, str]:
    shops = [
        f'[[shop]]\nid = "storm-{number}"\nname = "Storm"\n'
        f'[[shop.number]]\nphone_number_id = "{number}"\ndisplay = "+1 555 {number[-7:]}"\n'
        for number in numbers
    ]
    (folder / "shops.toml").write_text("\n".join(shops), encoding="utf-8")
    return {
        "PANIER_SHOPS": str(folder / "shops.toml"),
        "PANIER_SIMULATOR_DATA": str(folder / "simulator"),
        "PANIER_SIMULATOR_PORT": str(port),
        "PANIER_SIMULATOR_WEBHOOK_URL": f"http://127.0.0.1:{door}/webhooks/whatsapp",
        "PANIER_META_APP_SECRET": webhooks.SECRET,
        "PANIER_SIMULATOR_PAIR_RATE": "true",
        "PANIER_SIMULATOR_MESSAGES_PER_SECOND": str(plan.throughput),
        "PANIER_LOG_LEVEL": "WARNING",
    }


async def _greet(weather: Weather) -> None:
    """Every customer writes once, so that the window is open; returns when the shop's door has taken it all."""
    url, plan = weather.simulator.url, weather.plan
    per_tick = max(1, int(GREETINGS_PER_SECOND * plan.numbers * TICK_SECONDS))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:

        async def greet(n: int) -> None:
            new = {"name": "Storm", "wa_id": _wa_id(n)}
            async with session.post(f"{url}/api/customers", json=new) as answer:
                customer = (await answer.json())["id"]
            path = f"{url}/api/customers/{customer}/messages?number={weather.number_of(n)}"
            async with session.post(path, json={"text": "hello"}) as answer:
                answer.raise_for_status()

        for first in range(0, plan.customers, per_tick):
            started = time.monotonic()
            await asyncio.gather(*(greet(n) for n in range(first, min(first + per_tick, plan.customers))))
            await asyncio.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - started)))
    async with asyncio.timeout(plan.patience_seconds):
        while await _webhooks_waiting(weather):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(TICK_SECONDS)


async def _blow(weather: Weather, tell: Tell) -> None:
    """Ask for messages, so many in each tick that the rate is kept from the start on."""
    plan, chance = weather.plan, random.Random(weather.plan.seed)
    total, started = int(plan.rate * plan.seconds), time.monotonic()
    told = 0.0
    while len(weather.ledger.requested) < total:
        elapsed = time.monotonic() - started
        due = min(total, int(plan.rate * elapsed) + 1)
        records: list[Outgoing] = []
        while len(weather.ledger.requested) < due:
            customer = chance.randrange(plan.customers)
            records += [_requested(weather, customer) for _ in range(chance.choice(BURSTS))]
        await publish(weather.producer, records)
        if elapsed - told >= 10:
            told = elapsed
            tell(f"{elapsed:.0f} s: {len(weather.ledger.requested)} asked for, {weather.ledger.open} open")
        await asyncio.sleep(TICK_SECONDS)


async def _kill_now_and_then(weather: Weather, tell: Tell) -> None:
    """At even distances within the storm, so that each falls into calls under way."""
    plan = weather.plan
    for n in range(plan.kills):
        due = (n + 1) * plan.seconds / (plan.kills + 1)
        while len(weather.ledger.requested) < due * plan.rate:  # noqa: ASYNC110 - the storm itself is the clock
            await asyncio.sleep(TICK_SECONDS)
        await weather.senders.kill()
        tell(f"sender killed and started again, {n + 1} of {plan.kills}")


def _requested(weather: Weather, customer: int, template: Template | None = None, ahead_seconds: float = 0) -> Outgoing:
    """The next message for this customer; its lane is always the customer's, so that order means something.

    WhatsApp's clock is so many seconds ahead.
    """
    at, number, wa_id = datetime.now(UTC), weather.number_of(customer), _wa_id(customer)
    place, message_id = len(weather.ledger.requested), str(uuid.uuid4())
    event = MessageRequested(
        phone_number_id=number,
        conversation=f"{number}:{wa_id}",
        shop=f"storm-{number}",
        customer=Customer(wa_id=wa_id),
        message=packed(TextMessage(body=f"{place} Votre commande avance.")),
        lane=LANES[customer % len(LANES)],
        answers_at=at,
        template=template,
    )
    asked_at = at.timestamp() + ahead_seconds
    weather.ledger.requested[message_id] = Requested(number, wa_id, place, asked_at, template is not None)
    return Outgoing(0, place, OUTBOUND.name, number, cloud_headers(event, message_id, "storm", at), encode(event))


@contextlib.asynccontextmanager
async def _following(found: Engines, weather: Weather) -> AsyncIterator[None]:
    """What comes on `sent` from now on goes into the ledger."""
    partitions = await weather.producer.partitions(SENT.name)
    consumer = AIOKafkaConsumer(bootstrap_servers=found.kafka)
    consumer.assign([TopicPartition(SENT.name, partition) for partition in range(partitions)])
    await consumer.start()
    try:
        await consumer.seek_to_end()
        task = asyncio.create_task(_follow(consumer, weather.ledger))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        await consumer.stop()


async def _follow(consumer: AIOKafkaConsumer, ledger: Ledger) -> None:
    async for record in consumer:
        headers = {name: value.decode() for name, value in record.headers}
        event = decode(headers["ce_type"], record.value)
        match event:
            case MessageSent():
                ledger.tell(headers["ce_id"], event.message_id, None)
            case MessageFailed():
                ledger.tell(headers["ce_id"], event.message_id, event.code, event.reason)


async def _drain(weather: Weather, tell: Tell) -> None:
    """Until every message has an end and every webhook is taken; the clock is moved past what is late."""
    await _until_ended(weather, tell)
    await asyncio.to_thread(weather.simulator.faults)
    await asyncio.to_thread(weather.simulator.move_clock, HOUR_SECONDS)
    deadline = time.monotonic() + weather.plan.patience_seconds
    while await _webhooks_waiting(weather) and time.monotonic() < deadline:  # noqa: ASYNC110 - in another process
        await asyncio.sleep(TICK_SECONDS)
    # A message that failed after it was sent has its end only when the services know.
    accepted = await asyncio.to_thread(lambda: list(weather.simulator.accepted()))
    failed = {each["callback"] for each in accepted if each["code"] is not None} & weather.ledger.requested.keys()
    deadline = time.monotonic() + LATE_SECONDS
    while failed - weather.ledger.failed and time.monotonic() < deadline:  # noqa: ASYNC110 - other processes tell
        await asyncio.sleep(TICK_SECONDS)


async def _until_ended(weather: Weather, tell: Tell) -> None:
    """Until every message has an end, or none has come to its end for too long."""
    told = progress = time.monotonic()
    left = weather.ledger.open
    while weather.ledger.open and time.monotonic() - progress < weather.plan.patience_seconds:
        await asyncio.sleep(TICK_SECONDS)
        if weather.ledger.open < left:
            left, progress = weather.ledger.open, time.monotonic()
        if time.monotonic() - told >= 10:
            told = time.monotonic()
            tell(f"{left} still open")


async def _a_day_later(weather: Weather, tell: Tell) -> None:
    """The sender's clock stays, so that WhatsApp tells it: the window is closed, and half have a template."""
    now = await asyncio.to_thread(weather.simulator.move_clock, DAY_SECONDS)
    ahead = now - time.time()
    customers = range(min(LATER, weather.plan.customers))
    await publish(weather.producer, [_requested(weather, n, SAMPLE if n % 2 else None, ahead) for n in customers])
    tell(f"a day later: {len(customers)} more")
    await _until_ended(weather, tell)


async def _webhooks_waiting(weather: Weather) -> int:
    return int((await asyncio.to_thread(weather.simulator.webhooks))["waiting"])


def _report(weather: Weather, took: float) -> dict[str, Any]:
    simulator = weather.simulator
    counts = simulator.counts()
    counts["numbers"] = {name: each for name, each in counts["numbers"].items() if name in weather.numbers}
    struck = simulator.call("GET", "/api/faults")["struck"]
    begun = recorded_sender.read(weather.calls)
    limit = weather.plan.throughput
    report = judge(weather.ledger, simulator.accepted(), simulator.refusals(), counts, struck, begun, limit)
    hooks = simulator.webhooks()
    return {
        "plan": asdict(weather.plan),
        "took_seconds": round(took, 1),
        "throughput_limit": weather.plan.throughput,
        "webhooks": {name: hooks[name] for name in ("delivered", "requests", "retried", "dropped", "waiting")},
        **report,
        "right": is_right(report),
    }


def _wa_id(customer: int) -> str:
    return f"336{customer:08d}"


def storm(
    rate: Annotated[float, typer.Option(min=1, help="Messages a second.")] = Plan.rate,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = Plan.seconds,
    numbers: Annotated[int, typer.Option(min=1, help="Phone numbers.")] = Plan.numbers,
    customers: Annotated[int, typer.Option(min=1, help="Customers, spread over the numbers.")] = Plan.customers,
    throughput: Annotated[int, typer.Option(min=1, help="Messages a second that one number may exchange.")] = 80,
    senders: Annotated[int, typer.Option(min=1, help="Processes of the sender.")] = Plan.senders,
    seed: Annotated[int, typer.Option(help="The same seed asks for the same and breaks the same.")] = Plan.seed,
    faults: Annotated[str, typer.Option(help="Preset of the simulator: all or none.")] = Plan.faults,
    kills: Annotated[int, typer.Option(min=0, help="How often a sender is killed on the way.")] = Plan.kills,
    report: Annotated[Path, typer.Option(help="File for the report, as JSON.")] = RESULTS / "storm.json",
) -> None:
    """Let the sender send in a storm; fails when a message was lost, doubly told, out of order or over a limit."""
    plan = Plan(rate, seconds, numbers, customers, throughput, senders, seed, faults, kills)
    progress = Console(stderr=True, highlight=False)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # fresh topics have no leader for a moment

    async def whole() -> dict[str, Any]:
        with engines() as found:
            await topics(found)
            return await run(found, plan, progress.print)

    document = uvloop.run(whole())
    text = json.dumps(document, indent=2)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(text + "\n", encoding="utf-8")
    Console(highlight=False).print(text)
    progress.print("right" if document["right"] else "WRONG: see `wrong` and `limits_broken`")
    progress.print(f"written: {report}")
    raise SystemExit(0 if document["right"] else 1)


if __name__ == "__main__":
    typer.run(storm)
