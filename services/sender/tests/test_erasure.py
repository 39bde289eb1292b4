"""A customer is forgotten: what waits for them is not sent, and others lose nothing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest_asyncio
from msgspec.structs import replace
from panier_common.contracts.events import RecipientErased, Template
from panier_sender import db, erasure
from panier_sender.loops import Numbers
from panier_sender.pacing import Pacing

from .desk import NUMBER, Asked, Desk, accept, status
from .test_db import Silent, asked, batch, received, results

THEIRS, OTHERS = f"{NUMBER}:1", f"{NUMBER}:2"


@pytest_asyncio.fixture
async def connection(database) -> AsyncIterator[asyncpg.Connection]:
    connected = await asyncpg.connect(await database("panier_sender"))
    yield connected
    await connected.close()


async def test_the_journal_forgets_one_customer_and_what_comes_after_is_new(connection: asyncpg.Connection) -> None:
    numbers = Numbers(Pacing(1000, 1000, lambda number: 1000), Silent(), timedelta(seconds=20))
    six = [received(asked("1")) for _ in range(db.LINE_LIMIT + 3)]
    await batch(numbers, connection, [*six, received(asked("2"))])
    erased = RecipientErased(NUMBER, (THEIRS,), datetime.now(UTC))
    await batch(numbers, connection, [received(erased), received(asked("1"))])
    left = "SELECT conversation, state FROM message ORDER BY position"
    assert [tuple(row) for row in await connection.fetch(left)] == [(OTHERS, "claimed"), (THEIRS, "claimed")]

    for one in (THEIRS, OTHERS):
        await connection.execute("INSERT INTO conversation_window (conversation, stopped) VALUES ($1, true) "
                                 "ON CONFLICT (conversation) DO UPDATE SET stopped = true", one)  # fmt: skip
    assert (await erasure.held(connection, [THEIRS])).keys() == {"conversation_window", "message"}
    await erasure.erase_windows(connection, [THEIRS])
    assert await connection.fetchval("SELECT array_agg(conversation) FROM conversation_window") == [OTHERS]


async def test_of_what_was_sent_no_words_are_left(connection: asyncpg.Connection) -> None:
    numbers = Numbers(Pacing(1000, 1000, lambda number: 1000), Silent(), timedelta(seconds=20))
    template = Template("order_ready", "fr", ("A-12",))
    await batch(numbers, connection, [received(replace(asked(one), template=template)) for one in ("1", "2", "1")])
    await batch(numbers, connection, results(numbers))
    # The second of theirs is accepted in the very batch that forgets them.
    await batch(
        numbers, connection, [*results(numbers), received(RecipientErased(NUMBER, (THEIRS,), datetime.now(UTC)))]
    )
    rows = await connection.fetch("SELECT conversation, template <> '' FROM sent ORDER BY 1, 2")
    assert [tuple(row) for row in rows] == [(THEIRS, False), (THEIRS, False), (OTHERS, True)]


def test_no_template_goes_late_to_who_is_forgotten() -> None:
    desk = Desk()
    template = Template("order_ready", "fr", ("A-12",))
    desk.batch(Asked("1", "a", template=template), Asked("2", "b", template=template))
    accept(desk, "a")
    accept(desk, "b")
    desk.batch(
        RecipientErased(NUMBER, (THEIRS,), desk.now), status("a", "failed", 131047), status("b", "failed", 131047)
    )
    assert set(desk.calls) == {"b"}


def test_the_answer_of_a_call_that_was_under_way_stops_nobody() -> None:
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("1", "b"), Asked("2", "c"))
    journal = desk.batch(RecipientErased(NUMBER, (THEIRS,), desk.now))
    assert journal.erased == {THEIRS}
    desk.table = [entry for entry in desk.table if entry.conversation != THEIRS]
    desk.batch(Asked("1", "d"))
    accept(desk, "a")
    assert desk.ended("a") == []
    accept(desk, "d")
    accept(desk, "c")
    assert [event.message_id for event in desk.published] == ["d", "c"]
