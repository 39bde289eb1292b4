"""The product's services as simulated processes: their own loops, runners, handlers and SQL, put together as each
service's `__main__` does, on the simulated engines.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from aiokafka import TopicPartition
from panier_cart import loops as cart
from panier_cart.merges import merging_conversations
from panier_catalog import intake, shops
from panier_catalog import loops as catalog
from panier_checkout.desk import Trade
from panier_checkout.loops import conversations_loop, payments_loop
from panier_checkout.merges import merging_dialogues
from panier_checkout.provider_calls import ProviderCalls
from panier_common.homes import HomeLostError
from panier_common.merging import merging_memories
from panier_common.runner import Runner
from panier_common.shops import ShopDirectory
from panier_common.topics import SHOP, Topic
from panier_common.words import Words
from panier_payments import PROVIDERS
from panier_sender.dispatch import Claim, Dispatcher
from panier_sender.limits import Limits
from panier_sender.loops import Accounts, Numbers, Windows
from panier_sender.pacing import Pacing
from panier_sender.rates import Opening
from panier_sender.receipts import Receipts
from panier_sender.schedule import Schedule
from panier_sender.settings import SenderSettings
from panier_sender.tokens import Tokens
from panier_sender.uploads import Uploads
from panier_sender.windows_read import WindowsRead

from panier_proof import shop
from panier_proof.simulated.log import Broker, SimulatedLog
from panier_proof.simulated.meta import Meta, SimulatedGraph
from panier_proof.simulated.scheduler import Actor, SimulatedLoop
from panier_proof.simulated.store import Pool, Server

PAY_URL = "http://localhost/pay/{currency}/{minor}"
RESTART_SECONDS = 1.0
SERVICES = ("catalog", "cart", "checkout", "sender")


@dataclass
class Engines:
    """What all processes share."""

    loop: SimulatedLoop
    broker: Broker
    servers: dict[str, Server]
    meta: Meta


@dataclass
class Parts:
    """One process being put together."""

    engines: Engines
    store: Pool
    shops: ShopDirectory = field(default_factory=lambda: ShopDirectory(""))
    runners: list[Runner[Any]] = field(default_factory=list)
    tasks: list[Coroutine[Any, Any, Any]] = field(default_factory=list)

    def add_loop(self, loop: Any) -> Runner[Any]:
        runner: Runner[Any] = Runner(loop, self.store, SimulatedLog(self.engines.broker))  # type: ignore[arg-type]
        self.runners.append(runner)
        return runner

    async def follow_shops(self) -> None:
        """The shop's topic, from its beginning."""
        broker = self.engines.broker
        read = dict.fromkeys((TopicPartition(SHOP.name, p) for p in range(broker.partitions)), 0)
        while True:
            if not broker.away:
                for at, offset in list(read.items()):
                    for record in broker.logs[at][offset:]:
                        self.shops._take(record)  # type: ignore[arg-type]
                    read[at] = len(broker.logs[at])
                self.shops.loaded = bool(self.shops.by_id)
            await asyncio.sleep(0.2 if not self.shops.loaded else 2.0)


def _catalog(parts: Parts) -> None:
    async def partitions() -> int:
        return parts.engines.broker.partitions

    parts.add_loop(merging_memories(catalog.browsing_loop()))
    parts.add_loop(catalog.stock_loop(partitions))


def _cart(parts: Parts) -> None:
    parts.add_loop(merging_conversations(parts.shops))
    parts.add_loop(cart.shown())
    parts.add_loop(cart.products())


def _checkout(parts: Parts) -> None:
    providers = {name: provider(PAY_URL if name == "simulated" else "") for name, provider in PROVIDERS.items()}
    trade = Trade(parts.shops, Words("panier_checkout"), providers)
    calls = ProviderCalls(parts.store, trade.providers, 10.0)  # type: ignore[arg-type]
    conversations = parts.add_loop(merging_dialogues(conversations_loop(trade, calls)))
    if calls.needed:
        parts.tasks.append(calls.run(conversations.submit))
    parts.add_loop(payments_loop())


def _sender(parts: Parts) -> None:
    settings = SenderSettings.model_construct()
    tokens = Tokens(parts.shops.by_number)
    graph: Any = SimulatedGraph(parts.engines.meta)
    limits = Limits(parts.shops.by_number, settings.messages_per_second)
    opening = Opening(settings.calls_limit)
    pacing = Pacing(
        settings.claims_limit, settings.number_claims_limit, limits, lambda: parts.shops.loaded, opening.claims
    )
    schedule: Schedule[Claim] = Schedule(limits)
    uploads = Uploads(parts.store, graph)  # type: ignore[arg-type]
    dispatcher = Dispatcher(
        graph,
        tokens,
        pacing,
        schedule,
        uploads,
        opening=opening,
        claim_seconds=settings.claim_seconds,
    )
    receipts = Receipts(graph, tokens)
    windows = parts.add_loop(Windows(parts.shops.by_id, dispatcher, receipts).loop())
    windows_read = WindowsRead(parts.store, partial(_ends_of, parts.engines.broker, windows.loop.topics))  # type: ignore[arg-type]
    numbers = Numbers(
        pacing,
        dispatcher,
        timedelta(seconds=settings.doubt_seconds),
        in_doubt=settings.in_doubt,
        shop_of=parts.shops.by_number,
        windows_known=lambda: windows_read() and windows.caught_up_since_start(),
    )
    numbers.runner = parts.add_loop(numbers.loop())
    parts.add_loop(Accounts().loop())
    parts.tasks += [windows_read.run(), dispatcher.run(numbers.runner.submit), receipts.run()]


async def _ends_of(broker: Broker, topics: Sequence[Topic]) -> dict[tuple[str, int], int]:
    await broker.answered()
    places = [TopicPartition(topic.name, p) for topic in topics for p in range(broker.partitions)]
    return {(at.topic, at.partition): len(broker.logs[at]) for at in places if broker.logs[at]}


_BUILD: dict[str, Callable[[Parts], None]] = {
    "catalog": _catalog,
    "cart": _cart,
    "checkout": _checkout,
    "sender": _sender,
}


class Process:
    """One place where a service runs: started again whenever what ran there has ended or died."""

    def __init__(self, engines: Engines, service: str, number: int) -> None:
        self.engines = engines
        self.service = service
        self.name = f"{service}-{number}"
        self.actor = Actor(self.name)
        self.starts = 0
        self.ends: list[str] = []
        self.runners: list[Runner[Any]] = []
        self.wanted = True

    def start(self) -> None:
        self.starts += 1
        self.actor = Actor(f"{self.name}/{self.starts}")
        self.engines.loop.start(self.actor, self._live(self.actor))

    async def _live(self, actor: Actor) -> None:
        parts = Parts(self.engines, Pool(self.engines.servers[self.service]))
        _BUILD[self.service](parts)
        self.runners = parts.runners
        tasks = [asyncio.ensure_future(task) for task in (parts.follow_shops(), *parts.tasks)]
        tasks += [asyncio.ensure_future(runner.run()) for runner in parts.runners]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        error = next(iter(done)).exception()
        if error is None:  # told to stop: the others end as well
            await asyncio.wait(tasks[-len(parts.runners) :])
        elif not isinstance(error, HomeLostError):
            self.ends.append(f"{self.name} ended by itself: {error!r}")
        self.engines.loop.of_world(0.0, self.kill, actor)

    def kill(self, actor: Actor | None = None) -> None:
        """-9; somebody starts it anew."""
        if actor is not None and actor is not self.actor:
            return
        self.engines.loop.kill_process(self.actor)
        if self.wanted:
            self.engines.loop.of_world(RESTART_SECONDS, self._again, self.starts)

    def _again(self, starts: int) -> None:
        if self.wanted and self.starts == starts:
            self.start()

    def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT so much later."""
        actor = self.actor
        self.engines.loop.stop_process(actor)
        self.engines.loop.of_world(seconds, self.engines.loop.wake_process, actor)


async def set_up(engines: Engines, catalogue: bytes) -> None:
    """The shops file and its catalogue, as the catalogue's process applies them at its start."""

    async def partitions() -> int:
        return engines.broker.partitions

    text = shop.shops_file().replace(
        'access_token_env = "PROOF_TOKEN"', 'access_token_env = "PROOF_TOKEN"\nmessages_per_second = 1000'
    )
    store: Any = Pool(engines.servers["catalog"])
    await intake.set_up(store, shops.parse(text), {shop.ID: catalogue}, partitions)


def all_of(engines: Engines, counts: dict[str, int]) -> Sequence[Process]:
    return [Process(engines, service, n) for service in SERVICES for n in range(counts.get(service, 1))]
