"""Places where a test has a process killed or stopped, once each; nothing in any deployment.

`PANIER_FAIL_POINTS` lists them: `<place>:<loop>[:<least>[:stop]]`, comma-separated. The process gets SIGKILL when the
loop passes the place with at least that many (1) records in hand; or it stops there for longer than its session, and
wakes up as a zombie. Before that it leaves a file named `<place>:<loop>` with their number in the folder
`PANIER_FAIL_MARKS`; where the file is, nothing happens again. Both are read once at start: without them a fail point
costs one look into an empty dictionary.
"""

import os
import pathlib
import signal
import subprocess
from typing import NamedTuple

STOP_SECONDS = 16


class _Point(NamedTuple):
    least: int
    stops: bool


def _read(listed: str) -> dict[tuple[str, str], _Point]:
    points = {}
    for point in filter(None, listed.split(",")):
        place, loop, *more = point.split(":")
        points[place, loop] = _Point(int(more[0]) if more else 1, more[1:] == ["stop"])
    return points


_MARKS = os.environ.get("PANIER_FAIL_MARKS")
_POINTS = _read(os.environ.get("PANIER_FAIL_POINTS", "")) if _MARKS else {}


def fail_point(place: str, loop: str, records: int) -> None:
    """Die or stop here, if this is a place to, for the first time."""
    if not _POINTS or _MARKS is None:
        return
    point = _POINTS.get((place, loop))
    if point is None or records < point.least:
        return
    try:
        with (pathlib.Path(_MARKS) / f"{place}:{loop}").open("x", encoding="utf-8") as mark:
            mark.write(str(records))
    except FileExistsError:
        return
    if point.stops:
        subprocess.Popen(("sh", "-c", f"sleep {STOP_SECONDS}; kill -CONT {os.getpid()}"))
    os.kill(os.getpid(), signal.SIGSTOP if point.stops else signal.SIGKILL)
