"""Carries webhooks to the shop's door as Meta does: concurrently, signed, again until they get a 200.

A lane is what must keep its order: the statuses of one message, the messages of one conversation. Its
first webhook goes alone until it is taken; one that is refused for long leaves its lane, so that it holds
up nothing behind it. What is on its way is kept on disk: after a restart it is carried on, at least once.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from panier_simulator.store import Hook, Store
from panier_simulator.webhooks import signature

KEEP_SECONDS = 7 * 24 * 3600  # Meta gives up after 7 days
PATIENCE = 8  # attempts after which a webhook leaves its lane
LONGEST_WAIT_SECONDS = 3600.0


@dataclass(frozen=True)
class Target:
    """A door: its address, the key that signs for it and the header the signature goes in."""

    url: str
    secret: bytes
    header: str


@dataclass
class Counts:
    delivered: int = 0
    attempts: int = 0
    retried: int = 0
    dropped: int = 0
    last_error: str | None = None
    failing: set[int] = field(default_factory=set)


def wait_seconds(attempts: int) -> float:
    """Time before the next attempt: the first follows at once, the others ever more slowly."""
    if attempts <= 1:
        return 0.05
    return min(LONGEST_WAIT_SECONDS, 0.25 * 2.0 ** (attempts - 2)) * random.uniform(0.8, 1.2)  # noqa: S311


class Courier:
    """Runs from `start` to `stop` on one event loop."""

    def __init__(
        self, store: Store, targets: dict[str, Target], parallel: int, timeout_seconds: float, most: int
    ) -> None:
        self._store = store
        self._targets = targets
        self._free = asyncio.Semaphore(parallel)
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._parallel = parallel
        self._most = most
        self._lanes: dict[str, deque[Hook]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._pending = 0
        self.counts = Counts()
        self.on_delivered: Callable[[Hook], None] = lambda hook: None

    @property
    def full(self) -> bool:
        return self._pending >= self._most

    async def start(self) -> None:
        connector = aiohttp.TCPConnector(limit=self._parallel, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        for hook in self._store.hooks():
            self._line_up(hook)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    def send(self, target: str, lane: str, about: str, body: bytes, after_seconds: float = 0.0) -> Hook:
        """Keep a webhook and carry it when it is due. Whoever starts something new asks `full` first."""
        now = time.time()
        hook = self._store.add_hook(target, lane, about, body, now, now + after_seconds)
        self._line_up(hook)
        return hook

    def stats(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "delivered": counts.delivered,
            "attempts": counts.attempts,
            "retried": counts.retried,
            "dropped": counts.dropped,
            "waiting": self._pending,
            "failing": len(counts.failing),
            "last_error": counts.last_error,
        }

    def _line_up(self, hook: Hook) -> None:
        self._pending += 1
        if hook.lane in self._lanes:
            self._lanes[hook.lane].append(hook)
            return
        self._lanes[hook.lane] = deque([hook])
        task = asyncio.create_task(self._walk(hook.lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _walk(self, lane: str) -> None:
        queue = self._lanes[lane]
        while queue:
            await self._carry(queue[0])
            queue.popleft()
        del self._lanes[lane]

    async def _carry(self, hook: Hook) -> None:
        """Ends when the hook is taken, given up, or has moved to a lane of its own."""
        while True:
            await asyncio.sleep(max(0.0, hook.due_at - time.time()))
            async with self._free:
                taken = await self._attempt(hook)
            if taken:
                self._finish(hook)
                self.counts.delivered += 1
                self.on_delivered(hook)
                return
            self.counts.failing.add(hook.id)
            hook.attempts += 1
            hook.due_at = time.time() + wait_seconds(hook.attempts)
            if hook.due_at - hook.created_at > KEEP_SECONDS:
                self.counts.dropped += 1
                self._finish(hook)
                return
            if leaves := hook.attempts == PATIENCE:
                hook.lane = f"alone/{hook.id}"
            self._store.postpone_hook(hook)
            if leaves:
                self._pending -= 1
                self._line_up(hook)
                return

    def _finish(self, hook: Hook) -> None:
        self._pending -= 1
        self.counts.failing.discard(hook.id)
        self._store.remove_hook(hook.id)

    async def _attempt(self, hook: Hook) -> bool:
        assert self._session is not None
        target = self._targets[hook.target]
        headers = {"Content-Type": "application/json", target.header: signature(hook.body, target.secret)}
        self.counts.attempts += 1
        self.counts.retried += hook.attempts > 0
        try:
            async with self._session.post(target.url, data=hook.body, headers=headers) as response:
                await response.read()
                if response.status != 200:
                    self.counts.last_error = f"answered {response.status}"
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.counts.last_error = type(error).__name__
            return False
