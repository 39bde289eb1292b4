"""A customer is forgotten: what waits for them is not sent, and others lose nothing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest_asyncio
from panier_common.contracts.events import RecipientErased
from panier_sender import db, erasure
from panier_sender.loops import Numbers
from panier_sender.pacing import Pacing

from .desk import NUMBER, Asked, Desk, accept
from .test_db import Silent, asked, batch, received

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
