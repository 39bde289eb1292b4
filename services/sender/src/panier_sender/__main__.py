"""Starts the sender: the only place where its parts are put together."""

import asyncio
import time
from collections import Counter
from datetime import timedelta
from functools import partial

import aiohttp
from panier_common import customers, erasing, process, telemetry
from panier_common.postgres import AWAY, Pool
from panier_common.process import Process

from panier_sender import db, erasure, keeping
from panier_sender.dispatch import Claim, Dispatcher
from panier_sender.expiry import Expiry
from panier_sender.graph import Graph
from panier_sender.limits import Limits
from panier_sender.loops import Accounts, Numbers, Windows
from panier_sender.merges import merging_windows
from panier_sender.pacing import Pacing
from panier_sender.rates import Opening
from panier_sender.receipts import Receipts
from panier_sender.schedule import Schedule
from panier_sender.settings import SenderSettings
from panier_sender.tokens import Tokens
from panier_sender.uploads import Uploads
from panier_sender.windows_read import WindowsRead, ends_of

DEPTH_SECONDS = 5.0
LIMITS_SECONDS = 5.0


async def run() -> None:
    settings = SenderSettings()
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=settings.keep_alive_seconds)
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
        Process("sender", settings) as service,
    ):
        await build(service, settings, session).run()


def build(service: Process, settings: SenderSettings, session: aiohttp.ClientSession) -> Process:
    shops = service.follow_shops()
    tokens = Tokens(shops.by_number, settings.tokens_folder)
    graph = Graph(session, settings.graph_url, settings.graph_version)
    limits = Limits(shops.by_number, settings.messages_per_second)
    opening = Opening(settings.calls_limit)
    pacing = Pacing(settings.claims_limit, settings.number_claims_limit, limits, lambda: shops.loaded, opening.claims)
    schedule: Schedule[Claim] = Schedule(limits)
    dispatcher = Dispatcher(
        graph,
        tokens,
        pacing,
        schedule,
        Uploads(service.pool, graph),
        opening=opening,
        claim_seconds=settings.claim_seconds,
    )
    receipts = Receipts(graph, tokens)
    hearing = merging_windows(Windows(shops.by_id, dispatcher, receipts).loop())
    windows = erasing.add(service, hearing, erasure.erase_windows)
    service.add_router(customers.router(service.pool, held=erasure.held))
    service.keep(*keeping.KEPT)
    windows_read = WindowsRead(service.pool, partial(ends_of, settings.kafka_bootstrap_servers, windows.loop.topics))
    numbers = Numbers(
        pacing,
        dispatcher,
        timedelta(seconds=settings.doubt_seconds),
        in_doubt=settings.in_doubt,
        shop_of=shops.by_number,
        # The latter for partitions that come here later, and were not read where they were.
        windows_known=lambda: windows_read() and windows.caught_up_since_start(),
    )
    numbers.runner = service.add_loop(numbers.loop())
    service.add_loop(Accounts().loop())
    service.add_task("windows read", windows_read.run())
    service.add_task("dispatcher", dispatcher.run(numbers.runner.submit))
    service.add_task("receipts", receipts.run())
    service.add_task("expiry", Expiry(graph, tokens, shops).run())
    service.add_task("limits", follow_limits(service.pool, limits, schedule))
    service.add_task("depth", watch(service.pool, pacing, dispatcher, schedule))
    return service


async def follow_limits(pool: Pool, limits: Limits, schedule: Schedule[Claim]) -> None:
    """Whichever process hears of a number's limit, the one that owns the number obeys it soon after."""
    while True:
        try:
            async with pool.acquire(timeout=5) as connection:
                limits.told = await db.load_limits(connection)
        except AWAY:
            pass  # what is known stays true; the runner says that the database is away
        schedule.refresh()
        await asyncio.sleep(LIMITS_SECONDS)


async def watch(pool: Pool, pacing: Pacing, dispatcher: Dispatcher, schedule: Schedule[Claim]) -> None:
    """Keep the figures of the metrics that are looked up."""
    depth: Counter[str] = Counter()
    telemetry.gauge(
        "panier.journal.messages",
        lambda: [(float(count), {"state": state}) for state, count in depth.items()],
    )
    telemetry.gauge("panier.graph.in_flight", lambda: [(float(dispatcher.in_flight), {})])
    telemetry.gauge("panier.graph.allowed", lambda: [(float(dispatcher.allowed), {})])
    telemetry.gauge(
        "panier.numbers.held",
        lambda: [(1.0, {"number": number, "reason": hold.reason}) for number, hold in pacing.held().items()],
    )
    telemetry.gauge(
        "panier.number.rate",
        lambda: [(rate, {"number": number}) for number, rate in schedule.rates(time.monotonic()).items()],
    )
    telemetry.gauge(
        "panier.number.wait_seconds",
        lambda: [(seconds, {"number": number}) for number, seconds in schedule.waits(time.monotonic()).items()],
    )
    states = ("queued", "ready", "claimed", "delayed", "doubt")
    while True:
        try:
            async with pool.acquire(timeout=5) as connection:
                counted = await db.count_messages(connection)
            depth.update({state: counted.get(state, 0) - depth[state] for state in states})
        except AWAY:
            depth.clear()  # the runner says that the database is away
        await asyncio.sleep(DEPTH_SECONDS)


if __name__ == "__main__":
    process.main(run)
