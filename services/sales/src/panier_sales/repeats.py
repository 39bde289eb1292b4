"""What a library says over and over is said once, and then counted: a broker that is away is 100 lines a second."""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

EVERY_SECONDS = 30.0
# Kinds of lines that are remembered; beyond that all begin anew.
MOST_KINDS = 500

_NUMBERS = re.compile(r"\d+")


@dataclass
class _Said:
    at: float
    more: int = 0


class Repeats(logging.Filter):
    """Lets the first line of a kind pass, and then one in EVERY_SECONDS that says how many there were.

    Lines are of one kind that differ in values alone: of the same logger, level and text before the values, whose
    numbers do not matter. For a handler: filters of loggers do not see what comes from loggers below them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[tuple[str, int, str], _Said] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = (record.name, record.levelno, _NUMBERS.sub("0", str(record.msg)))
        now = self._clock()
        with self._lock:
            said = self._said.get(kind)
            if said is not None and now - said.at < EVERY_SECONDS:
                said.more += 1
                return False
            if len(self._said) >= MOST_KINDS:
                self._said.clear()
            self._said[kind] = _Said(now)
        if said is not None and said.more:
            record.msg = f"{record.getMessage()} (and {said.more} times more in {now - said.at:.0f} s)"
            record.args = ()
        return True


def hush() -> None:
    """Have every handler of the standard library's logging pass repeats on as counts."""
    repeats = Repeats()
    for handler in logging.getLogger().handlers:
        handler.addFilter(repeats)
