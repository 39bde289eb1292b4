"""What one proof is told, and the environment of the stack that it runs: everything its own, nothing of the user's."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from panier_cli.data_folder import data_path
from panier_cli.stack.services import SERVICES
from panier_common.ports import free_port

# How the engines are fetched is the machine's matter, not the proof's.
_KEPT = ("PANIER_MAVEN_REPOSITORY",)


@dataclass(frozen=True)
class Run:
    """`processes` of each service that may have several, `cart` of the cart; `brokers` one or three."""

    customers: int
    faults: int
    minutes: float
    seed: int
    kinds: tuple[str, ...]
    brokers: int = 1
    processes: int = 1
    carts: int = 2
    at_once: int = 60
    regulars: float = 0.0
    troubled: bool = True
    without: Path | None = None  # a folder with a package that is found before the real one
    points: tuple[str, ...] = ()  # fail points, at each of which a process dies once

    @property
    def again(self) -> str:
        """The command that makes the same plan."""
        words = f"make proof SEED={self.seed} CUSTOMERS={self.customers} FAULTS={self.faults} MINUTES={self.minutes:g}"
        options = {
            name: getattr(self, name)
            for name in ("brokers", "processes", "at_once", "regulars")
            if getattr(self, name) != getattr(Run, name)
        }
        told = " ".join(f"--{name.replace('_', '-')} {value:g}" for name, value in options.items())
        return f'{words} PROOF="{told}"' if told else words


def folder() -> Path:
    """Where plan, ledger, evidence and report are written, and the stack has its data."""
    return data_path() / "proof"


def prepare_environment(run: Run, at: Path, shops: Path) -> None:
    """Set here, since services inherit it."""
    for name in [name for name in os.environ if name.startswith(("PANIER_", "OTEL_")) and name not in _KEPT]:
        del os.environ[name]
    os.environ |= {
        "PANIER_DATA": str(at / "stack"),
        "PANIER_SHOPS": str(shops),
        "PANIER_LOG_LEVEL": "INFO",  # who gave which partitions up, and who took them over
        "OTEL_TRACES_EXPORTER": "none",
    }
    if run.without is not None:
        os.environ["PYTHONPATH"] = str(run.without)
    if run.points:
        marks = at / "marks"
        shutil.rmtree(marks, ignore_errors=True)
        marks.mkdir(parents=True)
        os.environ |= {"PANIER_FAIL_POINTS": ",".join(run.points), "PANIER_FAIL_MARKS": str(marks)}
    if run.brokers > 1:
        os.environ["PANIER_KAFKA_BROKERS"] = str(run.brokers)
    for service in SERVICES:
        if service.port is not None:
            os.environ[service.setting("PORT")] = str(free_port())
        if service.many:
            count = run.carts if service.name == "cart" else run.processes
            os.environ[service.setting("PROCESSES")] = str(max(count, run.processes))
