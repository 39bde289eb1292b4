"""Calls what was claimed, concurrently, and brings the results back to the loop in batches.

Holds nothing that the journal does not hold: what is lost here is in doubt there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from panier_common.contracts.events import Event
from panier_common.failpoints import fail_point
from panier_common.homes import HomeLostError

from panier_sender import metrics
from panier_sender.errors import RULES, Class, Rule
from panier_sender.graph import Answer, Graph
from panier_sender.happenings import CallFinished, WorkDue
from panier_sender.line import Entry
from panier_sender.pacing import Pacing
from panier_sender.tokens import Tokens

SUBMIT_LIMIT = 500
LOOK_SECONDS = 0.25
LEAST_SECONDS = 0.05
"""With less time left than this, a call is not begun."""

UNCALLED = Answer(Rule(Class.UNCALLED, "claim_expired"))
NO_TOKEN = Answer(RULES[190])

Submit = Callable[[Sequence[Event]], Awaitable[None]]

log = structlog.get_logger()


class Dispatcher:
    """Claimed messages on their way. `start` and `run` belong to the loop, `release` to giving homes up."""

    def __init__(self, graph: Graph, tokens: Tokens, pacing: Pacing, *, calls_limit: int, claim_seconds: float) -> None:
        self._graph = graph
        self._tokens = tokens
        self._pacing = pacing
        self._claim_seconds = claim_seconds
        self._calls = asyncio.Semaphore(calls_limit)
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._results: list[CallFinished] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()  # every result was submitted
        self._idle.set()
        self._released: set[int] = set()
        self._tokens_used: dict[str, str | None] = {}
        self.in_flight = 0

    def start(self, claims: Iterable[Entry], taken_at: float) -> None:
        """Call these. The claims were made at `taken_at` of the monotonic clock at the earliest."""
        deadline = taken_at + self._claim_seconds
        for entry in claims:
            task = asyncio.create_task(self._handle(entry, deadline))
            self._tasks[task] = entry.home
            task.add_done_callback(self._tasks.pop)
        self._wake.set()

    def open(self, homes: Iterable[int]) -> None:
        self._released -= set(homes)

    async def release(self, homes: Iterable[int]) -> None:
        """Begin no more calls of these homes; returns when those in flight have ended and were submitted."""
        self._released |= set(homes)
        pending = [task for task, home in self._tasks.items() if home in self._released]
        if pending:
            await asyncio.wait(pending, timeout=self._claim_seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), self._claim_seconds)

    async def run(self, submit: Submit) -> None:
        """Bring results to the loop, and have it look for more to claim when there is room."""
        while True:
            await self._wait()
            self._release_parked()
            results, self._results = self._results[:SUBMIT_LIMIT], self._results[SUBMIT_LIMIT:]
            events: list[Event] = [*results, *self._looks(results)]
            if not events:
                continue
            with suppress(HomeLostError):  # another owner settles what was ours
                await submit(events)
            if not self._results:
                self._idle.set()

    async def _wait(self) -> None:
        if self._results:
            return
        self._wake.clear()
        timeout = LOOK_SECONDS if self._pacing.backlog else None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)

    def _looks(self, results: Sequence[CallFinished]) -> list[WorkDue]:
        """For homes with something waiting that the results alone would not have looked at."""
        now = datetime.now(UTC)
        served = {self._pacing.backlog.get(result.phone_number_id) for result in results}
        homes = self._pacing.servable(now, [result.phone_number_id for result in results])
        return [WorkDue(number, now) for home, number in homes.items() if home not in served]

    def _release_parked(self) -> None:
        """A number without a valid token goes on as soon as there is another one."""
        for number, hold in list(self._pacing.holds.items()):
            if hold.kind is Class.PARK and self._tokens.of(number) != self._tokens_used.get(number):
                self._pacing.release(number)

    async def _handle(self, entry: Entry, deadline: float) -> None:
        async with self._calls:
            answer = await self._call(entry, deadline)
        fail_point("after_call", "sender", 1)
        self._report(entry, answer)

    async def _call(self, entry: Entry, deadline: float) -> Answer:
        left = deadline - time.monotonic()
        if left < LEAST_SECONDS or entry.home in self._released:
            return UNCALLED
        number = entry.phone_number_id
        token, before = self._tokens.of(number), self._tokens_used.get(number, "")
        self._tokens_used[number] = token
        if token is None:
            if before is not None:  # say so once
                log.error("no access token", number=number, variable=self._tokens.variable(number))
            return NO_TOKEN
        self.in_flight += 1
        try:
            return await self._graph.send(number, token, entry.body.encode(), left, entry.traceparent)
        finally:
            self.in_flight -= 1

    def _report(self, entry: Entry, answer: Answer) -> None:
        now = datetime.now(UTC)
        kind = answer.rule.kind
        metrics.CALLS.add(1, {"class": kind.value, "code": answer.code})
        if kind is Class.ACCEPTED:
            metrics.SEND_SECONDS.record((now - entry.requested_at).total_seconds(), {"lane": entry.lane})
            if entry.answers_at is not None:
                metrics.REPLY_SECONDS.record((now - entry.answers_at).total_seconds())
        elif kind is not Class.UNCALLED:
            log.warning(
                "not accepted",
                message=entry.id,
                number=entry.phone_number_id,
                outcome=kind.value,
                code=answer.code,
                reason=answer.rule.reason,
            )
        self._idle.clear()
        self._results.append(
            CallFinished(
                entry.conversation,
                entry.phone_number_id,
                entry.id,
                entry.attempt,
                kind.value,
                now,
                answer.wamid,
                answer.code,
                answer.rule.reason,
                answer.rule.delay_seconds,
                answer.traceparent,
            )
        )
        self._wake.set()
