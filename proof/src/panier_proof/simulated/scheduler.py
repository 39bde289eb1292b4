"""An event loop with a clock of its own that one seed drives: who runs next, and who is stopped or dead.

Each simulated process's callbacks keep the order asyncio promises them; between processes chance decides. Time moves
only when nobody has anything to do. Knows nothing of what the processes are.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar
from random import Random
from typing import Any
from warnings import catch_warnings, simplefilter

BEGAN = 3_528_000_000.0  # in October 2081, so that nobody takes it for the real clock


class Actor:
    """One simulated process, or the world around them (`WORLD`). What is stopped is parked, what is dead dropped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: deque[asyncio.Handle] = deque()
        self.stopped = self.dead = False
        self.at_death: list[Callable[[], None]] = []


ACTOR: ContextVar[Actor | None] = ContextVar("actor", default=None)


class SimulatedLoop(asyncio.BaseEventLoop):
    """Run by one thread, with no files and no sockets."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.now = 0.0
        self.world = Actor("world")
        self._able: list[Actor] = []  # whoever has something to do, and may
        # (when, number, what, arguments, whose): what is a timer of an actor's, or a function of the world's.
        self._timers: list[tuple[float, int, Any, Any, Actor | None]] = []
        self._number = 0
        self.steps = 0
        self._ambushes: dict[str, list[tuple[str, Callable[[Actor], None]]]] = {}
        self._most = 4096
        self.tasks: list[asyncio.Task[Any]] = []
        self.failures: list[BaseException] = []  # of the simulation itself: they end it
        self.set_task_factory(self._task)
        self.set_exception_handler(lambda loop, context: None)  # of the dead, whom nobody asks any more

    def time(self) -> float:
        return self.now

    def _task(self, loop: Any, coroutine: Any, **options: Any) -> Any:
        task = asyncio.Task(coroutine, loop=loop, **options)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.tasks.append(task)
        if len(self.tasks) > self._most:
            self.tasks = [one for one in self.tasks if not one.done()]
            self._most = 4096 + 2 * len(self.tasks)
        return task

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        actor = (ACTOR.get() if context is None else context.get(ACTOR)) or self.world
        self._put(actor, handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:  # type: ignore[override]
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        actor = (ACTOR.get() if context is None else context.get(ACTOR)) or self.world
        self._number += 1
        heapq.heappush(self._timers, (when, self._number, timer, None, actor))
        return timer

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        return self.call_at(self.now + max(delay, 0.0), callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: Any) -> None:
        pass  # found out when its time comes

    def _put(self, actor: Actor, handle: asyncio.Handle) -> None:
        if actor.dead:
            return
        if not actor.ready and not actor.stopped:
            self._able.append(actor)
        actor.ready.append(handle)

    def _run_once(self) -> None:
        """One step after the other, until the loop is told to stop."""
        able, chance = self._able, self.random.random
        while not self._stopping:  # type: ignore[attr-defined]
            if not able:
                self._pass_time()
                continue
            place = int(chance() * len(able)) if len(able) > 1 else 0
            actor = able[place]
            handle = actor.ready.popleft()
            if not actor.ready:
                able[place] = able[-1]
                able.pop()
            self.steps += 1
            if not handle._cancelled:
                handle._run()

    def _pass_time(self) -> None:
        """On to the next thing that is due, and everything due at that instant. What is the world's is done at once."""
        if self.failures:
            raise self.failures[0]
        timers = self._timers
        if not timers:
            raise RuntimeError("nobody has anything to do, ever again")
        now = self.now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= now:
            _, _, what, arguments, actor = heapq.heappop(timers)
            if actor is None:
                self.steps += 1
                what(*arguments)
            elif not what._cancelled:
                self._put(actor, what)

    # What happens to processes.

    def ambush(self, moment: str, whose: str, strike: Callable[[Actor], None]) -> Callable[[], None]:
        """Strike the next process of that name to pass the moment, between two steps; what is given back ends it."""
        waiting, ambush = self._ambushes.setdefault(moment, []), (whose, strike)
        waiting.append(ambush)

        def give_up() -> None:
            if ambush in waiting:
                waiting.remove(ambush)

        return give_up

    def passes(self, actor: Actor | None, moment: str) -> None:
        """Told by the engines: this has just been done for the process, which does not know it yet."""
        waiting = self._ambushes.get(moment)
        if waiting and actor is not None and not actor.stopped:
            for ambush in waiting:
                if actor.name.startswith(ambush[0]):
                    waiting.remove(ambush)
                    ambush[1](actor)
                    return

    def start(self, actor: Actor, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A task in the name of this process."""
        token = ACTOR.set(actor)
        try:
            return self.create_task(work)
        finally:
            ACTOR.reset(token)

    def of_world(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        """Have it done by the world, whatever becomes of whoever asked for it."""
        self._number += 1
        heapq.heappush(self._timers, (self.now + delay, self._number, callback, args, None))

    def stop_process(self, actor: Actor) -> None:
        actor.stopped = True
        if actor in self._able:
            self._able.remove(actor)

    def wake_process(self, actor: Actor) -> None:
        if actor.stopped and not actor.dead:
            actor.stopped = False
            if actor.ready:
                self._able.append(actor)

    def kill_process(self, actor: Actor) -> None:
        """Nothing of it runs ever again: no handler, no `finally`."""
        self.stop_process(actor)
        actor.dead = True
        actor.ready.clear()
        for told in actor.at_death:
            told()

    def bury(self) -> None:
        """End what the dead left behind, once nothing of it can do anything any more."""
        for task in self.tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coroutine: Any = task.get_coro()
                with catch_warnings():
                    simplefilter("ignore", RuntimeWarning)  # what a `finally` of the dead would have awaited
                    for _ in range(20):
                        with suppress(BaseException):
                            coroutine.close()
                            break
        self.tasks.clear()
        self._timers.clear()
