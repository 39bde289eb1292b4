"""No second sees more calls begun than a number's limit: whatever is asked for, and however the process is held up."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from panier_sender.dispatch import Claim, Dispatcher
from panier_sender.graph import Answer, Graph
from panier_sender.line import Entry
from panier_sender.pacing import Pacing
from panier_sender.rates import Opening, Pace
from panier_sender.schedule import Schedule
from panier_sender.tokens import Tokens
from panier_sender.uploads import Uploads

from .client_at_speed import BODY, StandIn
from .test_rates import most_in_a_second

NUMBER = "106540352242922"
MOMENTS = st.one_of(st.floats(0, 0.03), st.floats(0, 2.5))


@st.composite
def turns(draw: st.DrawFn) -> list[tuple[float, int, float, int | None]]:
    """Of an event loop: seconds since the last one, new messages, seconds from a turn to its call, another limit."""
    turn = st.tuples(MOMENTS, st.integers(0, 60), MOMENTS, st.sampled_from([None] * 8 + [1, 20, 80, 1000]))
    return draw(st.lists(turn, min_size=1, max_size=60))


@settings(max_examples=300)
@given(turns(), st.sampled_from([1, 20, 80, 1000]), st.data())
def test_whatever_is_asked_for_and_however_late_calls_begin(turns, limit, data):
    limits = {"a": limit}
    schedule: Schedule[float] = Schedule(limits.__getitem__)
    begun, now = [], 0.0
    in_force = [(0.0, limit)]
    due: deque[float] = deque()
    for gap, new, late, changed in turns:
        now += gap
        if changed is not None:
            limits["a"] = changed
            schedule.refresh()
            in_force.append((now, changed))
        for _ in range(new):
            schedule.put("a", 0, now, now)
        # The loop may look several times before the first call of it has begun.
        for _ in range(data.draw(st.integers(1, 3))):
            due.extend(schedule.due(now, 1000))
            now += late / 3
        while due:
            due.popleft()
            if data.draw(st.booleans()) or new % 7:
                schedule.begin("a", now)
                begun.append(now)
            else:
                schedule.spare("a")
    for n, at in enumerate(begun):
        in_second = sum(1 for other in begun[n:] if other < at + 1.0)
        highest = max(value for since, value in in_force if since < at + 1.0 and _until(in_force, since) > at - 2.5)
        assert in_second <= highest


def _until(in_force: list[tuple[float, int]], since: float) -> float:
    """When the limit that came into force then gave way to the next one."""
    return next((at for at, _ in in_force if at > since), float("inf"))


@dataclass
class Recording:
    """Stands before the real client: when each call began, and of which number."""

    graph: Graph
    begun: list[float] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)

    async def send(self, number: str, *call: Any) -> Answer:
        self.begun.append(time.monotonic())
        self.numbers.append(number)
        return await self.graph.send(number, *call)


@pytest_asyncio.fixture
async def loopback(request: pytest.FixtureRequest) -> AsyncIterator[Recording]:
    """A server on this machine, which takes every message, after as many seconds as the test says."""
    answering = type("Answering", (StandIn,), {"seconds": getattr(request, "param", StandIn.seconds)})
    server = await asyncio.get_running_loop().create_server(answering, "127.0.0.1", 0)
    connector = aiohttp.TCPConnector(limit=0)
    async with server, aiohttp.ClientSession(connector=connector) as session:
        yield Recording(Graph(session, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "v26.0"))


ENTRY = Entry("", 0, "", NUMBER, "text", "answer", "cart", BODY, "[]", datetime.now(UTC))


def _asked(messages: int, number: str = NUMBER) -> list[Entry]:
    return [
        replace(ENTRY, id=f"{number}/{n}", phone_number_id=number, conversation=f"{number}:{n}")
        for n in range(messages)
    ]


def _dispatcher(
    loopback: Recording, limit: int, opening: Opening, claim_seconds: float, slower: Mapping[str, int] = {}
) -> Dispatcher:
    schedule: Schedule[Claim] = Schedule(lambda number: slower.get(number, limit))
    graph, tokens, uploads = cast(Graph, loopback), cast(Tokens, _OneToken()), cast(Uploads, None)
    pacing = Pacing(4000, 4000)
    return Dispatcher(graph, tokens, pacing, schedule, uploads, opening=opening, claim_seconds=claim_seconds)


@asynccontextmanager
async def _running(dispatcher: Dispatcher) -> AsyncIterator[Counter[str]]:
    """The outcomes of its calls, all of them at the end."""
    outcomes: Counter[str] = Counter()

    async def submit(events: Any) -> None:
        outcomes.update(event.outcome for event in events if hasattr(event, "outcome"))

    running = asyncio.create_task(dispatcher.run(submit))
    yield outcomes
    await dispatcher.release([0])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def most_begun(loopback: Recording, limit: int, stalls: bool) -> int:
    """Two and a half seconds of a number with more to send than it may; the most calls begun in any second."""
    dispatcher = _dispatcher(loopback, limit, Opening(1000), claim_seconds=30)
    async with _running(dispatcher) as outcomes:
        dispatcher.start(_asked(4 * limit), time.monotonic())
        ends = time.monotonic() + 2.5
        while time.monotonic() < ends:
            await asyncio.sleep(0.21)
            if stalls:
                time.sleep(0.15)  # noqa: ASYNC251 - the whole process is held up
    assert outcomes["accepted"] == len(loopback.begun)
    return most_in_a_second(loopback.begun)


class _OneToken:
    def of(self, number: str) -> str:
        return "token"


@pytest.mark.parametrize("stalls", [False, True])
async def test_on_the_wire(loopback, stalls):
    most = await most_begun(loopback, 200, stalls)
    assert most <= 200
    assert most > (20 if stalls else 60), "the machine did not send: nothing was tried"


def test_a_call_that_begins_late_is_paid_for_from_then_on():
    pace = Pace(80)
    pace.take(0.0)
    pace.begin(5.0)
    assert pace.paid_at > 5.0
    pace.take(6.0)
    pace.spare()
    assert pace.pending == 0


@pytest.mark.parametrize("loopback", [0.45], indirect=True)
async def test_no_call_is_begun_that_its_answer_would_come_too_late_for(loopback):
    """Eight at a time, in a second: the others give their claims back, certainly not sent."""
    dispatcher = _dispatcher(loopback, 1000, Opening(8), claim_seconds=2)
    async with _running(dispatcher) as outcomes:
        dispatcher.start(_asked(100), time.monotonic())
        while outcomes.total() < 100:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert outcomes["in_doubt"] == 0
    assert outcomes["accepted"] == len(loopback.begun) >= 16
    assert outcomes["uncalled"] == 100 - outcomes["accepted"]


@pytest.mark.parametrize("calls", [512, 2])
@pytest.mark.parametrize("loopback", [0.01], indirect=True)
async def test_a_number_whose_turn_is_far_off_holds_up_no_other(loopback, calls):
    """The one may send a message a second, and asked first; what the other is asked for goes meanwhile."""
    opening = Opening(calls, allowed=calls)
    dispatcher = _dispatcher(loopback, 1000, opening, claim_seconds=8, slower={"slow": 1})
    async with _running(dispatcher) as outcomes:
        dispatcher.start(_asked(2, "slow"), time.monotonic())
        dispatcher.start(_asked(50, "quick"), time.monotonic())
        while outcomes.total() < 52:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert loopback.numbers == ["slow", *["quick"] * 50, "slow"]
