"""On a real database: a customer is forgotten with all that was told of messages; old messages go by themselves."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from msgspec.structs import replace
from panier_common.effects import Tombstone
from panier_common.keeping import SILENT
from panier_common.keeping import forget as walk
from panier_common.topics import FLOOR
from panier_console import db, erasure, keeping
from panier_console.inbox import Inbox, given, handed_back
from panier_console.state import Reached

THEIRS, OTHERS = "100:FR.7", "100:FR.8"
TABLES = ("inbox", "inbound_message", "outgoing_message", "sent_message", "delivery")


@pytest.fixture
async def connection(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[asyncpg.Connection]:
    connected = await asyncpg.connect(await database("panier_console"))
    yield connected
    await connected.close()


async def talk(connection: asyncpg.Connection, conversation: str, at: datetime) -> tuple[db.Sent, db.Delivery]:
    """A message and its answer, which was sent and read."""
    theirs, ours = uuid4(), uuid4()
    await db.save_inboxes(connection, [Inbox(conversation, "100", user_id=conversation[4:], wa_id="33600")])
    await db.insert_inbound(connection, [db.Inbound(theirs, conversation, 1, "wamid.in", "text", "bonjour", at)])
    await db.insert_outgoing(connection, [db.Outgoing(ours, conversation, 1, "text", "Bienvenue", at)])
    sent = db.Sent(ours, f"wamid.{ours}", Reached.SENT)
    read = db.Delivery("100", f"wamid.{ours}", Reached.READ, ours)
    await db.save_sent(connection, [sent])
    await db.save_deliveries(connection, [read])
    return sent, read


async def counts(connection: asyncpg.Connection) -> list[int]:
    return [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]


async def test_nothing_is_left_and_nothing_that_is_told_late_comes_back(connection: asyncpg.Connection) -> None:
    now = datetime.now(UTC)
    sent, read = await talk(connection, THEIRS, now)
    await talk(connection, OTHERS, now)
    held = await erasure.held(connection, [THEIRS])
    assert [row["text"] for rows in held.values() for row in rows if "text" in row] == ["bonjour", "Bienvenue"]
    assert [row["conversation"] for row in await erasure.known(connection, "100", ["33600"])] == [THEIRS, OTHERS]

    await erasure.erase(connection, [THEIRS])
    await db.save_sent(connection, [sent])
    await db.save_deliveries(connection, [read])
    assert await counts(connection) == [1, 1, 1, 1, 1]
    assert (await db.load_messages(connection, "100", [OTHERS]))[1]["delivered"] == Reached.READ
    await connection.execute("UPDATE erased_message SET erased_at = now() - interval '61 days'")
    await erasure.erase(connection, [THEIRS])
    assert await connection.fetchval("SELECT count(*) FROM erased_message") == 0
    assert erasure.also(THEIRS) == (Tombstone(FLOOR, THEIRS),)


async def test_old_messages_go_with_what_was_told_of_them(connection: asyncpg.Connection) -> None:
    now, keep = datetime.now(UTC), timedelta(days=400)
    await talk(connection, THEIRS, now - timedelta(days=401))
    await talk(connection, THEIRS, now - timedelta(days=399))
    assert await keeping.forget(connection, keep) == 2
    assert await counts(connection) == [1, 1, 1, 1, 1]
    assert await keeping.forget(connection, keep) == 0


async def test_silent_conversations_go_unless_a_person_has_the_floor(connection: asyncpg.Connection) -> None:
    now, keep = datetime.now(UTC), timedelta(days=30)
    old = Inbox("old", "100", last_at=now - timedelta(days=31), version=4)
    inboxes = [
        old,
        replace(old, conversation="person", person=True),
        replace(old, conversation="young", last_at=now - timedelta(days=29)),
        replace(old, conversation="told", told_at=now - timedelta(days=29)),
    ]
    await db.save_inboxes(connection, inboxes)
    linked = "INSERT INTO merged VALUES ('console.conversations', $1, 'to', now() - $2::interval)"
    await connection.execute(linked, "100:1", SILENT - timedelta(days=1))
    await connection.execute(linked, "100:2", SILENT + timedelta(days=1))
    for rule in keeping.kept(keep):
        await walk(connection, rule)
    assert {row["conversation"] for row in await connection.fetch("SELECT * FROM inbox")} == {"person", "young", "told"}
    assert await connection.fetchval("SELECT array_agg(conversation) FROM merged") == ["100:1"]


async def test_what_was_told_of_messages_that_are_nobodys_goes_later(connection: asyncpg.Connection) -> None:
    keep = timedelta(days=30)
    for days in (89, 91):
        wamid = f"wamid.{days}"
        await db.save_sent(connection, [db.Sent(uuid4(), wamid, Reached.SENT)])
        await db.save_deliveries(connection, [db.Delivery("100", wamid, Reached.READ)])
        for table in ("sent_message", "delivery"):
            aged = f"UPDATE {table} SET at = now() - make_interval(days => $1) WHERE wamid = $2"
            await connection.execute(aged, days, wamid)
    for rule in keeping.kept(keep):
        await walk(connection, rule)
    for table in ("sent_message", "delivery"):
        assert await connection.fetchval(f"SELECT array_agg(wamid) FROM {table}") == ["wamid.89"]


def test_a_floor_given_anew_is_newer_than_any_that_was_forgotten() -> None:
    now = datetime.now(UTC)
    before = given(Inbox("one", "100"), now - timedelta(days=500))
    assert given(Inbox("one", "100"), now).version > handed_back(before).version + 1000
