"""`python -m panier_bench.recorded_sender`: the sender as it is, and a note of when each of its calls began.

The notes are lines of a file, written by the sending process itself just before it calls: what another process sees
of the calls comes in heaps when the machine is busy. A kill loses none of them, and the clock is the machine's.
"""

import os
import time
from collections import defaultdict
from pathlib import Path

from panier_common import process
from panier_sender.__main__ import run
from panier_sender.graph import Answer, Graph

FILE = "PANIER_BENCH_CALLS"


def record(path: str) -> None:
    """Have every call of this process noted."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    send = Graph.send

    async def noted(
        self: Graph, phone_number_id: str, token: str, body: bytes, seconds: float, traceparent: str | None
    ) -> Answer:
        os.write(file, f"{phone_number_id} {time.monotonic():.6f}\n".encode())
        return await send(self, phone_number_id, token, body, seconds, traceparent)

    Graph.send = noted  # type: ignore[method-assign]


def read(path: Path) -> dict[str, list[float]]:
    """When the calls of each number began, of all processes that wrote there."""
    found: dict[str, list[float]] = defaultdict(list)
    for line in path.read_text("ascii").splitlines() if path.exists() else ():
        number, at = line.split()
        found[number].append(float(at))
    return {number: sorted(times) for number, times in found.items()}


def main() -> None:
    record(os.environ[FILE])
    process.main(run)


if __name__ == "__main__":
    main()
