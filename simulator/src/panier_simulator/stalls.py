"""How long this process was held up of late: what came in meanwhile is read in a heap, and did not come so."""

import asyncio
from collections import deque

BEAT_SECONDS = 0.01
REMEMBER_SECONDS = 1.0


class Stalls:
    """Looks at the event loop's clock at every beat; nothing is ever late until it was started."""

    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._beat(loop, loop.time())

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def longest(self) -> float:
        """The seconds by which the latest beat of the last second was late."""
        return max((seconds for _, seconds in self._late), default=0.0)

    def _beat(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        late = self._late
        while late and late[0][0] < now - REMEMBER_SECONDS:
            late.popleft()
        if now - due > BEAT_SECONDS:
            late.append((now, now - due))
        self._timer = loop.call_later(BEAT_SECONDS, self._beat, loop, now + BEAT_SECONDS)
