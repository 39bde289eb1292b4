"""What goes wrong and when: the whole of it, decided by the seed before anything starts. Pure.

The same seed, length and processes give the same plan. What is left to chance is only where a fault strikes
the code, which is what the proof is for.
"""

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

Kind = Literal["kill", "stop", "kill_broker", "kill_database", "scale", "graph", "poison", "roll", "drain"]

KINDS: tuple[Kind, ...] = ("kill", "stop", "kill_broker", "kill_database", "scale", "graph", "poison")
# What is done on purpose and in order: only when it is asked for.
ORDERLY: tuple[Kind, ...] = ("roll", "drain")
KILLED = ("ingest", "catalog", "cart", "checkout", "sender", "console", "sales")
STOPPED = KILLED
SCALED = ("cart", "checkout", "catalog", "sender")
POISONED = ("inbound/cart", "inbound/checkout", "inbound/catalog", "stock", "payment", "enquiry")
# A round of the deck: with ten faults, every kind strikes at least once.
_DECK: tuple[Kind, ...] = (
    *("kill", "kill", "kill", "stop", "stop"),
    *("kill_broker", "kill_database", "scale", "graph", "poison"),
)
# Longer than a session in Kafka (10 s): what wakes up is a zombie.
_STOP_SECONDS = (13.0, 18.0)
_SCALE_SECONDS = (12.0, 25.0)
_GRAPH_SECONDS = (6.0, 12.0)
_FIRST, _LAST = 0.06, 0.88


class Fault(msgspec.Struct, frozen=True):
    """One of them, `at` seconds after the first customer. `which` picks one of several processes."""

    at: float
    kind: Kind
    target: str
    seconds: float = 0.0
    which: int = 0

    @property
    def says(self) -> str:
        lasting = f" for {self.seconds:.0f} s" if self.seconds else ""
        return f"{self.kind} {self.target}{lasting}"


class Plan(msgspec.Struct, frozen=True):
    """The run as a whole. `webhooks` are the simulator's shares of what goes wrong with every call and webhook."""

    seed: int
    customers: int
    seconds: float
    faults: tuple[Fault, ...]
    webhooks: dict[str, float]

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return dict(sorted(Counter(fault.kind for fault in self.faults).items()))


def usual_trouble(seed: int) -> dict[str, float]:
    """The simulator's faults during the whole run: webhooks repeated, reordered, late, batched; calls that fail."""
    return {
        "seed": seed,
        "duplicated": 0.08,
        "delayed": 0.05,
        "reordered": 0.05,
        "missing": 0.01,
        "early": 0.03,
        "late": 0.01,
        "lost_answer": 0.004,
        "broken_answer": 0.01,
        "refused": 0.02,
        "throttled": 0.004,
        "pair_limited": 0.002,
        "slow": 0.03,
        "delay_seconds": 2,
        "late_seconds": 15,
        "lost_answer_seconds": 8,
        "batch_updates": 20,
    }


def graph_trouble(usual: Mapping[str, float]) -> dict[str, float]:
    """A bad quarter of a minute at Meta's."""
    return {**usual, "refused": 0.25, "lost_answer": 0.08, "broken_answer": 0.08, "slow": 0.3, "throttled": 0.05}


def make_plan(
    seed: int, customers: int, faults: int, seconds: float, kinds: Collection[str] = KINDS, *, troubled: bool = True
) -> Plan:
    """A fault for each equal part of the time, somewhere within it; every kind in turn before one comes again."""
    chance = random.Random(f"{seed}/plan")
    begin, room = seconds * _FIRST, seconds * (_LAST - _FIRST)
    drawn = _drawn(chance, faults, [kind for kind in (*_DECK, *ORDERLY) if kind in kinds])
    planned = tuple(
        _fault(chance, kind, begin + room * (n + chance.random()) / max(len(drawn), 1)) for n, kind in enumerate(drawn)
    )
    return Plan(seed, customers, seconds, planned, usual_trouble(seed) if troubled else {"seed": seed})


def _drawn(chance: random.Random, faults: int, deck: Sequence[Kind]) -> list[Kind]:
    drawn: list[Kind] = []
    while deck and len(drawn) < faults:
        drawn += chance.sample(deck, len(deck))
    return drawn[:faults]


def _fault(chance: random.Random, kind: Kind, at: float) -> Fault:
    at, which = round(at, 1), chance.randrange(1000)
    match kind:
        case "kill":
            return Fault(at, kind, chance.choice(KILLED), which=which)
        case "stop":
            return Fault(at, kind, chance.choice(STOPPED), round(chance.uniform(*_STOP_SECONDS), 1), which)
        case "scale":
            return Fault(at, kind, chance.choice(SCALED), round(chance.uniform(*_SCALE_SECONDS), 1), which)
        case "graph":
            return Fault(at, kind, "meta", round(chance.uniform(*_GRAPH_SECONDS), 1), which)
        case "poison":
            return Fault(at, kind, chance.choice(POISONED), which=which)
        case "kill_broker":
            return Fault(at, kind, "kafka", which=which)
        case "kill_database":
            return Fault(at, kind, "postgres", which=which)
        case "roll" | "drain":
            return Fault(at, kind, "services", which=which)
