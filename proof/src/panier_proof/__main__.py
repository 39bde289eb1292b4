"""`python -m panier_proof`: runs the fault proof, prints what held, and writes `.panier/proof/report.json`.

`python -m panier_proof --judge-only` compares once more what the last run kept.
"""

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from panier_cli.errors import Refused
from panier_cli.interrupt import until_stopped

from panier_proof import plan as plans
from panier_proof import report, shop
from panier_proof.bites import BITES, plant
from panier_proof.evidence import Evidence
from panier_proof.judge import counted, judged, report_counts
from panier_proof.judge.findings import Finding
from panier_proof.ledger import Ledger
from panier_proof.proving import Proven, prove
from panier_proof.screen import Screen
from panier_proof.settings import Run, folder, prepare_environment

_BROKERS = (1, 3)
_KINDS = (*plans.KINDS, *plans.ORDERLY)


def main(
    customers: Annotated[int, typer.Option(min=1, help="How many shop.")] = 100,
    faults: Annotated[int, typer.Option(min=0, help="How many faults of the plan.")] = 10,
    minutes: Annotated[float, typer.Option(min=0.2, help="How long customers come and faults strike.")] = 3.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same plan.")] = 1,
    kinds: Annotated[str, typer.Option(help=f"Only these kinds of faults, of {', '.join(_KINDS)}.")] = "",
    brokers: Annotated[int, typer.Option(help="1, or 3 with replication factor 3 and two in sync.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Processes of each service that may have several.")] = 1,
    at_once: Annotated[int, typer.Option(min=1, help="Customers in the shop at one moment, at most.")] = 60,
    regulars: Annotated[
        float, typer.Option(min=0, max=1, help="The share of customers who only order, four times each.")
    ] = 0.0,
    calm: Annotated[bool, typer.Option("--calm", help="Webhooks and calls go as they should.")] = False,
    without: Annotated[str, typer.Option(help=f"Switch this off, to see the proof fail: {', '.join(BITES)}.")] = "",
    judge_only: Annotated[bool, typer.Option("--judge-only", help="Compare the last run once more.")] = False,
) -> None:
    """Customers shop while things break; then the ledger is compared with the shop."""
    chosen = tuple(filter(None, kinds.split(","))) or plans.KINDS
    if brokers not in _BROKERS or set(chosen) - set(_KINDS):
        raise typer.BadParameter(f"brokers: 1 or 3; kinds: {', '.join(_KINDS)}")
    if without and without not in BITES:
        raise typer.BadParameter(f"--without is one of {', '.join(BITES)}")
    at = folder()
    bitten = at / "without" if without else None
    run = Run(
        customers,
        faults,
        minutes,
        seed,
        chosen,
        brokers=brokers,
        processes=processes,
        at_once=at_once,
        regulars=regulars,
        troubled=not calm,
        without=bitten,
        points=BITES[without].points if without else (),
    )
    screen = Screen(at / ("judge.log" if judge_only else "services.log"))
    try:
        if bitten is not None:
            plant(BITES[without], bitten)
        books = _kept(at) if judge_only else _prove(run, at, screen)
        if not _tell(books, at, screen):
            raise typer.Exit(1)
    except Refused as refused:
        screen.say(f"{refused}; {refused.hint}")
        raise typer.Exit(1) from refused
    finally:
        screen.close()


@dataclass(frozen=True)
class Books:
    """What is compared, and how its report is made of what is found."""

    plan: plans.Plan
    goods: Mapping[str, shop.Good]
    ledger: Ledger
    evidence: Evidence
    report: Callable[[list[Finding]], report.Json]


def _prove(run: Run, at: Path, screen: Screen) -> Books:
    goods = shop.goods(run.seed, run.customers)
    for old in ("report.json", "findings.json", "ledger.json", "evidence.json"):
        (at / old).unlink(missing_ok=True)  # nothing of another run beside what this one leaves
    shutil.rmtree(at / "stack", ignore_errors=True)
    (at / "shop").mkdir(parents=True, exist_ok=True)
    (at / "shop" / "catalogue.csv").write_text(shop.feed(goods), "utf-8")
    (at / "shop" / "shops.toml").write_text(shop.shops_file(), "utf-8")
    plan = plans.make_plan(run.seed, run.customers, run.faults, run.minutes * 60, run.kinds, troubled=run.troubled)
    _keep(at, "plan", plan)
    screen.say(f"seed {run.seed}: {run.customers} customers, {len(plan.faults)} faults in {run.minutes:g} minutes")
    for fault in plan.faults:
        screen.say(f"  planned at {fault.at:6.1f} s  {fault.says}")
    prepare_environment(run, at, at / "shop" / "shops.toml")
    proven: list[Proven] = []

    async def work() -> None:
        proven.append(await prove(run, plan, goods, at, screen))

    asyncio.run(until_stopped(work()))
    if not proven:
        raise typer.Exit(130)
    _keep(at, "ledger", proven[0].ledger)
    _keep(at, "evidence", proven[0].evidence)
    return Books(plan, goods, proven[0].ledger, proven[0].evidence, proven[0].report)


def _kept(at: Path) -> Books:
    """What the last run left."""
    plan = msgspec.json.decode((at / "plan.json").read_bytes(), type=plans.Plan)
    ledger = msgspec.json.decode((at / "ledger.json").read_bytes(), type=Ledger)
    evidence = msgspec.json.decode((at / "evidence.json").read_bytes(), type=Evidence)
    before = json.loads((at / "report.json").read_bytes())

    def again(findings: list[Finding]) -> report.Json:
        invariants = counted(findings)
        return {**before, **report_counts(invariants), "invariants": invariants}

    return Books(plan, shop.goods(plan.seed, plan.customers), ledger, evidence, again)


def _tell(books: Books, at: Path, screen: Screen) -> bool:
    """Compare, write the report and show it; whether everything held."""
    findings = judged(books.ledger, books.evidence, books.goods)
    document = books.report(findings)
    _keep(at, "findings", findings)
    (at / "report.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    report.show(screen.console, document)
    if findings:
        report.show_stories(screen.console, books.ledger, findings, document["again"])
    proven = report.holds(document)
    screen.say(f"{'proven' if proven else 'NOT proven'}: {at / 'report.json'}")
    return proven


def _keep(at: Path, name: str, what: object) -> None:
    (at / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(what), indent=1))


if __name__ == "__main__":
    typer.run(main)
