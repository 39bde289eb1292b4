"""The guard process of `children`: waits for its parent to be gone, then ends what the parent started.

Reads ``+PID SIGNAL`` and ``-PID`` lines; when standard input closes, everybody still listed gets the signal
that was asked for and, five seconds later, the one that cannot be refused.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def main() -> None:
    listed: dict[int, int] = {}
    for line in sys.stdin:
        pid, _, number = line[1:].partition(" ")
        if line[0] == "+":
            listed[int(pid)] = int(number)
        else:
            listed.pop(int(pid), None)
    for pid, wanted in listed.items():
        _send(pid, wanted)
    if listed:
        time.sleep(5)
    for pid in listed:
        _send(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
