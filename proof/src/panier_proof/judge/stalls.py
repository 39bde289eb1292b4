"""Rolled out or drained, no partition and no conversation stands still for longer than handing over takes. Pure.

Only where nothing else was done to the shop: of who is killed nobody knows when it let go, and a slow Graph API makes
people wait as well.
"""

from collections.abc import Iterator

from panier_proof.evidence import Evidence
from panier_proof.judge.findings import Finding
from panier_proof.ledger import Ledger
from panier_proof.owners import is_on_the_way, stalled
from panier_proof.waits import waits

# After this time Kafka misses a member of a group. Who leaves in order is waited for by nobody for so long; nor may an
# answer take so much longer than its partitions were without an owner.
_MISSED_SECONDS = 10.0


def check(ledger: Ledger, evidence: Evidence) -> Iterator[Finding]:
    if not evidence.orderly:
        return
    for one in evidence.unowned:
        if is_on_the_way(one) and one.ended - one.began > _MISSED_SECONDS:
            seconds = one.ended - one.began
            yield Finding("stall", f"partition {one.partition} of {one.loop} had no owner for {seconds:.1f} s")
    for wait in waits(ledger, evidence):
        if (seconds := stalled(wait, evidence.unowned)) > _MISSED_SECONDS:
            yield Finding("stall", f"an answer took {seconds:.1f} s more than its partitions had no owner")
