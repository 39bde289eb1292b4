"""How long customers waited for an answer, what went on meanwhile, and for how much of it nobody was there. Pure.

Nothing is lost when that is long, but felt.
"""

from collections.abc import Iterable

import msgspec

from panier_proof.evidence import Evidence
from panier_proof.ledger import Ledger

_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
CALM = "calm"


class Spell(msgspec.Struct, frozen=True):
    """A time in which something went on, by the clock of the simulated world."""

    kind: str
    began: float
    ended: float


class Wait(msgspec.Struct, frozen=True):
    """From a customer's message to the first answer; `taken` is when the door had written it.

    `homes` are the partitions of their conversation and of the shop's number.
    """

    asked: float
    answered: float
    taken: float = 0.0
    homes: frozenset[int] = frozenset()

    @property
    def seconds(self) -> float:
        return self.answered - self.asked


def waits(ledger: Ledger, evidence: Evidence) -> list[Wait]:
    first: dict[str, float] = {}
    for message in evidence.accepted:
        first[message.id] = min(message.at, first.get(message.id, message.at))
    came: dict[str, float] = {}
    taken: dict[str, float] = {}
    homes: dict[str, set[int]] = {}
    for one in evidence.inbound:
        taken[one.wamid] = min(one.at, taken.get(one.wamid, one.at))
        homes.setdefault(one.wamid, set()).add(one.partition)
    for request in evidence.requested:
        if request.answers and request.id in first:
            came[request.answers] = min(first[request.id], came.get(request.answers, first[request.id]))
            homes.setdefault(request.answers, set()).add(request.partition)
    acts = (act for page in ledger.customers for act in page.acts if act.wamid in came)
    return [Wait(act.at, came[act.wamid], taken.get(act.wamid, act.at), frozenset(homes[act.wamid])) for act in acts]


def shares(found: Iterable[Wait]) -> dict[str, float]:
    """Of the waits: the middle one, and the long ones."""
    seconds = sorted(wait.seconds for wait in found) or [0.0]
    return {name: round(seconds[int((len(seconds) - 1) * share)], 2) for name, share in _SHARES.items()}


def by_spell(found: Iterable[Wait], spells: Iterable[Spell]) -> dict[str, dict[str, float]]:
    """The waits that each kind of spell had a part in, and those that none had; with how many there were."""
    known, told = tuple(spells), {}
    sorted_out: dict[str, list[Wait]] = {}
    for wait in found:
        kinds = {spell.kind for spell in known if wait.asked < spell.ended and wait.answered > spell.began}
        for kind in kinds or {CALM}:
            sorted_out.setdefault(kind, []).append(wait)
    for kind, some in sorted(sorted_out.items()):
        told[kind] = {"messages": len(some), **shares(some)}
    return told
