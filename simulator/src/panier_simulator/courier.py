"""Carries webhooks to the shop's door as Meta does: concurrently, signed, again until they get a 200.

A lane is what must keep its order: the statuses of one message, the messages of one conversation. Its
first webhook goes alone until it is taken; one that is refused for long leaves its lane, so that it holds
up nothing behind it. What is on its way is kept on disk: after a restart it is carried on, at least once.
When updates are collected, those due at the same moment go in one request, and are tried again together.
"""

import asyncio
import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp

from panier_simulator import webhooks
from panier_simulator.clock import Clock
from panier_simulator.store import Hook, Store

KEEP_SECONDS = 7 * 24 * 3600  # Meta gives up after 7 days
PATIENCE = 8  # attempts after which a webhook leaves its lane
LONGEST_WAIT_SECONDS = 3600.0
WHOLE = "whole"  # about a webhook that is posted as somebody gave it, never in a batch
BATCH_BYTES = 2_500_000  # Meta's requests hold at most 3 MB


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
    requests: int = 0
    retried: int = 0
    dropped: int = 0
    last_error: str | None = None
    failing: set[int] = field(default_factory=set)


def wait_seconds(attempts: int, hook_id: int = 0) -> float:
    """Time before the next attempt: the first follows at once, the others ever more slowly, a fifth more or less."""
    if attempts <= 1:
        return 0.05
    digest = hashlib.blake2b(f"{hook_id}/{attempts}".encode(), digest_size=4).digest()
    return min(LONGEST_WAIT_SECONDS, 0.25 * 2.0 ** (attempts - 2)) * (0.8 + 0.4 * int.from_bytes(digest) / 2**32)


class Courier:
    """Runs from `start` to `stop` on one event loop. `batch` says how many updates a request holds, and how long
    they are collected for it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        targets: dict[str, Target],
        parallel: int,
        timeout_seconds: float,
        most: int,
        batch: Callable[[], tuple[int, float]] = lambda: (1, 0.0),
    ) -> None:
        self._store = store
        self._clock = clock
        self._targets = targets
        self._free = asyncio.Semaphore(parallel)
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._parallel = parallel
        self._most = most
        self._batch = batch
        self._lanes: dict[str, deque[Hook]] = {}
        self._due: dict[str, list[Hook]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()
        self._taken: dict[int, asyncio.Future[None]] = {}
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
        now = self._clock.now()
        hook = self._store.add_hook(target, lane, about, body, now, now + after_seconds)
        self._line_up(hook)
        return hook

    async def taken(self, hook: Hook, seconds: float) -> None:
        """Returns when the shop's door has taken it, or after so long."""
        future = self._taken[hook.id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            self._taken.pop(hook.id, None)

    def stats(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "delivered": counts.delivered,
            "attempts": counts.attempts,
            "requests": counts.requests,
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
        self._await(hook)

    def _await(self, hook: Hook) -> None:
        """The first of its lane: it goes when it is due."""
        self._clock.call_at(hook.due_at, partial(self._collect, hook))

    def _collect(self, hook: Hook) -> None:
        """It is due: send it, with the others that are due within the time of a batch."""
        most, seconds = self._batch()
        if most <= 1 or hook.target != "whatsapp" or hook.about == WHOLE:
            self._start([hook])
            return
        waiting = self._due[hook.target]
        waiting.append(hook)
        if len(waiting) >= most:
            self._flush(hook.target)
        elif len(waiting) == 1:
            asyncio.get_running_loop().call_later(seconds, self._flush, hook.target)

    def _flush(self, target: str) -> None:
        hooks, self._due[target] = self._due[target], []
        batch: list[Hook] = []
        size = 0
        for hook in hooks:
            if batch and size + len(hook.body) > BATCH_BYTES:
                self._start(batch)
                batch, size = [], 0
            batch.append(hook)
            size += len(hook.body)
        if batch:
            self._start(batch)

    def _start(self, hooks: list[Hook]) -> None:
        task = asyncio.create_task(self._carry(hooks))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, hooks: list[Hook]) -> None:
        async with self._free:
            # What the shop is told must still be known after a kill.
            await self._store.settled()
            taken = await self._attempt(hooks)
        for hook in hooks:
            if taken:
                self.counts.delivered += 1
                self._finish(hook)
                self.on_delivered(hook)
            else:
                self._try_later(hook)

    def _try_later(self, hook: Hook) -> None:
        self.counts.failing.add(hook.id)
        hook.attempts += 1
        hook.due_at = self._clock.now() + wait_seconds(hook.attempts, hook.id)
        if hook.due_at - hook.created_at > KEEP_SECONDS:
            self.counts.dropped += 1
            self._finish(hook)
            return
        if hook.attempts == PATIENCE:
            self._leave(hook)
            hook.lane = f"alone/{hook.id}"
            self._lanes[hook.lane] = deque([hook])
        self._store.postpone_hook(hook)
        self._await(hook)

    def _finish(self, hook: Hook) -> None:
        self._pending -= 1
        self.counts.failing.discard(hook.id)
        self._store.remove_hook(hook.id)
        if (future := self._taken.get(hook.id)) and not future.done():
            future.set_result(None)
        self._leave(hook)

    def _leave(self, hook: Hook) -> None:
        """Its lane is the next one's."""
        lane = self._lanes[hook.lane]
        lane.popleft()
        if lane:
            self._await(lane[0])
        else:
            del self._lanes[hook.lane]

    async def _attempt(self, hooks: Sequence[Hook]) -> bool:
        assert self._session is not None
        target = self._targets[hooks[0].target]
        body = hooks[0].body if len(hooks) == 1 else webhooks.batched([hook.body for hook in hooks])
        headers = {"Content-Type": "application/json", target.header: webhooks.signature(body, target.secret)}
        self.counts.requests += 1
        self.counts.attempts += len(hooks)
        self.counts.retried += sum(hook.attempts > 0 for hook in hooks)
        try:
            async with self._session.post(target.url, data=body, headers=headers) as response:
                await response.read()
                if response.status != 200:
                    self.counts.last_error = f"answered {response.status}"
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.counts.last_error = type(error).__name__
            return False
