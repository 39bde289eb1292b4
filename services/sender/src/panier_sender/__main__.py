"""Starts the sender: the only place where its parts are put together."""

import asyncio
from collections import Counter
from datetime import timedelta

import aiohttp
import asyncpg
from panier_common import process, telemetry
from panier_common.postgres import Pool
from panier_common.process import Process

from panier_sender import db
from panier_sender.dispatch import Dispatcher
from panier_sender.graph import Graph
from panier_sender.loops import Numbers, Windows
from panier_sender.pacing import Pacing
from panier_sender.receipts import Receipts
from panier_sender.settings import SenderSettings
from panier_sender.tokens import Tokens

DEPTH_SECONDS = 5.0


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
    tokens = Tokens(shops.by_number)
    graph = Graph(session, settings.graph_url, settings.graph_version)
    pacing = Pacing(settings.claims_limit, settings.number_claims_limit)
    dispatcher = Dispatcher(
        graph, tokens, pacing, calls_limit=settings.calls_limit, claim_seconds=settings.claim_seconds
    )
    numbers = Numbers(pacing, dispatcher, timedelta(seconds=settings.doubt_seconds))
    receipts = Receipts(graph, tokens)
    runner = service.add_loop(numbers.loop())
    numbers.runner = runner
    service.add_loop(Windows(shops.by_id, pacing, receipts, settings.claims_limit // 2).loop())
    service.add_task("dispatcher", dispatcher.run(runner.submit))
    service.add_task("receipts", receipts.run())
    service.add_task("depth", watch(service.pool, pacing, dispatcher))
    return service


async def watch(pool: Pool, pacing: Pacing, dispatcher: Dispatcher) -> None:
    """Keep the figures of the metrics that are looked up."""
    depth: Counter[str] = Counter()
    telemetry.gauge(
        "panier.journal.messages",
        "Messages not yet sent, by state (10,000 are counted at most).",
        lambda: [(float(count), {"state": state}) for state, count in depth.items()],
    )
    telemetry.gauge("panier.graph.in_flight", "Graph API calls in flight.", lambda: [(float(dispatcher.in_flight), {})])
    telemetry.gauge(
        "panier.numbers.held",
        "Phone numbers whose messages wait, by reason.",
        lambda: [
            (float(count), {"reason": reason})
            for reason, count in Counter(hold.reason for hold in pacing.holds.values()).items()
        ],
    )
    states = ("queued", "ready", "claimed", "delayed", "doubt")
    while True:
        try:
            async with pool.acquire(timeout=5) as connection:
                counted = await db.count_messages(connection)
            depth.update({state: counted.get(state, 0) - depth[state] for state in states})
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            depth.clear()  # the runner says that the database is away
        await asyncio.sleep(DEPTH_SECONDS)


if __name__ == "__main__":
    process.main(run)
