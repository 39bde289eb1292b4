"""Places where a test may have the process killed: named by `PANIER_FAIL_POINT`, read once at start.

`PANIER_FAIL_POINT=<place>:<loop>[:<least>]` kills this process with SIGKILL when the named loop passes the
place with at least that many (1) records in hand, after writing one line that says how many. Unset, as in every
deployment, it costs one comparison.
"""

import os
import signal
import sys

_SET = os.environ.get("PANIER_FAIL_POINT", "")
_PLACE, _LOOP, _LEAST = [*_SET.split(":"), "", "", ""][:3]


def fail_point(place: str, loop: str, records: int) -> None:
    """Die here, if this is the place."""
    if not _SET or place != _PLACE or loop != _LOOP or records < int(_LEAST or 1):
        return
    sys.stdout.write(f'{{"event": "fail point", "place": "{place}", "loop": "{loop}", "records": {records}}}\n')
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
