"""Marks customers' messages read and shows "typing": best effort, kept nowhere, dropped when there is no time."""

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog
from panier_common.dead_letters import reason_of

from panier_sender import metrics
from panier_sender.graph import Graph
from panier_sender.hearing import Receipt
from panier_sender.render import read_body
from panier_sender.tokens import Tokens

QUEUE_LIMIT = 500
# Later than this the answer may have left already, and "typing" would stand below it.
GOOD_FOR_SECONDS = 1.0
TIMEOUT_SECONDS = 3.0
WORKERS = 4

log = structlog.get_logger()


class Receipts:
    """A short queue and a few workers."""

    def __init__(self, graph: Graph, tokens: Tokens) -> None:
        self._graph = graph
        self._tokens = tokens
        self._queue: asyncio.Queue[tuple[float, Receipt]] = asyncio.Queue(QUEUE_LIMIT)

    def put(self, receipts: Iterable[Receipt], busy: Callable[[str], bool]) -> None:
        """Mark these read; not those of numbers whose messages need the line."""
        now = time.monotonic()
        for receipt in receipts:
            if self._queue.full() or busy(receipt.phone_number_id):
                metrics.RECEIPTS.add(1, {"outcome": "dropped"})
            else:
                self._queue.put_nowait((now, receipt))

    async def run(self) -> None:
        await asyncio.gather(*(self._work() for _ in range(WORKERS)))

    async def _work(self) -> None:
        while True:
            since, receipt = await self._queue.get()
            try:
                outcome = await self._mark(since, receipt)
            except Exception as error:  # a message that is not marked read is not worth the process
                outcome = "refused"
                log.error("a message was not marked read", number=receipt.phone_number_id, fault=reason_of(error))
            metrics.RECEIPTS.add(1, {"outcome": outcome})

    async def _mark(self, since: float, receipt: Receipt) -> str:
        """What came of it."""
        token = self._tokens.of(receipt.phone_number_id)
        if token is None or time.monotonic() - since > GOOD_FOR_SECONDS:
            return "dropped"
        body = read_body(receipt.wamid, typing=receipt.typing)
        done = await self._graph.mark_read(receipt.phone_number_id, token, body, TIMEOUT_SECONDS)
        return "taken" if done else "refused"
