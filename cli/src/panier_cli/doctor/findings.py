"""What a check found: a level, what is so, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "skipped", "warn", "fail"]
LEVELS: tuple[Level, ...] = ("ok", "skipped", "warn", "fail")


@dataclass(frozen=True)
class Finding:
    """`check` is `<part>.<what>`; `do` is empty where nothing is to be done."""

    check: str
    level: Level
    says: str
    do: str = ""


def ok(check: str, says: str) -> Finding:
    return Finding(check, "ok", says)


def skipped(check: str, why: str, do: str = "") -> Finding:
    """Could not be looked at from here."""
    return Finding(check, "skipped", why, do)


def warn(check: str, says: str, do: str) -> Finding:
    return Finding(check, "warn", says, do)


def fail(check: str, says: str, do: str) -> Finding:
    return Finding(check, "fail", says, do)


def document(found: Iterable[Finding]) -> dict[str, Any]:
    """The document of `panier doctor --json`; `ok` is false when anything failed."""
    listed = list(found)
    counts = {level: sum(one.level == level for one in listed) for level in LEVELS}
    return {"ok": not counts["fail"], "counts": counts, "findings": [asdict(one) for one in listed]}
