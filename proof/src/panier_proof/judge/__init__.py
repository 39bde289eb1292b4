"""Compares the ledger with what the shop holds. Pure: the same two give the same findings.

`judged` is the whole of it; each module of this package has the invariants of one matter.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from panier_proof.evidence import Evidence
from panier_proof.judge import answers, carts, commands, letters, money, orders, stalls, stock
from panier_proof.judge.findings import COUNTS, INVARIANTS, Finding
from panier_proof.ledger import Ledger
from panier_proof.shop import Good


def judged(ledger: Ledger, evidence: Evidence, goods: Mapping[str, Good]) -> list[Finding]:
    """Every break of every invariant; none, when all was kept."""
    found = [
        *carts.check(ledger, evidence, goods),
        *orders.check(ledger, evidence, goods),
        *money.check(ledger, evidence),
        *commands.check(ledger, evidence),
        *stock.check(evidence, goods),
        *answers.check(ledger, evidence),
        *letters.check(ledger, evidence),
        *stalls.check(ledger, evidence),
    ]
    found += [Finding("quiet", name, times=count) for name, count in evidence.loose_ends.items()]
    if evidence.sales_differences:
        found.append(Finding("sales", f"{evidence.sales_differences} figures differ", times=evidence.sales_differences))
    return found


def counted(findings: Iterable[Finding]) -> dict[str, int]:
    """How often each invariant was broken, all of them named."""
    counts: Counter[str] = Counter()
    for finding in findings:
        counts[finding.invariant] += finding.times
    return {name: counts[name] for name in INVARIANTS}


def report_counts(invariants: Mapping[str, int]) -> dict[str, int]:
    """The counts of the report that must be 0."""
    totals = dict.fromkeys(COUNTS, 0)
    for name, count in invariants.items():
        totals[INVARIANTS[name][0]] += count
    return totals


__all__ = ["counted", "judged", "report_counts"]
