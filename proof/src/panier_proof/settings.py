"""What one proof is told, and the environment of the stack that it runs: everything its own, nothing of the user's."""

import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path

from panier_cli.data_folder import data_path
from panier_cli.stack.services import SERVICES

# How the engines are fetched is the machine's matter, not the proof's.
_KEPT = ("PANIER_MAVEN_REPOSITORY",)
# Below those that systems give to connections: a door that is killed must find its port free when it is back.
_PORTS = range(20_000, 32_000)


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
    troubled: bool = True
    without: Path | None = None  # a folder with a package that is found before the real one

    @property
    def again(self) -> str:
        """The command that makes the same plan."""
        words = f"make proof SEED={self.seed} CUSTOMERS={self.customers} FAULTS={self.faults} MINUTES={self.minutes:g}"
        if self.brokers == self.processes == 1:
            return words
        return f'{words} PROOF="--brokers {self.brokers} --processes {self.processes}"'


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
        "PANIER_LOG_LEVEL": "WARNING",
        "OTEL_TRACES_EXPORTER": "none",
    }
    if run.without is not None:
        os.environ["PYTHONPATH"] = str(run.without)
    if run.brokers > 1:
        os.environ["PANIER_KAFKA_BROKERS"] = str(run.brokers)
    for service in SERVICES:
        if service.port is not None:
            os.environ[service.setting("PORT")] = str(_port())
        if service.many:
            count = run.carts if service.name == "cart" else run.processes
            os.environ[service.setting("PROCESSES")] = str(max(count, run.processes))


def _port() -> int:
    """A port that nobody listens on, and that no connection is given while nobody does."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue
    raise OSError(f"no port from {_PORTS.start} to {_PORTS.stop} is free")
