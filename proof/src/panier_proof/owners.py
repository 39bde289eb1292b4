"""When partitions had nobody who works them, by what the services log, and how much of a wait that was. Pure.

A wait begins here when the door has taken the message: how long Meta takes to come again to a door that was closed is
another matter.

A process says when it gives partitions up, and another when it took them over: in between they stand still. Of one that
is killed nobody knows when it let go, so only what is done in order can be judged by this.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from panier_proof.evidence import Unowned
from panier_proof.waits import CALM, Spell, Wait

EVERY = -1
"""All partitions: of what has none, as the door."""
_ON_THE_WAY = frozenset(
    {"catalog.browsing", "catalog.stock", "cart.conversations", "checkout.conversations", "sender.numbers"}
)
_GIVEN, _TAKEN = "gives partitions up", "took partitions over"


def unowned(lines: Iterable[str]) -> list[Unowned]:
    """Of the lines of all services: from each giving up to the next taking over of the same partition."""
    found: list[Unowned] = []
    since: dict[tuple[str, int], float] = {}
    for at, event in sorted(_events(lines), key=lambda one: one[0]):
        for partition in event["partitions"]:
            place = event["loop"], partition
            if event["event"] == _GIVEN:
                since[place] = at
            elif place in since:
                found.append(Unowned(*place, since.pop(place), at))
    return found


def _events(lines: Iterable[str]) -> Iterator[tuple[float, dict[str, Any]]]:
    for line in lines:
        if _GIVEN in line or _TAKEN in line:
            event = json.loads(line[line.index("{") :])
            yield datetime.fromisoformat(event["timestamp"]).timestamp(), event


def is_on_the_way(one: Unowned) -> bool:
    """Whether an answer waits for it: some loops only keep books."""
    return one.loop in _ON_THE_WAY


def longest(some: Iterable[Unowned], spells: Sequence[Spell]) -> dict[str, dict[str, float]]:
    """By kind of spell and by loop: the longest time that began in it in which a partition had no owner."""
    told: dict[str, dict[str, float]] = {}
    for one in some:
        for kind in {spell.kind for spell in spells if spell.began <= one.began <= spell.ended}:
            loops = told.setdefault(kind, {})
            loops[one.loop] = max(loops.get(one.loop, 0.0), round(one.ended - one.began, 2))
    return {kind: dict(sorted(loops.items())) for kind, loops in sorted(told.items())}


def waits_while(waits: Iterable[Wait], some: Sequence[Unowned], spells: Sequence[Spell]) -> dict[str, dict[str, float]]:
    """By kind of spell, of the waits begun in it, and of those begun in none: the longest, and why.

    `unowned` is the part of the longest wait in which a partition on its way had no owner, `beyond` the longest rest
    that any wait has without that part: what the customer would have waited if taking over took no time.
    """
    begun: dict[str, list[Wait]] = {}
    for wait in waits:
        for kind in {spell.kind for spell in spells if spell.began <= wait.taken <= spell.ended} or {CALM}:
            begun.setdefault(kind, []).append(wait)
    told = {}
    for kind, those in sorted(begun.items()):
        worst = max(those, key=_inside)
        beyond = max(stalled(wait, some) for wait in those)
        parts = {"longest": _inside(worst), "unowned": without_owner(worst, some), "beyond": beyond}
        told[kind] = {"messages": len(those), **{name: round(seconds, 2) for name, seconds in parts.items()}}
    return told


def without_owner(wait: Wait, some: Iterable[Unowned]) -> float:
    """For how many seconds of the wait one or more of its partitions had no owner."""
    mine = sorted(
        (max(one.began, wait.taken), min(one.ended, wait.answered))
        for one in some
        if is_on_the_way(one) and one.partition in wait.homes and one.began < wait.answered and one.ended > wait.taken
    )
    seconds, until = 0.0, wait.taken
    for began, ended in mine:
        seconds += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return seconds


def stalled(wait: Wait, some: Iterable[Unowned]) -> float:
    """For how many seconds of the wait all its partitions had an owner."""
    return _inside(wait) - without_owner(wait, some)


def _inside(wait: Wait) -> float:
    return wait.answered - wait.taken
