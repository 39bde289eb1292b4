"""Numbers out of measurements: medians with their spread, percentiles, and the end of a run that lost something."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from panier_cli.load.sending import percentile

Tell = Callable[[str], None]
"""Where a measurement says how far it is."""


def silent(text: str) -> None:
    """For whoever does not want to know."""


def rates(per_second: Sequence[float]) -> dict[str, int]:
    return {
        "median": round(statistics.median(per_second)),
        "least": round(min(per_second)),
        "most": round(max(per_second)),
    }


def ratio(ours: Sequence[float], bare: Sequence[float]) -> dict[str, float]:
    """The median of each round's own ratio: two neighbours in time had the same machine."""
    each = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    return {"median": round(statistics.median(each), 3), "least": round(min(each), 3), "most": round(max(each), 3)}


def latency(seconds: Sequence[float]) -> dict[str, Any]:
    """In milliseconds."""
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return round(percentile(ordered, share) * 1000, 2)

    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "most_ms": at(1.0), "samples": len(ordered)}


def stop(why: str) -> NoReturn:
    raise SystemExit(f"{why}: this is no benchmark, it is a bug")
