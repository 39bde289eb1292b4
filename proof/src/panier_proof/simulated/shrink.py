"""The shortest history that still fails: fewer customers, fewer faults, fewer steps, as long as something is found.

Leaves out ever smaller parts (delta debugging). Every try is a whole run, so a failing history is a matter of seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import msgspec

from panier_proof.script import Step
from panier_proof.simulated.run import History

T = TypeVar("T")


def shrunk(history: History, fails: Callable[[History], bool], tries: int = 120) -> History:
    """A history that still fails and of which, within so many tries, nothing more could be left out."""
    left = [tries]

    def still(candidate: History) -> bool:
        if left[0] <= 0:
            return False
        left[0] -= 1
        return fails(candidate)

    before = None
    while before != history and left[0] > 0:
        before = history
        history = _fewer_customers(_fewer_faults(history, still), still)
        for n in range(len(history.scripts)):
            history = _fewer_steps(history, n, still)
    return history


def _fewer_faults(history: History, still: Callable[[History], bool]) -> History:
    faults = _less(history.faults, lambda some: still(replace(history, faults=tuple(some))))
    return replace(history, faults=tuple(faults))


def _fewer_customers(history: History, still: Callable[[History], bool]) -> History:
    people = _less(history.scripts, lambda some: bool(some) and still(replace(history, scripts=tuple(some))))
    return replace(history, scripts=tuple(people))


def _fewer_steps(history: History, n: int, still: Callable[[History], bool]) -> History:
    """One customer with as little to do as fails."""

    def having(steps: Sequence[Step]) -> History:
        script = msgspec.structs.replace(history.scripts[n], steps=tuple(steps))
        return replace(history, scripts=(*history.scripts[:n], script, *history.scripts[n + 1 :]))

    steps = _less(history.scripts[n].steps, lambda some: still(having(some)))
    return having(steps)


def _less(parts: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """As few of the parts as still fail."""
    size = max(1, len(parts) // 2)
    while parts:
        at, smaller = 0, False
        while at < len(parts):
            rest = [*parts[:at], *parts[at + size :]]
            if fails(rest):
                parts, smaller = rest, True
            else:
                at += size
        if size == 1 and not smaller:
            break
        size = max(1, size // 2)
    return parts


def told(history: History) -> str:
    """The history for people, and as the test that it becomes."""
    lines = [f"History(seed={history.seed}, partitions={history.partitions},"]
    lines += [f"    statement_seconds={history.statement_seconds},", "    scripts=("]
    lines += [f"        {script!r}," for script in history.scripts]
    lines += ["    ),", "    faults=("]
    lines += [f"        {fault!r}," for fault in history.faults]
    return "\n".join([*lines, "    ),", f"    weather={history.weather!r},", ")"])
