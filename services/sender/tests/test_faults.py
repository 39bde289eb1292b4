"""An error of ours in one call or upload: its message is not left claimed, and nobody else waits for it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from panier_common.contracts.events import Event
from panier_sender.dispatch import Claim, Dispatcher
from panier_sender.graph import ACCEPTED, Answer
from panier_sender.happenings import CallFinished
from panier_sender.hearing import Receipt
from panier_sender.line import Entry
from panier_sender.pacing import Pacing
from panier_sender.rates import Opening
from panier_sender.receipts import Receipts
from panier_sender.render import UPLOAD
from panier_sender.schedule import Schedule
from structlog.testing import capture_logs

NUMBER = "106540352242922"
SOON = 10.0
ENTRY = Entry("", 0, "", NUMBER, "text", "answer", "cart", "{}", "[]", datetime.now(UTC))


class Faulty:
    """Graph, tokens and uploads in one: what is named in `faults` fails, with a secret in its words."""

    def __init__(self, *faults: str) -> None:
        self.faults = set(faults)
        self.reads = 0

    def _fail(self, what: str) -> None:
        if what in self.faults:
            raise ValueError("Bearer secret")

    def of(self, number: str) -> str:
        self._fail("token")
        return "token"

    async def send(self, *call: Any) -> Answer:
        self._fail("call")
        return Answer(ACCEPTED, "wamid")

    async def in_place(self, entry: Entry, *more: Any) -> str:
        self._fail("upload")
        return entry.body

    async def mark_read(self, *call: Any) -> bool:
        self.reads += 1
        self._fail("read")
        return True


@asynccontextmanager
async def dispatching(faulty: Any) -> AsyncIterator[tuple[Dispatcher, list[CallFinished]]]:
    """With what the loop is told of calls."""
    found: list[CallFinished] = []

    async def submit(events: Sequence[Event]) -> None:
        found.extend(event for event in events if isinstance(event, CallFinished))

    schedule: Schedule[Claim] = Schedule(lambda number: 80)
    dispatcher = Dispatcher(
        faulty, faulty, Pacing(100, 100), schedule, faulty, opening=Opening(100), claim_seconds=30.0
    )
    running = asyncio.create_task(dispatcher.run(submit))
    try:
        yield dispatcher, found
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def start(dispatcher: Dispatcher, *entries: Entry) -> None:
    dispatcher.start(entries, asyncio.get_running_loop().time())


@pytest.mark.parametrize("fault", ["token", "call"])
async def test_a_call_that_ends_by_a_fault_is_in_doubt_and_its_number_goes_on(until, fault):
    faulty = Faulty(fault)
    with capture_logs() as said:
        async with dispatching(faulty) as (dispatcher, found):
            start(dispatcher, *(replace(ENTRY, id=f"{n}") for n in range(5)))
            await until(lambda: len(found) == 5, SOON)
            faulty.faults.clear()
            start(dispatcher, replace(ENTRY, id="next"))
            await until(lambda: len(found) == 6, SOON)
            assert dispatcher.in_flight == 0
    assert [event.outcome for event in found] == ["in_doubt"] * 5 + ["accepted"]
    assert {line["message"] for line in said if "fault" in line} == {"0", "1", "2", "3", "4"}
    assert "secret" not in str(said)


@pytest.mark.parametrize("fault", ["token", "upload"])
async def test_an_upload_that_ends_by_a_fault_is_tried_a_few_times(until, fault):
    entry = replace(ENTRY, kind="media", body=f'{{"id":"{UPLOAD}"}}')
    async with dispatching(Faulty(fault)) as (dispatcher, found):
        start(dispatcher, replace(entry, id="file"))
        await until(lambda: found, SOON)
    ((outcome, person),) = ((event.outcome, event.person) for event in found)
    assert (outcome, person) == ("retry_few", True), "not called at once again and again, and a person hears of it"


@pytest.mark.parametrize("fault", ["token", "read"])
async def test_receipts_outlive_a_fault(until, fault):
    faulty: Any = Faulty(fault)
    receipts = Receipts(faulty, faulty)
    running = asyncio.create_task(receipts.run())
    try:
        await _outlived(receipts, faulty, until)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _outlived(receipts: Receipts, faulty: Any, until: Any) -> None:
    receipts.put([Receipt(NUMBER, f"wamid.{n}", typing=False) for n in range(20)], lambda number: False)
    await until(receipts._queue.empty, SOON)
    faulty.faults.clear()
    before = faulty.reads
    receipts.put([Receipt(NUMBER, "wamid.last", typing=False)], lambda number: False)
    await until(lambda: faulty.reads == before + 1, SOON)
