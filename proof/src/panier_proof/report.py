"""What the proof found, for people and for programs: the table, the stories of customers, the document."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from panier_proof.evidence import Evidence
from panier_proof.judge import counted, report_counts
from panier_proof.judge.answers import doubled_sends
from panier_proof.judge.findings import INVARIANTS, Finding
from panier_proof.ledger import Ledger, story
from panier_proof.owners import longest, waits_while
from panier_proof.plan import Fault, Plan
from panier_proof.waits import Spell, by_spell, shares, waits

Json = dict[str, Any]
_STORIES = 3
_SHOWN = 10
_TOLD = (
    *("customers", "orders", "orders_paid", "payments", "webhooks_acknowledged", "messages_sent", "doubled_sends"),
    *("answer_seconds", "dead_letters", "dead_letters_planted", "scripts_cut_short", "faults_struck", "seconds"),
)


def document(
    plan: Plan,
    ledger: Ledger,
    evidence: Evidence,
    findings: Iterable[Finding],
    *,
    faults: Sequence[Fault],
    spells: Sequence[Spell],
    struck: Mapping[str, int],
    seconds: float,
    longest_stop: float,
    versions: Mapping[str, str],
    stack: Mapping[str, Any],
    again: str,
) -> Json:
    """The report: CONTRACT.md's document, with the invariants one by one besides."""
    kinds: dict[str, int] = {}
    for fault in faults:
        name = (
            f"{fault.kind}_{fault.target}".replace("/", "_") if fault.kind in ("kill", "stop", "scale") else fault.kind
        )
        kinds[name] = kinds.get(name, 0) + 1
    invariants = counted(findings)
    waited = waits(ledger, evidence)
    acts = [act for page in ledger.customers for act in page.acts]
    return {
        "seed": plan.seed,
        "customers": len(ledger.customers),
        "orders": len(evidence.orders),
        "faults": {**dict(sorted(kinds.items())), **{f"meta_{name}": count for name, count in sorted(struck.items())}},
        "webhooks_acknowledged": sum(act.acknowledged for act in acts),
        **report_counts(invariants),
        "doubled_sends": doubled_sends(evidence),
        "dead_letters": len({(one.topic, one.partition, one.offset) for one in evidence.letters}),
        "dead_letters_planted": len(ledger.planted),
        "seconds": round(seconds, 1),
        "longest_stop_seconds": round(longest_stop, 1),
        "versions": dict(versions),
        "orders_paid": sum(order["paid_minor"] > 0 for order in evidence.orders),
        "commands": len(ledger.commands),
        "payments": sum(len(page.payments) for page in ledger.customers),
        "messages_sent": len(evidence.accepted),
        "answer_seconds": shares(waited),
        "answer_seconds_while": by_spell(waited, spells),
        "longest_without_owner": longest(evidence.unowned, spells),
        "longest_wait_while_rolling": waits_while(waited, evidence.unowned, spells),
        "scripts_cut_short": sum(bool(page.gave_up) for page in ledger.customers),
        "faults_planned": len(plan.faults),
        "faults_struck": len(faults),
        "stack": dict(stack),
        "again": again,
        "invariants": invariants,
    }


def holds(report: Mapping[str, Any]) -> bool:
    """Whether every count that must be 0 is 0, and there was something to count."""
    whole = report["faults_struck"] == report["faults_planned"] and report["webhooks_acknowledged"] > 0
    return whole and not any(report["invariants"].values())


def show(console: Console, report: Mapping[str, Any]) -> None:
    """The table of invariants, and what was counted."""
    table = Table("what must hold", "broken", title=f"seed {report['seed']}")
    for name, (_, words) in INVARIANTS.items():
        count = report["invariants"][name]
        table.add_row(words, f"[red]{count}[/red]" if count else "[green]0[/green]")
    console.print(table)
    for kind, some in report["answer_seconds_while"].items():
        console.print(f"answers while {kind}: {some}", highlight=False)
    for kind, loops in report["longest_without_owner"].items():
        console.print(f"longest without an owner, in {kind}: {loops}", highlight=False)
    for kind, some in report["longest_wait_while_rolling"].items():
        console.print(f"longest wait begun in {kind}: {some}", highlight=False)
    console.print(", ".join(f"{name.replace('_', ' ')}: {report[name]}" for name in _TOLD), highlight=False)


def show_stories(console: Console, ledger: Ledger, findings: Sequence[Finding], again: str) -> None:
    """What was found, and the chats of the first customers whom it befell."""
    for finding in findings[:_SHOWN]:
        console.print(f"[red]{finding.invariant}[/red]: {finding.what}", highlight=False, soft_wrap=True)
    if len(findings) > _SHOWN:
        console.print(f"and {len(findings) - _SHOWN} more, in findings.json")
    pages = {page.conversation: page for page in ledger.customers}
    for conversation in list(dict.fromkeys(f.conversation for f in findings if f.conversation in pages))[:_STORIES]:
        page = pages[conversation]
        gave_up = f", gave up: {page.gave_up}" if page.gave_up else ""
        console.print(f"\n{page.name}, {conversation}{gave_up}:", highlight=False, soft_wrap=True)
        for line in story(page):
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"\nthe same again: {again}", highlight=False, soft_wrap=True)
