"""Calls what was claimed, each at its number's pace, and brings the results back to the loop in batches.

Holds nothing that the journal does not hold: what is lost here is in doubt there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import structlog
from panier_common.contracts.events import Event
from panier_common.dead_letters import reason_of
from panier_common.failpoints import fail_point
from panier_common.homes import HomeLostError

from panier_sender import metrics
from panier_sender.errors import HOLDING, RULES, Class, Rule
from panier_sender.graph import IN_DOUBT, Answer, Graph
from panier_sender.happenings import CallFinished, WorkDue
from panier_sender.line import Entry
from panier_sender.pacing import Pacing
from panier_sender.rates import Opening
from panier_sender.render import UPLOAD
from panier_sender.schedule import Schedule
from panier_sender.tokens import Tokens
from panier_sender.uploads import Uploads

SUBMIT_LIMIT = 500
LOOK_SECONDS = 0.25
# Calls are begun this often at most, several at a time: a timer for each would cost more than the call.
TURN_SECONDS = 0.004
SAY_SECONDS = 5.0
SHORT_SECONDS = 0.25
"""A number with less than this in hand has no time for what is not journaled."""

BEGUN_WITHIN = 0.5
"""Of a claim's time. What is left is its call's time-out: a call begun at the last moment would be given up while Meta
takes the message, and its message go twice."""

MEDIA = "media"
UNCALLED = Answer(Rule(Class.UNCALLED, "claim_expired"))
NO_TOKEN = Answer(RULES[190])
# Of an upload that ended by a fault of ours: certainly not sent, and told to a person if it lasts.
NOT_UPLOADED = Answer(RULES[1])

Submit = Callable[[Sequence[Event]], Awaitable[None]]

log = structlog.get_logger()


class Claim(NamedTuple):
    """A claimed message, and until when of the monotonic clock it may be called."""

    entry: Entry
    deadline: float


class Dispatcher:
    """Claimed messages on their way. `start` and `run` belong to the loop, `release` to giving homes up."""

    def __init__(
        self,
        graph: Graph,
        tokens: Tokens,
        pacing: Pacing,
        schedule: Schedule[Claim],
        uploads: Uploads,
        *,
        opening: Opening,
        claim_seconds: float,
    ) -> None:
        self._graph = graph
        self._tokens = tokens
        self._pacing = pacing
        self._schedule = schedule
        self._uploads = uploads
        self._opening = opening
        self._claim_seconds = claim_seconds
        self._least_seconds = claim_seconds * (1.0 - BEGUN_WITHIN)
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._uploading: dict[asyncio.Task[None], int] = {}
        self._turn: asyncio.TimerHandle | None = None
        self._turn_at = float("inf")  # of the monotonic clock; while there is none, never
        self._results: list[CallFinished] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()  # every result was submitted
        self._idle.set()
        self._released: set[int] = set()
        self._tokens_used: dict[str, str | None] = {}
        self._measured = metrics.Calls()
        self._said_at: dict[tuple[str, Class, int], float] = {}

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    @property
    def allowed(self) -> int:
        """How many calls may be in flight."""
        return int(self._opening.allowed)

    def start(self, claims: Iterable[Entry], taken_at: float) -> None:
        """Call these when their turn comes. They were claimed at `taken_at` of the monotonic clock at the earliest."""
        deadline, now = taken_at + self._claim_seconds, time.monotonic()
        for entry in claims:
            if entry.kind == MEDIA and UPLOAD in entry.body:
                task = asyncio.create_task(self._upload(Claim(entry, deadline)))
                self._uploading[task] = entry.home
                task.add_done_callback(self._uploaded)
            else:
                self._schedule.put(entry.phone_number_id, entry.rank, Claim(entry, deadline), now)
        self._begin_due()
        self._wake.set()

    def hear(self, number: str, messages: int) -> None:
        """Customers wrote to this number: its limit is for both directions."""
        self._schedule.hear(number, messages, time.monotonic())

    def is_busy(self, number: str) -> bool:
        """Whether messages of this number, or of all, need the line more than anything else does."""
        now = time.monotonic()
        full = self.in_flight * 2 > self._opening.most
        return full or self._schedule.pace(number).free_at(now) > now + SHORT_SECONDS

    def open(self, homes: Iterable[int]) -> None:
        self._released -= set(homes)

    async def release(self, homes: Iterable[int]) -> None:
        """Begin no more calls of these homes; returns when those in flight have ended and were submitted."""
        self._released |= set(homes)
        self._withdraw(lambda number, claim: claim.entry.home in self._released)
        under_way = [*self._tasks.items(), *self._uploading.items()]
        pending = [task for task, home in under_way if home in self._released]
        if pending:
            await asyncio.wait(pending, timeout=self._claim_seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._claim_seconds):
                await self._idle.wait()

    async def run(self, submit: Submit) -> None:
        """Bring results to the loop, and have it look for more to claim when there is room."""
        while True:
            await self._wait()
            self._release_parked()
            self._measured.flush()
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
        timeout = LOOK_SECONDS if self._pacing.backlog or self._schedule.waiting else None
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        if self._schedule.waiting:
            late = time.monotonic() + self._least_seconds
            self._withdraw(lambda number, claim: claim.deadline < late)

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

    def _begin_due(self) -> None:
        """Begin the calls whose time has come, and have this done again for the next ones."""
        now = time.monotonic()
        room = self._opening.room(len(self._tasks), now)
        for claim in self._schedule.due(now, room):
            task = asyncio.create_task(self._handle(claim))
            self._tasks[task] = claim.entry.home
            task.add_done_callback(self._ended)
        next_at = self._schedule.next_at()
        if next_at is not None and len(self._tasks) < self._opening.allowed:
            self._have_a_turn(max(next_at, now + TURN_SECONDS), now)

    def _have_a_turn(self, at: float, now: float) -> None:
        """All numbers share one timer, which is the first one's: who is due before it must not wait for it."""
        if at >= self._turn_at:
            return
        if self._turn is not None:
            self._turn.cancel()
        # The loop's own clock is the monotonic one; asked by the difference, it need not be.
        self._turn, self._turn_at = asyncio.get_running_loop().call_later(at - now, self._next_turn), at

    def _next_turn(self) -> None:
        self._turn, self._turn_at = None, float("inf")
        self._begin_due()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Its place is the next one's, unless the next turn is about to give it away."""
        del self._tasks[task]
        if self._schedule.waiting and self._turn_at > time.monotonic() + TURN_SECONDS:
            self._begin_due()

    def _uploaded(self, task: "asyncio.Task[None]") -> None:
        del self._uploading[task]
        self._begin_due()

    def _withdraw(self, unwanted: Callable[[str, Claim], bool]) -> None:
        """These are not called after all; they keep their place in the journal."""
        for claim in self._schedule.withdraw(unwanted):
            self._report(claim.entry, UNCALLED)

    async def _upload(self, claim: Claim) -> None:
        """Have the message's file uploaded before its turn: what had its turn is to begin at once."""
        entry = claim.entry
        try:
            found = await self._file_in_place(claim)
        except Exception as error:  # the message must not stay claimed for that
            found = _fault(entry, error, NOT_UPLOADED)
        if isinstance(found, Answer):
            self._report(entry, found)
        elif entry.home in self._released:
            self._report(entry, UNCALLED)
        else:
            ready = Claim(msgspec.structs.replace(entry, body=found), claim.deadline)
            self._schedule.put(entry.phone_number_id, entry.rank, ready, time.monotonic())

    async def _file_in_place(self, claim: Claim) -> str | Answer:
        token = self._token_for(claim)
        if isinstance(token, Answer):
            return token
        seconds = claim.deadline - time.monotonic() - self._least_seconds
        return await self._uploads.in_place(claim.entry, token, seconds)

    async def _handle(self, claim: Claim) -> None:
        began = time.monotonic()
        fail_point("before_call", "sender", 1)
        try:
            answer = await self._call(claim)
        except Exception as error:  # the message must not stay claimed for that, and may have been sent
            answer = _fault(claim.entry, error, Answer(IN_DOUBT))
        fail_point("after_call", "sender", 1)
        self._report(claim.entry, answer, time.monotonic() - began)

    async def _call(self, claim: Claim) -> Answer:
        entry, number = claim.entry, claim.entry.phone_number_id
        token: str | Answer = UNCALLED
        try:
            token = self._token_for(claim)
        finally:  # its turn is used or given back, whatever happens
            now = time.monotonic()
            if isinstance(token, Answer):
                self._schedule.spare(number)
            else:
                self._schedule.begin(number, now)
        if isinstance(token, Answer):
            return token
        return await self._graph.send(number, token, entry.body.encode(), claim.deadline - now, entry.traceparent)

    def _token_for(self, claim: Claim) -> str | Answer:
        """The token for its call, or why there is none to be."""
        entry = claim.entry
        if claim.deadline - time.monotonic() < self._least_seconds or entry.home in self._released:
            return UNCALLED
        number = entry.phone_number_id
        token, before = self._tokens.of(number), self._tokens_used.get(number, "")
        self._tokens_used[number] = token
        if token is None:
            if before is not None:  # say so once
                log.error("no access token", number=number, variable=self._tokens.variable(number))
            return NO_TOKEN
        return token

    def _report(self, entry: Entry, answer: Answer, seconds: float = 0.0) -> None:
        now = datetime.now(UTC)
        kind = answer.rule.kind
        self._measured.note(entry, kind, answer.code, seconds, now.timestamp())
        if kind is Class.ACCEPTED:
            self._opening.answered(seconds)
        elif kind is not Class.UNCALLED:
            self._note_refusal(entry, answer)
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
                answer.rule.person,
            )
        )
        self._wake.set()

    def _note_refusal(self, entry: Entry, answer: Answer) -> None:
        number, kind, now = entry.phone_number_id, answer.rule.kind, time.monotonic()
        if kind is Class.SLOW_NUMBER:
            self._schedule.slow(number, now)
        elif kind is Class.IN_DOUBT:
            self._opening.unanswered()
        elif kind is Class.UNREACHED:
            self._opening.unreached()
        if kind in HOLDING:  # those behind it would only hear the same
            self._withdraw(lambda other, claim: other == number)
        what = (number, kind, answer.code)
        if now - self._said_at.get(what, float("-inf")) < SAY_SECONDS:
            return
        self._said_at[what] = now
        log.warning(
            "not accepted; said once in a while, `panier.graph.calls` counts them",
            message=entry.id,
            number=number,
            outcome=kind.value,
            code=answer.code,
            reason=answer.rule.reason,
            traceparent=answer.traceparent,
        )


def _fault(entry: Entry, error: Exception, answer: Answer) -> Answer:
    """Tell of an error that is ours, not Meta's, without what it may quote."""
    log.error(
        "a fault of ours ended a call",
        message=entry.id,
        number=entry.phone_number_id,
        fault=reason_of(error),
        traceparent=entry.traceparent,
    )
    return answer
