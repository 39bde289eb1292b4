"""The proof bites: with one guarantee switched off in a copy of the code, it must fail. `python -m panier_proof.bites`

A guarantee is switched off by a change of one place in a copy of one package, which the services then find before the
real one. The product's code knows nothing of it; that the place is still there is tested.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from panier_proof.settings import folder


@dataclass(frozen=True)
class Bite:
    """`words` says what is off; `old` in `file` of `package` becomes `new`. `run` is a proof that must show it.

    At each of the fail points `points` a process dies or stops once: the one moment at which the guarantee is needed
    is sure.
    """

    words: str
    package: str
    file: str
    old: str
    new: str
    run: tuple[str, ...]
    points: tuple[str, ...] = ()


_LOOPS = ("cart.conversations", "checkout.conversations", "catalog.browsing", "catalog.stock")

BITES: Mapping[str, Bite] = {
    "repeats": Bite(
        "webhooks that Meta sends again are taken again",
        "panier_common",
        "batch.py",
        "if seen is Seen.REPEAT:",
        "if seen is Seen.REPEAT and not item.key:",
        ("--faults", "0", "--customers", "20"),
    ),
    "reservation": Bite(
        "stock is reserved without a look at what is there",
        "panier_catalog",
        "stock.py",
        "return available is not None and available < quantity",
        "return available is not None and available < 0",
        ("--faults", "0", "--customers", "60", "--calm"),
    ),
    "acknowledgements": Bite(
        "the door answers 200 before the broker has the message",
        "panier_ingest",
        "publisher.py",
        "waiting = _Waiting(len(records), now, tell)",
        "waiting = _Waiting(len(records), now, lambda why: None); tell(None)",
        ("--faults", "3", "--kinds", "kill_broker", "--customers", "40"),
    ),
    "published_again": Bite(
        "what an outbox publishes twice is taken twice",
        "panier_common",
        "batch.py",
        "if n <= max(known, self._heard.get((*at, source), 0)):",
        "if n < 0:",
        ("--faults", "0", "--customers", "40", "--calm"),
        tuple(f"after_publish:{loop}:2" for loop in _LOOPS),
    ),
    "positions": Bite(
        "whoever takes a partition over reads it from its beginning, and has heard nothing",
        "panier_common",
        "runner.py",
        "reading = readings.get(at) or Reading(-1)",
        "reading = Reading(-1)",
        ("--faults", "4", "--kinds", "kill", "--customers", "40", "--calm"),
    ),
    "epoch": Bite(
        "a former owner's transactions go through",
        "panier_common",
        "homes.py",
        "AND home.epoch = mine.epoch ",
        "AND home.epoch >= mine.epoch ",
        ("--faults", "0", "--customers", "60", "--calm", "--processes", "2"),
        ("before_batch:sender.numbers:3:stop",),
    ),
    "drain": Bite(
        "what a former owner of conversations left in its outbox is not published",  # the catalog's starts the shop
        "panier_common",
        "runner.py",
        "await self._publisher.publish(left)",
        "await self._publisher.publish([] if self.loop.name.endswith('.conversations') else left)",
        ("--faults", "0", "--customers", "20", "--calm"),
        ("before_publish:cart.conversations", "before_publish:checkout.conversations"),
    ),
}


def plant(bite: Bite, into: Path) -> None:
    """A copy of the package with that one place changed. Raises LookupError when the place is not there."""
    found = importlib.util.find_spec(bite.package)
    assert found is not None
    assert found.origin is not None
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(Path(found.origin).parent, into / bite.package, ignore=shutil.ignore_patterns("__pycache__"))
    place = into / bite.package / bite.file
    text = place.read_text("utf-8")
    if text.count(bite.old) != 1:
        raise LookupError(f"{bite.package}/{bite.file} does not have {bite.old!r} once")
    place.write_text(text.replace(bite.old, bite.new), "utf-8")


def main() -> int:
    """Every bite in turn, or those named, each in a folder of its own; 0 when the proof found them all."""
    missed = []
    for name in sys.argv[1:] or BITES:
        bite = BITES[name]
        print(f"{name}: {bite.words}", flush=True)
        at = folder().parent / "proof-bites" / name
        words = ("--seed", "1", "--minutes", "1", "--without", name, *bite.run)
        env = {**os.environ, "PANIER_DATA": str(at)}
        subprocess.run([sys.executable, "-m", "panier_proof", *words], env=env, check=False, stdout=subprocess.DEVNULL)
        broken = _broken(at / "proof" / "report.json")
        print(f"  found: {broken}" if broken else "  NOT found", flush=True)
        missed += [] if broken else [name]
    return 1 if missed else 0


def _broken(report: Path) -> dict[str, int]:
    """The invariants that the run found broken; none when there is no report."""
    if not report.exists():
        return {}
    invariants: dict[str, int] = json.loads(report.read_text("utf-8"))["invariants"]
    return {name: count for name, count in invariants.items() if count}


if __name__ == "__main__":
    sys.exit(main())
