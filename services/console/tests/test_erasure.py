"""On a real database: a customer is forgotten with all that was told of messages; old messages go by themselves."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from msgspec.structs import replace
from panier_common.contracts.events import Customer, Event, MessageRequested, RecipientErased
from panier_common.contracts.outbound import TextMessage, packed
from panier_common.effects import SetTimer, Tombstone
from panier_common.erasing import SETTLE_SECONDS, ErasureDue
from panier_common.event import Received
from panier_common.keeping import SILENT
from panier_common.keeping import forget as walk
from panier_common.read_progress import Progress
from panier_common.timers import TIMER_TOPIC
from panier_common.topics import FLOOR, OUTBOUND
from panier_console import db, erasure, keeping, loops
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
    assert await counts(connection) == [1, 1, 2, 2, 2], "what we said is the number's home's to forget"
    erased = [ErasureDue(THEIRS, (), now)]
    await erasure.erase_outgoing(connection, erased)
    await db.save_sent(connection, [sent])
    await db.save_deliveries(connection, [read])
    assert await counts(connection) == [1, 1, 1, 1, 1]
    assert (await db.load_messages(connection, "100", [OTHERS]))[1]["delivered"] == Reached.READ
    await connection.execute("UPDATE erased_message SET erased_at = now() - interval '61 days'")
    await erasure.erase_outgoing(connection, erased)
    assert await connection.fetchval("SELECT count(*) FROM erased_message") == 0
    assert erasure.also(THEIRS) == (Tombstone(FLOOR, THEIRS),)


@dataclass
class NumbersHome:
    """The home of a number, which works one batch at a time and sets its timers, but never waits for them."""

    connection: asyncpg.Connection
    read_to: datetime
    timers: list[SetTimer] = field(default_factory=list)

    async def take(self, *records: tuple[Event, datetime, str]) -> None:
        await self._work(
            [Received(OUTBOUND.name, 3, n, one, at, said, {}) for n, (said, at, one) in enumerate(records)]
        )

    async def ring(self, at: datetime) -> None:
        timers, self.timers = self.timers, []
        await self._work([Received(TIMER_TOPIC, 3, -1, str(uuid4()), at, timer.event, {}) for timer in timers])

    async def _work(self, batch: list[Received]) -> None:
        async def look(topics: Collection[str], homes: Collection[int]) -> dict[tuple[str, int], Progress]:
            return {(topic, home): Progress(self.read_to) for topic in topics for home in homes}

        loop = loops.deliveries(look)
        world = await loop.load(self.connection, batch)
        effects = [effect for received in batch for effect in loop.decide(world, received)]
        await loop.save(self.connection, world)
        self.timers += [effect for effect in effects if isinstance(effect, SetTimer)]


def asked(conversation: str, text: str, at: datetime) -> tuple[Event, datetime, str]:
    said = packed(TextMessage(body=text))
    return MessageRequested("100", conversation, "shop", Customer(conversation[4:]), said), at, str(uuid4())


async def test_what_the_numbers_home_reads_long_after_the_erasure_is_forgotten_as_well(
    connection: asyncpg.Connection,
) -> None:
    erased_at = datetime.now(UTC) - timedelta(hours=1)
    settled_at = erased_at + timedelta(seconds=SETTLE_SECONDS)
    home = NumbersHome(connection, read_to=erased_at)
    before = asked(THEIRS, "Livraison : Anne Le Goff, 5 rue du Port", erased_at - timedelta(minutes=1))
    behind = asked(THEIRS, "Anne, un dernier croissant ?", erased_at + timedelta(seconds=2))
    others = asked(OTHERS, "Bienvenue", erased_at - timedelta(minutes=1))
    again = asked(THEIRS, "Bienvenue à nouveau", erased_at + timedelta(minutes=30))
    # The sender was not behind: what became of it is known before the message is.
    sent, read = db.Sent(UUID(before[2]), "wamid.1", Reached.SENT), db.Delivery("100", "wamid.1", Reached.READ)
    await db.save_sent(connection, [sent])
    await db.save_deliveries(connection, [read])
    await erasure.erase(connection, [THEIRS])

    await home.take(before, others, (RecipientErased("100", (THEIRS,), erased_at), erased_at, str(uuid4())))
    await home.ring(settled_at)
    assert (await erasure.held(connection, [THEIRS]))["outgoing_message"], "it is held, and told of, until all is read"
    await home.take(behind, again)
    home.read_to = settled_at
    await home.ring(settled_at)
    await db.save_sent(connection, [sent, db.Sent(UUID(behind[2]), "wamid.2", Reached.SENT)])
    left = await connection.fetch("SELECT conversation, text FROM outgoing_message ORDER BY at")
    assert [tuple(row) for row in left] == [(OTHERS, "Bienvenue"), (THEIRS, "Bienvenue à nouveau")]
    assert (await counts(connection), home.timers) == ([0, 0, 2, 0, 0], [])


async def test_a_letter_that_the_numbers_home_left_goes_too(connection: asyncpg.Connection) -> None:
    now = datetime.now(UTC)
    await connection.execute(
        'INSERT INTO dead_letter (id, loop, home, topic, partition, "offset", key, headers, value, reason) '
        "VALUES (gen_random_uuid(), $1, 3, $2, 3, 1, '100', '{}', $3, '')",
        loops.DELIVERIES, OUTBOUND.name, f'{{"conversation":"{THEIRS}"}}'.encode(),
    )  # fmt: skip
    home = NumbersHome(connection, read_to=now + timedelta(seconds=SETTLE_SECONDS))
    await home.take((RecipientErased("100", (THEIRS,), now), now, str(uuid4())))
    await home.ring(now + timedelta(seconds=SETTLE_SECONDS))
    assert await connection.fetchval("SELECT count(*) FROM dead_letter") == 0


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
