"""Tells whoever looks (the page, long polls) what has just changed. Keeps nothing for others."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Json = dict[str, Any]
QUEUE = 1000


class Hub:
    """One queue per reader: of one conversation, or of everything (topic "")."""

    def __init__(self) -> None:
        self._queues: dict[str, set[asyncio.Queue[Json]]] = defaultdict(set)
        self.closed = False

    def tell(self, event: Json, topic: str = "") -> None:
        """Never waits: a reader that has fallen behind by a whole queue misses what follows."""
        for name in {topic, ""}:
            for queue in self._queues.get(name, ()):
                if not queue.full():
                    queue.put_nowait(event)

    def heard(self, topic: str) -> bool:
        """Whether anybody reads this topic, or everything."""
        return topic in self._queues or "" in self._queues

    def close(self) -> None:
        """Wake every reader, so that the server can end: they look at `closed`."""
        self.closed = True
        for queues in list(self._queues.values()):
            for queue in queues:
                if not queue.full():
                    queue.put_nowait({"event": "closed"})

    @contextmanager
    def reading(self, topic: str = "") -> Iterator[asyncio.Queue[Json]]:
        queue: asyncio.Queue[Json] = asyncio.Queue(QUEUE)
        self._queues[topic].add(queue)
        try:
            yield queue
        finally:
            self._queues[topic].discard(queue)
            if not self._queues[topic]:
                del self._queues[topic]
