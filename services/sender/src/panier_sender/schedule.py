"""When each claimed message is called: at its number's pace, answers first, numbers in turn. Pure: it is told the time.

Holds claimed messages between the commit that claimed them and their calls, for a second or two.
"""

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush, heapreplace
from typing import Generic, TypeVar

from panier_sender.rates import Pace

NEWS = "news"
RANKS = ("answer", NEWS, "reminder")
"""The lanes, the first to go first."""

M = TypeVar("M")


def rank_of(lane: str) -> int:
    """An unknown lane goes last."""
    return RANKS.index(lane) if lane in RANKS else len(RANKS) - 1


class _Queue(Generic[M]):
    """A number's waiting messages, by rank. `listed` while the number stands in the heap."""

    __slots__ = ("count", "lanes", "listed", "pace")

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.lanes: tuple[deque[M], ...] = tuple(deque() for _ in RANKS)
        self.count = 0
        self.listed = False

    def pop(self) -> M:
        self.count -= 1
        for lane in self.lanes:
            if lane:
                return lane.popleft()
        raise IndexError("no message waits")


class Schedule(Generic[M]):
    """All numbers of the process. `limit_of` says how many messages a second a number may send and receive."""

    def __init__(self, limit_of: Callable[[str], float]) -> None:
        self._limit_of = limit_of
        self._queues: dict[str, _Queue[M]] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._turn = 0
        self.waiting = 0

    def put(self, number: str, rank: int, message: M, now: float) -> None:
        queue = self._queue(number)
        queue.lanes[rank].append(message)
        queue.count += 1
        self.waiting += 1
        if not queue.listed:
            queue.listed = True
            heappush(self._heap, (queue.pace.free_at(now), self._next_turn(), number))

    def due(self, now: float, most: int) -> list[M]:
        """The messages that may go now, at most so many: one of each number in turn.

        For each of them `begin` or `spare` is to follow.
        """
        found: list[M] = []
        heap = self._heap
        while heap and heap[0][0] <= now and len(found) < most:
            number = heap[0][2]
            queue = self._queues[number]
            free_at = queue.pace.free_at(now)
            if free_at <= now:
                found.append(queue.pop())
                queue.pace.take(now)
                free_at = queue.pace.free_at(now)
            if queue.count:
                heapreplace(heap, (free_at, self._next_turn(), number))
            else:
                heappop(heap)
                queue.listed = False
        self.waiting -= len(found)
        return found

    def begin(self, number: str, now: float) -> None:
        """The call of a message that was due begins."""
        self._queue(number).pace.begin(now)

    def spare(self, number: str) -> None:
        """A message that was due is not called after all."""
        self._queue(number).pace.spare()

    def next_at(self) -> float | None:
        """When something may be due; None when nothing waits."""
        return self._heap[0][0] if self._heap else None

    def withdraw(self, unwanted: Callable[[str, M], bool]) -> list[M]:
        """Take these out again: they are not going to be called."""
        taken: list[M] = []
        for number, queue in self._queues.items():
            for lane in queue.lanes:
                gone = [message for message in lane if unwanted(number, message)]
                if gone:
                    kept = [message for message in lane if not unwanted(number, message)]
                    lane.clear()
                    lane.extend(kept)
                    queue.count -= len(gone)
                    taken += gone
            queue.listed = queue.listed and queue.count > 0
        self._heap = [place for place in self._heap if self._queues[place[2]].listed]
        heapify(self._heap)
        self.waiting -= len(taken)
        return taken

    def hear(self, number: str, messages: int, now: float) -> None:
        """Customers wrote to this number: that counts towards its limit."""
        self._queue(number).pace.hear(now, messages)

    def slow(self, number: str, now: float) -> None:
        """Meta refused a message of this number for its throughput."""
        self._queue(number).pace.slow(now)

    def pace(self, number: str) -> Pace:
        """How the number stands."""
        return self._queue(number).pace

    def rates(self, now: float) -> dict[str, float]:
        """How many messages a second each number sends at most."""
        return {number: queue.pace.rate(now) for number, queue in self._queues.items()}

    def waits(self, now: float) -> dict[str, float]:
        """How many seconds one more message of each number would wait for its turn: none while it has tokens left."""
        return {
            number: max(0.0, queue.pace.free_at(now) - now + queue.count / queue.pace.rate(now))
            for number, queue in self._queues.items()
        }

    def refresh(self) -> None:
        """Take over what changed in the numbers' limits."""
        for number, queue in self._queues.items():
            queue.pace.per_second = self._limit_of(number)

    def _queue(self, number: str) -> _Queue[M]:
        queue = self._queues.get(number)
        if queue is None:
            queue = self._queues[number] = _Queue(Pace(self._limit_of(number)))
        return queue

    def _next_turn(self) -> int:
        self._turn += 1
        return self._turn
