"""`python -m panier_bench.recorded_sender`: the sender as it is, and a note of when each of its calls began.

The notes are lines of a file, written by the sending process itself just before it calls: what another process sees
of the calls comes in heaps when the machine is busy. A kill loses none of them, and the clock is the machine's.

Beside each call stands when the sender counted it, which is just before. A busy machine may stop the process between
the two, and go on with what was paced from the first: such a call is judged by when it was counted. They are few; a
sender that lets time pass between counting and calling has many, and is found by that.
"""

import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from panier_common import process
from panier_sender.__main__ import run
from panier_sender.graph import Answer, Graph
from panier_sender.rates import APART_SECONDS
from panier_sender.schedule import Schedule

from panier_bench.ledger import Begun

FILE = "PANIER_BENCH_CALLS"


def record(path: str) -> None:
    """Have every call of this process noted."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    begin, send = Schedule.begin, Graph.send
    counted = 0.0

    def begun(self: Schedule[Any], number: str, now: float) -> None:
        nonlocal counted
        counted = now
        begin(self, number, now)

    async def noted(
        self: Graph, phone_number_id: str, token: str, body: bytes, seconds: float, traceparent: str | None
    ) -> Answer:
        os.write(file, f"{phone_number_id} {counted:.6f} {time.monotonic():.6f}\n".encode())
        return await send(self, phone_number_id, token, body, seconds, traceparent)

    Schedule.begin = begun  # type: ignore[method-assign]
    Graph.send = noted  # type: ignore[method-assign]


def read(path: Path) -> Begun:
    """What all processes noted that wrote there."""
    found: dict[str, list[float]] = defaultdict(list)
    apart = 0
    for line in path.read_text("ascii").splitlines() if path.exists() else ():
        number, counted, called = line.split()
        stopped = float(called) - float(counted) > APART_SECONDS
        apart += stopped
        found[number].append(float(counted if stopped else called))
    return Begun({number: sorted(times) for number, times in found.items()}, apart)


def main() -> None:
    record(os.environ[FILE])
    process.main(run)


if __name__ == "__main__":
    main()
