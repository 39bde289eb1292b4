"""The journal in a real PostgreSQL: the number of statements, taking over, and forgetting."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from msgspec.structs import replace
from panier_common import timers
from panier_common.contracts.events import Customer, DeliveryChanged, DeliveryError, MessageRequested, Template
from panier_common.contracts.outbound import TextMessage, packed
from panier_common.event import Received
from panier_sender import db
from panier_sender.errors import Class
from panier_sender.handlers import forget_old
from panier_sender.happenings import CallFinished, SweepDue, WorkDue
from panier_sender.journal import Journal
from panier_sender.loops import NUMBERS, Numbers
from panier_sender.pacing import Hold, Pacing
from panier_sender.window import Window

NUMBER = "106540352242922"
HOME = 3


class Silent:
    """Takes claims and calls nobody."""

    def __init__(self) -> None:
        self.claimed: list = []

    def start(self, claims, taken_at) -> None:
        self.claimed += claims

    def open(self, homes) -> None: ...


@pytest_asyncio.fixture
async def connection(database) -> AsyncIterator[asyncpg.Connection]:
    connected = await asyncpg.connect(await database("panier_sender"))
    yield connected
    await connected.close()


@pytest.fixture
def numbers() -> Numbers:
    return Numbers(Pacing(1000, 1000, lambda number: 1000), Silent(), timedelta(seconds=20))


def received(event, event_id: str | None = None) -> Received:
    return Received(
        "t", HOME, 0, event_id or str(uuid.uuid4()), datetime.now(UTC), event, {"ce_source": "/panier/cart"}
    )


def asked(customer: str) -> MessageRequested:
    return MessageRequested(
        NUMBER,
        f"{NUMBER}:{customer}",
        "bakery",
        Customer(wa_id=customer),
        packed(TextMessage(body="hello")),
        answers_at=datetime.now(UTC),
    )


async def batch(numbers: Numbers, connection: asyncpg.Connection, records: list[Received]) -> Journal:
    loop = numbers.loop()
    async with connection.transaction():
        journal = await loop.load(connection, records)
        for record in records:
            loop.decide(journal, record)
        await loop.save(connection, journal)
    loop.on_commit(journal)
    return journal


def results(numbers: Numbers, kind: Class = Class.ACCEPTED) -> list[Received]:
    claimed, numbers._dispatcher.claimed = numbers._dispatcher.claimed, []
    return [
        received(CallFinished(e.conversation, NUMBER, e.id, e.attempt, kind.value, datetime.now(UTC), f"wamid.{e.id}"))
        for e in claimed
    ]


async def test_the_number_of_statements_does_not_grow(numbers, connection):
    counted: dict[str, set[int]] = {"requests": set(), "results": set(), "statuses": set()}
    await batch(numbers, connection, [received(asked("first"))])  # the client asks for types only once
    await batch(numbers, connection, results(numbers))
    await connection.execute("DELETE FROM sent")
    for size in (1, 50, 500):
        seen: list[str] = []

        def count(query, seen=seen) -> None:
            seen.append(query.query)

        requests = [received(asked(f"{size}-{n}")) for n in range(size)]
        with connection.query_logger(count):
            await batch(numbers, connection, requests)
        counted["requests"].add(len(seen))
        seen.clear()
        with connection.query_logger(count):
            await batch(numbers, connection, results(numbers))
        counted["results"].add(len(seen))
        seen.clear()
        failed = [
            DeliveryChanged(NUMBER, f"wamid.{r.id}", "failed", datetime.now(UTC), r.id, errors=(DeliveryError(131026),))
            for r in requests
        ]
        with connection.query_logger(count):
            await batch(numbers, connection, [received(event) for event in failed])
        counted["statuses"].add(len(seen))
        assert await connection.fetchval("SELECT count(*) FROM message") == 0
        assert await connection.fetchval("SELECT count(*) FROM sent") == 0
    assert {what: len(numbers) for what, numbers in counted.items()} == dict.fromkeys(counted, 1)
    assert all(max(numbers) <= 8 for numbers in counted.values())


async def test_positions_follow_the_order_of_the_batch(numbers, connection):
    requests = [received(asked("1")) for _ in range(100)]
    await batch(numbers, connection, requests)
    rows = await connection.fetch("SELECT id FROM message ORDER BY position")
    assert [row["id"] for row in rows] == [request.id for request in requests]


async def test_the_database_refuses_two_calls_to_one_customer(numbers, connection):
    await batch(numbers, connection, [received(asked("1")) for _ in range(2)])
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("UPDATE message SET state = 'claimed'")


async def test_taking_over_puts_claims_in_doubt_and_sets_timers(numbers, connection):
    await batch(numbers, connection, [received(asked(f"{n}")) for n in range(3)])
    first, second, third = (entry.id for entry in numbers._dispatcher.claimed)
    await connection.execute("UPDATE message SET proof = 'wamid.1' WHERE id = $1", first)
    await connection.execute("UPDATE message SET claimed_at = now() - interval '5 s' WHERE id = $1", second)
    await connection.execute("UPDATE message SET state = 'ready' WHERE id = $1", third)
    await db.take_over(connection, NUMBERS, [HOME, 4], timedelta(seconds=20))
    rows = await connection.fetch(
        "SELECT home, key, ce_type, extract(epoch FROM due_at - now())::float8 AS seconds FROM timer"
    )
    due = {row["key"]: row["seconds"] for row in rows if row["home"] == HOME}
    assert due[f"message:{first}"] == pytest.approx(0, abs=1)
    assert due[f"message:{second}"] == pytest.approx(15, abs=1)
    assert due[f"work:{NUMBER}"] == pytest.approx(0, abs=1)
    assert {row["home"] for row in rows if row["key"] == "sweep"} == {HOME, 4}
    states = {row["id"]: row["state"] for row in await connection.fetch("SELECT id, state FROM message")}
    assert states == {first: "doubt", second: "doubt", third: "ready"}
    found = await timers.due(connection, NUMBERS, [HOME], 10)
    assert {timer.key for timer in found} == {f"message:{first}", f"work:{NUMBER}"}


async def test_old_sent_messages_are_forgotten_however_many(numbers, connection, monkeypatch):
    monkeypatch.setattr(db, "SWEEP_LIMIT", 2)
    await batch(numbers, connection, [received(asked(f"{n}")) for n in range(6)])
    *old, young = (entry.id for entry in numbers._dispatcher.claimed)
    await batch(numbers, connection, results(numbers))
    await connection.execute("UPDATE sent SET sent_at = now() - interval '9 days' WHERE id = ANY($1)", old)
    sweep = received(SweepDue())
    waits = []
    for _ in range(3):
        journal = await batch(numbers, connection, [sweep])
        waits += [effect.after_seconds for effect in forget_old(journal, sweep, sweep.event)]
    assert waits == [0, 0, 600]
    assert [row["id"] for row in await connection.fetch("SELECT id FROM sent")] == [young]


async def test_a_template_that_goes_late_joins_the_line_that_its_customer_has_by_now(numbers, connection):
    """Neither the status nor its message, which is sent, shows that line: it is loaded all the same."""
    news, stopped = (
        received(replace(asked(customer), lane="news", template=Template("order_ready", "fr", ("A-12",))))
        for customer in ("1", "2")
    )
    await batch(numbers, connection, [news, stopped])
    await batch(numbers, connection, results(numbers))
    behind = received(asked("1"))
    await batch(numbers, connection, [behind])
    await db.save_windows(connection, {f"{NUMBER}:2": Window(datetime.now(UTC), stopped=True)})
    late = [
        DeliveryChanged(NUMBER, f"wamid.{r.id}", "failed", datetime.now(UTC), r.id, errors=(DeliveryError(131047),))
        for r in (news, stopped)
    ]
    await batch(numbers, connection, [received(event) for event in late])
    line = "SELECT id, state, undelivered FROM message ORDER BY position"
    assert [tuple(row) for row in await connection.fetch(line)] == [
        (behind.id, "claimed", ""),
        (news.id, "queued", f"wamid.{news.id}"),
    ]
    await batch(numbers, connection, results(numbers))
    (template,) = numbers._dispatcher.claimed
    assert (template.id, template.kind) == (news.id, "template")


async def test_a_template_is_kept_though_its_message_failed_in_the_batch_that_brought_its_acceptance(
    numbers, connection
):
    news = received(replace(asked("1"), lane="news", template=Template("order_ready", "fr", ("A-12",))))
    await batch(numbers, connection, [news])
    wamid = f"wamid.{news.id}"
    late = DeliveryChanged(NUMBER, wamid, "failed", datetime.now(UTC), news.id, errors=(DeliveryError(131047),))
    await batch(numbers, connection, [*results(numbers), received(late)])
    kept = "SELECT id, state, kind, undelivered FROM message"
    assert [tuple(row) for row in await connection.fetch(kept)] == [(news.id, "claimed", "template", wamid)]
    assert await connection.fetchval("SELECT count(*) FROM sent") == 0


async def test_a_refused_text_leaves_its_wamid_to_its_template(numbers, connection):
    """Told by a status before the call's answer."""
    news = received(replace(asked("1"), lane="news", template=Template("order_ready", "fr", ("A-12",))))
    await batch(numbers, connection, [news])
    late = DeliveryChanged(NUMBER, "wamid.1", "failed", datetime.now(UTC), news.id, errors=(DeliveryError(131047),))
    for _ in range(2):
        await batch(numbers, connection, [received(late)])
        kept = "SELECT state, kind, undelivered FROM message"
        assert [tuple(row) for row in await connection.fetch(kept)] == [("claimed", "template", "wamid.1")]


async def test_what_had_no_room_is_claimed_as_room_appears(connection):
    numbers = Numbers(Pacing(2, 2), Silent(), timedelta(seconds=20))
    await batch(numbers, connection, [received(asked(f"{n}")) for n in range(5)])
    order = []
    while numbers._dispatcher.claimed:
        assert len(numbers._dispatcher.claimed) <= 2
        order += [entry.conversation for entry in numbers._dispatcher.claimed]
        await batch(numbers, connection, results(numbers))
    assert order == [f"{NUMBER}:{n}" for n in range(5)]
    assert numbers._pacing.backlog == {}


async def test_what_a_former_owner_left_is_claimed_as_room_appears(connection):
    await batch(
        Numbers(Pacing(0, 2), Silent(), timedelta(seconds=20)), connection, [received(asked(f"{n}")) for n in range(5)]
    )
    numbers = Numbers(Pacing(2, 2), Silent(), timedelta(seconds=20))
    await batch(numbers, connection, [received(WorkDue(NUMBER, datetime.now(UTC)))])
    order = []
    while numbers._dispatcher.claimed:
        order += [entry.conversation for entry in numbers._dispatcher.claimed]
        await batch(numbers, connection, results(numbers))
    assert order == [f"{NUMBER}:{n}" for n in range(5)]


async def test_what_a_former_owner_left_is_claimed_when_its_number_is_held_no_more(connection):
    """A rebalance while Meta cannot be reached: who takes the number over must not forget that it has messages."""
    left = Numbers(Pacing(0, 2), Silent(), timedelta(seconds=20))
    await batch(left, connection, [received(asked(f"{n}")) for n in range(3)])
    numbers = Numbers(Pacing(2, 2), Silent(), timedelta(seconds=20))
    until = datetime.now(UTC) + timedelta(minutes=1)
    numbers._pacing.holds[NUMBER] = Hold(until, Class.UNREACHED, "unreachable", HOME)
    await batch(numbers, connection, [received(WorkDue(NUMBER, datetime.now(UTC)))])
    assert numbers._dispatcher.claimed == []
    assert numbers._pacing.servable(until - timedelta(seconds=1), []) == {}
    assert numbers._pacing.servable(until, []) == {HOME: NUMBER}
    numbers._pacing.release(NUMBER)
    order = []
    await batch(numbers, connection, [received(WorkDue(NUMBER, datetime.now(UTC)))])
    while numbers._dispatcher.claimed:
        order += [entry.conversation for entry in numbers._dispatcher.claimed]
        await batch(numbers, connection, results(numbers))
    assert order == [f"{NUMBER}:{n}" for n in range(3)]


async def test_windows_are_kept(connection):
    at = datetime.now(UTC)
    windows = {"1:a": Window(at, stopped=True), "1:b": Window(None)}
    await db.save_windows(connection, windows)
    assert await db.load_windows(connection, ["1:a", "1:b", "1:c"]) == windows


async def test_windows_are_lifted_by_answers_and_never_lowered(connection):
    at = datetime.now(UTC)
    await db.save_windows(connection, {"1:a": Window(at, stopped=True), "1:b": Window(at)})
    later, earlier = at + timedelta(minutes=1), at - timedelta(minutes=1)
    await db.lift_windows(connection, {"1:c": at, "1:b": earlier, "1:a": later})
    await db.save_windows(connection, {"1:c": Window(earlier, stopped=True)})
    lifted = {"1:a": Window(later, stopped=True), "1:b": Window(at), "1:c": Window(at, stopped=True)}
    assert await db.load_windows(connection, list(lifted)) == lifted
