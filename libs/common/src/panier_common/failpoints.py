"""Places where a test has a process killed, once each; nothing in any deployment.

`PANIER_FAIL_POINTS` lists them: `<place>:<loop>[:<least>]`, comma-separated. The process gets SIGKILL when the
loop passes the place with at least that many (1) records in hand. Before that it leaves a file named
`<place>:<loop>` with their number in the folder `PANIER_FAIL_MARKS`; where the file is, nobody dies again. Both
are read once at start: without them a fail point costs one look into an empty dictionary.
"""

import os
import pathlib
import signal


def _read(listed: str) -> dict[tuple[str, str], int]:
    points = {}
    for point in filter(None, listed.split(",")):
        place, loop, *least = point.split(":")
        points[place, loop] = int(least[0]) if least else 1
    return points


_MARKS = os.environ.get("PANIER_FAIL_MARKS")
_POINTS = _read(os.environ.get("PANIER_FAIL_POINTS", "")) if _MARKS else {}


def fail_point(place: str, loop: str, records: int) -> None:
    """Die here, if this is a place to, for the first time."""
    if not _POINTS or _MARKS is None or records < _POINTS.get((place, loop), records + 1):
        return
    try:
        with (pathlib.Path(_MARKS) / f"{place}:{loop}").open("x", encoding="utf-8") as mark:
            mark.write(str(records))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
