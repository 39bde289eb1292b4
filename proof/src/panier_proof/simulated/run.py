"""One seed, one history: customers shop on simulated engines while the scheduler strikes; then the books are compared.

What is compared, and by whom, is the fault proof's own: `ledger`, `judge`, `script` and `shopper`.
"""

import asyncio
import gc
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from time import process_time
from typing import Any

import msgspec
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from panier_cart.cart import CartLine
from panier_checkout import documents
from panier_checkout.decision import Step
from panier_checkout.order import Order
from panier_common import topics
from panier_common.contracts.events import PaymentNotified
from panier_common.event import caused_id
from panier_common.kafka import partition_of
from panier_ingest.envelope import updates_of
from panier_ingest.links import Links
from panier_ingest.record import record_of

from panier_proof import judge, shop
from panier_proof.evidence import Evidence, Letter
from panier_proof.judge.findings import Finding
from panier_proof.ledger import Ledger, Payment
from panier_proof.script import Script, scripts
from panier_proof.shop_side import read_records
from panier_proof.shopper import Shopper
from panier_proof.simulated import clock, services
from panier_proof.simulated.faults import Fault, plan, strike
from panier_proof.simulated.log import Broker, SimulatedWriter
from panier_proof.simulated.meta import Meta, SimulatedPhone, Weather
from panier_proof.simulated.scheduler import BEGAN, SimulatedLoop
from panier_proof.simulated.schema import tables_of
from panier_proof.simulated.services import Engines
from panier_proof.simulated.store import Server

PATIENCE_SECONDS = 45.0
QUIET_SECONDS = 150.0
PARTITIONS = 4
# What a statement is on its way, by which seed: behind a slow database batches are ten times as large.
STATEMENT_SECONDS = (0.0005, 0.002, 0.005)
_PACKAGES = {service: f"panier_{service}" for service in services.SERVICES}


@dataclass(frozen=True)
class History:
    """All that decides what happens: the seed of the scheduler, who comes, and what strikes when."""

    seed: int
    scripts: tuple[Script, ...]
    faults: tuple[Fault, ...] = ()
    weather: Weather = field(default_factory=Weather)
    partitions: int = PARTITIONS
    statement_seconds: float = STATEMENT_SECONDS[0]


@dataclass
class Result:
    """What came of it. `actions` are customers' messages and payments; `cpu_seconds` is this process's own time."""

    findings: list[Finding]
    actions: int
    orders: int
    virtual_seconds: float
    cpu_seconds: float
    steps: int
    struck: dict[str, int]
    ledger: Ledger
    evidence: Evidence


class World:
    """Everything of one run."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.random = Random(history.seed)
        self.loop = SimulatedLoop(self.random)
        names = [topic.name for topic in topics.TOPICS]
        self.broker = Broker(self.loop, names, history.partitions)
        servers = {
            name: Server(self.loop, tables_of(package, self.now), self.now, history.statement_seconds)
            for name, package in _PACKAGES.items()
        }
        self.meta = Meta(self.loop, replace(history.weather))
        self.meta.door = self._door
        self.engines = Engines(self.loop, self.broker, servers, self.meta)
        self.processes = services.all_of(self.engines, dict.fromkeys(services.SERVICES, 2))
        self.ledger = Ledger(history.seed)
        self.goods = shop.goods(1, max(len(history.scripts), 24))
        self.struck: dict[str, int] = {}
        self._writer = SimulatedWriter(self.broker)
        self._links = Links()

    def now(self) -> datetime:
        return datetime.fromtimestamp(BEGAN + self.loop.now, UTC)

    async def _door(self, body: bytes) -> bool:
        """Ingest: translates by its own code, and takes the webhook once the log has it."""
        by_number = self.shops
        if not by_number or self.broker.away:
            return False
        for update in updates_of(body, by_number, self.now(), self._links):
            number = getattr(update.event, "phone_number_id", "")
            record = record_of(update.event, update.id, update.at, by_number.get(number))
            at = TopicPartition(record.topic, partition_of(record.key, self.broker.partitions))
            try:
                await self._writer.send(at, [(record.key.encode(), record.value, record.headers)])
            except KafkaError:
                return False
        return True

    @property
    def shops(self) -> Any:
        return self._directory.shops.by_number

    async def _pay(self, payment: Payment) -> None:
        """The provider's notification, told until the door has it."""
        raw = msgspec.json.encode({"id": payment.notification})
        event = PaymentNotified(
            provider="simulated",
            notification_id=payment.notification,
            order_id=payment.order_id,
            state=payment.state,
            minor=payment.minor,
            currency=shop.CURRENCY,
            at=self.now(),
            raw=msgspec.Raw(raw),
        )
        event_id = caused_id("ingest", payment.notification, event.ce_type, 0)
        record = record_of(event, event_id, event.at, None)
        at = TopicPartition(record.topic, partition_of(record.key, self.broker.partitions))
        while True:
            try:
                await self._writer.send(at, [(record.key.encode(), record.value, record.headers)])
            except KafkaError:
                await asyncio.sleep(1.0)
            else:
                return

    async def run(self) -> Result:
        began = process_time()
        self._directory = services.Parts(self.engines, None)  # type: ignore[arg-type]
        following = self.loop.start(self.loop.world, self._directory.follow_shops())
        await services.set_up(self.engines, shop.feed(self.goods).encode())
        for process in self.processes:
            process.start()
        while not self.shops:
            if self.loop.now > PATIENCE_SECONDS:
                raise RuntimeError("there is no shop to go to")
            await asyncio.sleep(0.2)
        await asyncio.sleep(3.0)
        began_at = self.loop.now
        striking = self.loop.start(self.loop.world, strike(self, began_at))
        async with asyncio.TaskGroup() as street:
            for n, script in enumerate(self.history.scripts):
                street.create_task(self._visit(n, script, began_at))
        await striking
        self._calm()
        ends = await self._settle()
        evidence = self._evidence(ends)
        findings = [one for one in judge.judged(self.ledger, evidence, self.goods) if one.invariant not in _NOT_HERE]
        findings += [Finding("quiet", end) for process in self.processes for end in process.ends]
        following.cancel()
        actions = sum(len(page.acts) + len(page.payments) for page in self.ledger.customers)
        return Result(
            findings,
            actions,
            len(evidence.orders),
            self.loop.now - began_at,
            process_time() - began,
            self.loop.steps,
            self.struck,
            self.ledger,
            evidence,
        )

    async def _visit(self, n: int, script: Script, began_at: float) -> None:
        await asyncio.sleep(max(0.0, began_at + script.begins - self.loop.now))
        phone = self.meta.customer(script.name, n, None if script.hides_number else f"336{n:08}", script.skew_seconds)
        phone.payments = self._pay
        self.ledger.customers.append(phone.page)
        shopper: Any = Shopper
        await shopper(phone, dict(self.goods), PATIENCE_SECONDS).play(script)

    def _calm(self) -> None:
        """No more faults: what is under way comes to its end."""
        self.meta.weather = Weather(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        self.broker.lost_acknowledgements = self.broker.late_batches = 0.0

    async def _settle(self) -> dict[str, int]:
        until, quiet = self.loop.now + QUIET_SECONDS, 0
        while True:
            await asyncio.sleep(2.0)
            ends = self._loose_ends()
            quiet = 0 if ends else quiet + 1
            if quiet >= 2 or self.loop.now > until:
                return ends

    def _loose_ends(self) -> dict[str, int]:
        found = {"webhooks on their way": self.meta.waiting}
        late = self.now().timestamp() - 3
        for name, server in self.engines.servers.items():
            found[f"{name} outbox"] = len(server.rows("outbox"))
            found[f"{name} timers due"] = sum(row["due_at"].timestamp() < late for row in server.rows("timer"))
        found["messages unsent"] = len(self.engines.servers["sender"].rows("message"))
        for process in self.processes:
            found[f"{process.name} not ready"] = sum(r.why_not_ready() is not None for r in process.runners)
        for name, behind in self._lag().items():
            found[f"{name} behind"] = behind
        if not any(found.values()):
            orders = self.engines.servers["checkout"].rows("orders")
            found["orders that wait for payment"] = sum(row["state"] == "awaiting_payment" for row in orders)
        return {name: count for name, count in found.items() if count}

    def _lag(self) -> dict[str, int]:
        """By what the databases say, as whoever takes over would go on from."""
        behind: dict[str, int] = {}
        for server in self.engines.servers.values():
            for row in server.rows("position"):
                end = len(self.broker.logs[TopicPartition(row["topic"], row["partition"])])
                if row["next_offset"] < end:
                    behind[row["loop"]] = behind.get(row["loop"], 0) + end - row["next_offset"]
        return behind

    def _evidence(self, ends: dict[str, int]) -> Evidence:
        evidence = Evidence(loose_ends=ends, accepted=self.meta.accepted)
        checkout = self.engines.servers["checkout"]
        steps: dict[str, list[Step]] = {}
        for row in sorted(checkout.rows("order_history"), key=lambda row: row["id"]):
            steps.setdefault(row["order_id"], []).append(Step(row["order_id"], row["at"], row["what"], row["by"]))
        for row in checkout.rows("orders"):
            order = msgspec.json.decode(row["document"], type=Order)
            shown = documents.order_with_history(order, steps.get(order.order_id, []), None)
            evidence.orders.append(json.loads(json.dumps(shown)))
        for row in self.engines.servers["catalog"].rows("product"):
            loaded = row["loaded"]
            available = None if loaded is None else loaded - row["reserved"] - row["sold"]
            evidence.products.append({**row, "available": available})
        for row in self.engines.servers["cart"].rows("cart"):
            lines = msgspec.json.decode(row["lines"], type=tuple[CartLine, ...])
            evidence.carts[row["conversation"]] = {line.sku: line.quantity for line in lines}
        for name, server in self.engines.servers.items():
            for row in server.rows("dead_letter"):
                place = row["topic"], row["partition"], row["offset"]
                evidence.letters.append(Letter(str(row["id"]), name, *place, row["reason"]))
        evidence.after_replay = evidence.letters
        read_records(evidence, *(self._records(topic) for topic in (topics.INBOUND, topics.OUTBOUND, topics.ORDER)))
        return evidence

    def _records(self, topic: topics.Topic) -> list[Any]:
        return [
            record for p in range(self.broker.partitions) for record in self.broker.logs[TopicPartition(topic.name, p)]
        ]


# The console and sales have no part in the simulation.
_NOT_HERE = frozenset({"kept", "sales"})


def run(history: History, look: Callable[[World], None] = lambda world: None) -> Result:
    """Play a history from its beginning to the comparison of the books. `look` gets the world before it begins."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    os.environ["PROOF_TOKEN"] = "token"
    world = World(history)
    look(world)
    asyncio.set_event_loop(None)
    gc.disable()  # a fifth of the time went by looking for cycles, of which a history leaves next to none
    with clock.in_force(world.loop, Random(f"{history.seed}/uuid")):
        try:
            return world.loop.run_until_complete(world.run())
        finally:
            world.loop.bury()
            world.loop.close()
            gc.enable()


def history(
    seed: int, customers: int, faults: int = 12, seconds: float | None = None, like: Sequence[Fault] = ()
) -> History:
    """What the seed decides."""
    lasts = seconds if seconds is not None else max(20.0, customers / 8)
    goods = shop.goods(1, max(customers, 24))
    people, faults_planned = scripts(seed, customers, lasts, goods), plan(seed, faults, lasts, like)
    slowness = STATEMENT_SECONDS[seed % len(STATEMENT_SECONDS)]
    return History(seed, tuple(people), tuple(faults_planned), statement_seconds=slowness)


def with_known_hashes(module: str) -> None:
    """Start the module's program anew unless sets have the same order as ever: that order is part of a history."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])


__all__ = ["History", "Result", "SimulatedPhone", "history", "run", "with_known_hashes"]
