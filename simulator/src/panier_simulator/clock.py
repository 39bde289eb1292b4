"""The simulator's clock: the machine's time, and how far it was moved ahead of it.

What waits for a moment (a webhook's next attempt, a message on its way to a phone, a template's review) waits
on this clock, so that seven days of Meta's retries pass in a test. It only ever goes forward.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable


class Clock:
    """One per process; `ahead_seconds` is kept by whoever moves it."""

    def __init__(self, ahead_seconds: float = 0.0) -> None:
        self.ahead_seconds = ahead_seconds
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.ahead_seconds

    def move(self, seconds: float) -> None:
        """Go ahead; what is due by then happens at once."""
        if seconds < 0:
            raise ValueError("The clock only goes forward")
        self.ahead_seconds += seconds
        self._arm(again=True)

    def call_at(self, at: float, action: Callable[[], None]) -> None:
        """Have something done at that time; what is already due is done when the event loop is free."""
        heapq.heappush(self._due, (at, next(self._order), action))
        self._arm()

    def stop(self) -> None:
        """Forget all that is still to come."""
        self._due.clear()
        self._arm(again=True)

    def _arm(self, again: bool = False) -> None:
        """Keep one timer, for the earliest; `again` when the clock itself has changed."""
        if self._timer is not None:
            if self._due and self._timer_at == self._due[0][0] and not again:
                return
            self._timer.cancel()
            self._timer = None
        if self._due:
            self._timer_at = self._due[0][0]
            delay = max(0.0, self._timer_at - self.now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._run)

    def _run(self) -> None:
        self._timer = None
        now, loop = self.now(), asyncio.get_running_loop()
        while self._due and self._due[0][0] <= now:
            # By the loop, so that what one of them raises costs no other.
            loop.call_soon(heapq.heappop(self._due)[2])
        self._arm()
