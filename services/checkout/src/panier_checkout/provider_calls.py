"""Asks payment providers what decisions wanted of them, outside of any transaction, until they answer.

Holds nothing that `provider_call` does not hold: a row is claimed by moving its due time on, so that a call
whose process died is made again, with the provider's own idempotency key. The answer is decided on in the
loop, in the transaction that deletes the row.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress

import structlog
from opentelemetry.trace import SpanKind
from panier_common import conventions, telemetry
from panier_common.contracts.events import Event
from panier_common.homes import HomeLostError
from panier_common.postgres import AWAY, Connection, Pool
from panier_common.spans import Shape
from panier_payments.provider import Payable, Provider, ProviderError
from pydantic import HttpUrl

from panier_checkout import db, metrics
from panier_checkout.decision import Call
from panier_checkout.sessions import OpeningDelayed, SessionEnded, SessionOpened

AT_ONCE = 50
LOOK_SECONDS = 0.5
COUNT_SECONDS = 5.0
# Between two attempts: doubled each time, up to this.
LONGEST_WAIT_SECONDS = 60.0

Submit = Callable[[Sequence[Event]], Awaitable[None]]

log = structlog.get_logger()


class ProviderCalls:
    """The calls of the homes that are worked here. `take_over` and `release` belong to the loop."""

    def __init__(self, pool: Pool, providers: Mapping[str, Provider], timeout_seconds: float) -> None:
        self._pool = pool
        self._providers = providers
        self._timeout_seconds = timeout_seconds
        self._homes: set[int] = set()
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._wake = asyncio.Event()
        self._counted_at = 0.0
        self._waiting: Mapping[str, tuple[int, float]] = {}

    @property
    def needed(self) -> bool:
        """Whether any provider is reached over the network at all."""
        return any(provider.remote for provider in self._providers.values())

    async def take_over(self, _: Connection, homes: Sequence[int]) -> None:
        self._homes |= set(homes)
        self._wake.set()

    async def release(self, homes: Sequence[int]) -> None:
        """Another process asks from now on; what is in flight may be asked twice, which changes nothing."""
        self._homes -= set(homes)
        broken_off = [task for task, home in self._tasks.items() if home not in self._homes]
        for task in broken_off:
            task.cancel()
        await asyncio.gather(*broken_off, return_exceptions=True)

    def wake(self) -> None:
        """There is something new to ask."""
        self._wake.set()

    def waiting(self) -> Iterable[tuple[float, Mapping[str, str]]]:
        return [(float(calls), {"provider": name}) for name, (calls, _) in self._waiting.items()]

    def waiting_seconds(self) -> Iterable[tuple[float, Mapping[str, str]]]:
        return [(seconds, {"provider": name}) for name, (_, seconds) in self._waiting.items()]

    async def run(self, submit: Submit) -> None:
        """Make what calls are due, for ever."""
        while True:
            try:
                await self._start_due(submit)
                await self._count()
            except AWAY as error:
                log.warning("provider calls wait for the database", error=type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def _start_due(self, submit: Submit) -> None:
        room = AT_ONCE - len(self._tasks)
        if not room or not self._homes:
            return
        async with self._pool.acquire(timeout=5) as connection:
            due = await db.claim_calls(connection, sorted(self._homes), room, self._timeout_seconds + 1)
        for call, attempt in due:
            task = asyncio.create_task(self._make(call, attempt, submit))
            self._tasks[task] = call.home
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a provider call went wrong", error=type(error).__name__, exc_info=error)

    async def _make(self, call: Call, attempt: int, submit: Submit) -> None:
        answer = await self.answer(call)
        if answer is None:
            wait = min(2.0 ** (attempt - 1), LONGEST_WAIT_SECONDS)
            log.warning(
                "a payment provider does not answer",
                provider=call.provider,
                what=call.what,
                attempt=attempt,
                traceparent=call.traceparent,
            )
            await self._put_off(call, wait)
            if attempt > 1 or call.what != "open":
                return
            answer = OpeningDelayed(call.conversation, call.order_id, call.traceparent)
        try:
            await submit([answer])
        except HomeLostError:  # not yet here, or here no more: its owner asks again
            await self._put_off(call, 1.0)

    async def _put_off(self, call: Call, seconds: float) -> None:
        async with self._pool.acquire(timeout=5) as connection:
            await db.put_off_call(connection, call, seconds)

    async def answer(self, call: Call) -> Event | None:
        """What the provider answered, None when it did not."""
        started, span, trace = time.monotonic(), None, call.traceparent
        if telemetry.tracing() and telemetry.is_sampled(call.traceparent):
            shape = Shape(f"{call.what} payment session", SpanKind.CLIENT, {conventions.PROVIDER: call.provider})
            span = telemetry.start_span(shape, call.traceparent, {})
            trace = telemetry.traceparent_of(span)
        answer: Event | None = None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer = await _asked(self._providers[call.provider], call, trace)
        except (ProviderError, OSError, TimeoutError, LookupError, ValueError) as error:
            if span is not None:
                span.fail(type(error).__name__)
        finally:
            if span is not None:
                span.end()
        labels = {"provider": call.provider, "what": call.what, "outcome": "failed" if answer is None else "answered"}
        metrics.PROVIDER_CALLS.add(1, labels)
        metrics.PROVIDER_CALL_SECONDS.record(time.monotonic() - started, labels, telemetry.during(trace))
        return answer

    async def _count(self) -> None:
        """How much waits in the homes here, and for how long, for the metrics."""
        if time.monotonic() - self._counted_at < COUNT_SECONDS:
            return
        async with self._pool.acquire(timeout=5) as connection:
            waiting = await db.waiting_calls(connection, sorted(self._homes))
        remote = [name for name, provider in self._providers.items() if provider.remote]
        self._waiting = {name: waiting.get(name, (0, 0.0)) for name in (*remote, *waiting)}
        self._counted_at = time.monotonic()


async def _asked(provider: Provider, call: Call, trace: str | None) -> Event:
    if call.what == "close":
        state = await provider.close(call.session_id)
        if state == "open":
            raise ProviderError("the session is still open")
        return SessionEnded(call.conversation, call.order_id, state, trace)
    session = await provider.create_session(Payable(call.order_id, call.minor, call.currency))
    if session is None:
        raise ProviderError("no session was opened")
    HttpUrl(session.url)  # raises ValueError: no customer could be sent there
    return SessionOpened(call.conversation, call.order_id, session.id, session.url, trace)
