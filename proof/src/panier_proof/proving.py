"""One proof from start to end: the stack, the customers and the faults side by side, the quiet after it, the books."""

import asyncio
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
from panier_cli.data_folder import DataFolder
from panier_cli.engines.jars import KAFKA_VERSION
from panier_cli.stack.local import LocalStack, running, wait_until_ready

from panier_proof import report
from panier_proof.evidence import Evidence
from panier_proof.havoc import Havoc
from panier_proof.judge.findings import Finding
from panier_proof.ledger import Ledger
from panier_proof.orderly import Operator
from panier_proof.owners import unowned
from panier_proof.phone import Simulator
from panier_proof.plan import ORDERLY, Plan
from panier_proof.poison import Planter
from panier_proof.quiet import settle
from panier_proof.screen import Screen
from panier_proof.script import Script, scripts
from panier_proof.settings import Run
from panier_proof.shop import EXPIRES_MINUTES, Good
from panier_proof.shop_side import ShopSide, gather
from panier_proof.shopkeeper import Shopkeeper
from panier_proof.street import Street

_PATIENCE_SECONDS = 100.0
_QUIET_SECONDS = 180.0
_READY_SECONDS = 120.0


@dataclass(frozen=True)
class Proven:
    """What a run leaves: the books, what the shop says, and how its report is made of the findings."""

    ledger: Ledger
    evidence: Evidence
    report: Callable[[list[Finding]], report.Json]


async def prove(run: Run, plan: Plan, goods: Mapping[str, Good], at: Path, screen: Screen) -> Proven:
    ledger, began = Ledger(run.seed), time.monotonic()
    # Every customer's phone waits on a connection of its own: aiohttp's usual hundred would starve the rest. None is
    # kept, or a request could meet the simulator closing an idle one.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    asking = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300), connector=connector)
    async with asking as session, running(DataFolder(at / "stack"), screen) as stack:
        await wait_until_ready(stack, _READY_SECONDS)
        simulator = Simulator(session, stack.addresses["simulator"])
        side = ShopSide(stack, session, stack.folder.secret("PANIER_ADMIN_TOKEN"))
        await simulator.use_faults(plan.webhooks)
        planter, operator = Planter(stack.engines[0].url, ledger), Operator(stack, session)
        havoc = Havoc(stack, simulator, planter, operator, plan, screen.say)
        street = Street(simulator, ledger, goods, _PATIENCE_SECONDS, run.at_once)
        keeper = Shopkeeper(side, ledger)
        people = scripts(run.seed, run.customers, plan.seconds, goods, run.regulars)
        await _live(street, havoc, keeper, people, plan, screen)
        evidence = await _close(stack, simulator, side, street, ledger, screen)
        struck, sales = await simulator.struck(), await asyncio.to_thread(_sales_differences)
        evidence.sales_differences = sales
        undisturbed = not run.troubled and not run.points
        evidence.orderly = undisturbed and all(fault.kind in ORDERLY for fault in plan.faults)
        evidence.unowned = [*operator.away, *unowned(screen.log.read_text("utf-8", "replace").splitlines())]
        about = _about(stack, run)
        versions = await _versions(stack)
    seconds = time.monotonic() - began

    def make(findings: list[Finding]) -> report.Json:
        told: dict[str, Any] = {"faults": havoc.struck, "spells": havoc.spells, "struck": struck, "seconds": seconds}
        told["longest_stop"] = operator.longest_stop
        return report.document(
            plan, ledger, evidence, findings, **told, versions=versions, stack=about, again=run.again
        )

    return Proven(ledger, evidence, make)


async def _live(
    street: Street, havoc: Havoc, keeper: Shopkeeper, people: list[Script], plan: Plan, screen: Screen
) -> None:
    """Customers, people of the shop and faults at once, until all are done."""
    screen.say("customers come")
    watching = asyncio.create_task(_watch(street, plan, screen))
    try:
        closing = asyncio.Event()
        async with asyncio.TaskGroup() as life:
            life.create_task(keeper.work(closing))
            faults = life.create_task(havoc.run())
            await street.shop(people)
            await faults
            closing.set()
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(street: Street, plan: Plan, screen: Screen) -> None:
    began = time.monotonic()
    while True:
        acts = sum(len(page.acts) for page in street.ledger.customers)
        links = sum(len(page.payments) for page in street.ledger.customers)
        shopping = f"{street.shopping} shop, {street.done} of {plan.customers} are done"
        screen.waiting(f"{time.monotonic() - began:4.0f} s: {shopping}; {acts} messages, {links} payments")
        await asyncio.sleep(1)


async def _close(
    stack: LocalStack, simulator: Simulator, side: ShopSide, street: Street, ledger: Ledger, screen: Screen
) -> Evidence:
    """Calm at Meta's, quiet in the shop, and then the books."""
    screen.say("the last customer has left; waiting until all is quiet")
    await simulator.use_faults({})
    database, broker = stack.engines[1], stack.engines[0]
    ends = await settle(simulator, side, database.url, _QUIET_SECONDS + EXPIRES_MINUTES * 60, screen.waiting)
    screen.say(f"not quiet: {ends}" if ends else "all is quiet; comparing")
    await street.close_books()
    evidence = await gather(side, broker.url, ledger)
    evidence.accepted = await simulator.messages()
    evidence.after_replay = await side.replay(evidence.letters)
    evidence.loose_ends = ends
    return evidence


def _sales_differences() -> int:
    """By the command that people have for it."""
    import json

    asked = [sys.executable, "-m", "panier_cli", "sales", "verify", "--wait", "30", "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return len(json.loads(done.stdout)["differences"]) if done.stdout.strip() else 1


def _about(stack: LocalStack, run: Run) -> dict[str, Any]:
    processes: dict[str, int] = {}
    for process in stack.processes:
        processes[process.service.name] = processes.get(process.service.name, 0) + 1
    replication = run.brokers if run.brokers > 1 else 1
    return {"brokers": run.brokers, "replication": replication, "processes": processes}


async def _versions(stack: LocalStack) -> dict[str, str]:
    import asyncpg

    connection = await asyncpg.connect(stack.engines[1].url)
    try:
        postgres = str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()
    return {
        "panier": version("panier-common"),
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "postgres": postgres,
        "aiokafka": version("aiokafka"),
    }
