"""On a real PostgreSQL: old rows go page by page, young ones and those that just changed stay."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from panier_common import keeping, memory, shown
from panier_common.keeping import COMMON, SILENT, Kept, forget
from panier_common.memory import Memory
from panier_common.postgres import Connection, Pool

DAY = timedelta(days=1)
OLD = Kept("story", "at", timedelta(days=10))


async def walked(db: Connection, kept: Kept) -> list[int]:
    """How many rows each step of a walk over the whole table made go."""
    page: int | None = 0
    gone = []
    while page is not None:
        rows, page = await forget(db, kept, page)
        gone.append(rows)
    return gone


async def remember(db: Connection, **ages: timedelta) -> None:
    for name, age in ages.items():
        taken = Memory().taken(str(uuid4()), datetime.now(UTC) - age)
        await db.execute("INSERT INTO conversation VALUES ('toy', $1, 'fr', $2)", name, taken.pack())


async def test_old_rows_go_a_few_pages_at_a_time_without_an_index(pool: Pool) -> None:
    async with pool.acquire() as db:
        await db.execute(
            "CREATE TABLE story AS SELECT n, now() - make_interval(days => n % 20) AS at, repeat('x', 1000) AS text "
            "FROM generate_series(0, 3999) AS n"
        )
        steps = await walked(db, OLD)
        assert len(steps) > 2
        assert max(steps) < 3000 / len(steps) * 2
        assert await db.fetchval("SELECT array_agg(DISTINCT n % 20 ORDER BY n % 20) FROM story") == list(range(10))
        assert sum(await walked(db, OLD)) == 0
        plan = "\n".join([row[0] for row in await db.fetch(f"EXPLAIN {OLD.statement}", (0, 0), (2, 0), OLD.keep)])
        assert "Tid Range Scan on story" in plan
        assert "Seq Scan" not in plan


async def test_a_row_that_is_being_changed_stays_and_nobody_waits(pool: Pool) -> None:
    async with pool.acquire() as db, pool.acquire() as other:
        await db.execute("CREATE TABLE story (n int, at timestamptz)")
        await db.execute("INSERT INTO story SELECT n, now() - interval '11 days' FROM generate_series(1, 3) AS n")
        async with other.transaction():
            await other.execute("UPDATE story SET at = now() WHERE n = 2")
            assert await walked(db, OLD) == [2]
        assert await walked(db, OLD) == [0]
        assert await db.fetchval("SELECT array_agg(n) FROM story") == [2]


async def test_an_old_row_can_be_emptied_instead(pool: Pool) -> None:
    emptied = Kept("story", "at", timedelta(days=10), "text <> ''", left="text = ''")
    async with pool.acquire() as db:
        await db.execute("CREATE TABLE story (at timestamptz, text text)")
        await db.execute("INSERT INTO story VALUES (now() - interval '11 days', 'old'), (now(), 'young'), (NULL, 'no')")
        assert await walked(db, emptied) == [1]
        assert await db.fetchval("SELECT array_agg(text ORDER BY text) FROM story") == ["", "no", "young"]


async def test_what_the_runner_keeps_of_silent_customers_goes(pool: Pool) -> None:
    async with pool.acquire() as db:
        await remember(db, silent=SILENT + DAY, away=SILENT - DAY, here=DAY)
        await db.execute(
            'INSERT INTO merged (loop, conversation, "into", at) VALUES '
            "('toy', 'a', 'b', now() - $1::interval), ('toy', 'c', 'b', now() - $2::interval)",
            SILENT + DAY,
            SILENT - DAY,
        )
        await db.execute("INSERT INTO already VALUES ('toy', 1, 'done', 'x', now() - interval '9 days')")
        await db.execute("INSERT INTO already VALUES ('toy', 1, 'done', 'y', now() - interval '7 days')")
        for kept in COMMON:
            await walked(db, kept)
        assert await db.fetchval("SELECT array_agg(conversation ORDER BY 1) FROM conversation") == ["away", "here"]
        assert await db.fetchval("SELECT array_agg(conversation) FROM merged") == ["c"]
        assert await db.fetchval("SELECT array_agg(id) FROM already") == ["y"]


async def test_what_people_did_to_a_dead_letter_stays_as_long_as_the_letter(pool: Pool) -> None:
    waiting, dropped, lately = uuid4(), uuid4(), uuid4()
    [acts] = [kept for kept in COMMON if kept.table == "dead_letter_act"]
    async with pool.acquire() as db:
        await db.execute(
            'INSERT INTO dead_letter (id, loop, home, topic, partition, "offset", key, headers, reason) '
            "VALUES ($1, 'toy', 1, 'topic', 1, 1, 'key', '', 'why')",
            waiting,
        )
        for letter, age in ((waiting, SILENT + DAY), (dropped, SILENT + DAY), (lately, SILENT - DAY)):
            await db.execute(
                'INSERT INTO dead_letter_act (letter, act, by, at, loop, topic, partition, "offset", reason) '
                "VALUES ($1, 'read', 'me', now() - $2::interval, 'toy', 'topic', 1, 1, 'why')",
                letter,
                age,
            )
        assert await walked(db, acts) == [1]
        assert {row["letter"] for row in await db.fetch("SELECT letter FROM dead_letter_act")} == {waiting, lately}


async def test_a_process_walks_by_itself_also_after_the_database_was_not_ready(pool: Pool) -> None:
    missing = Kept("not_migrated_yet", "at", DAY)
    async with pool.acquire() as db:
        await remember(db, silent=SILENT + DAY)
        walking = asyncio.create_task(keeping.forget_old(lambda: pool, lambda: (*COMMON, missing)))
        async with asyncio.timeout(20):
            while await db.fetchval("SELECT count(*) FROM conversation"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not walking.done()
        walking.cancel()


@pytest.mark.parametrize("second", [1, 0x7FFFFFFF, 0xC0DEC0DE])
async def test_sql_reads_the_time_of_memories_as_they_are_packed(pool: Pool, second: int) -> None:
    at = datetime.fromtimestamp(second, UTC)
    packed = Memory().taken(str(uuid4()), at).taken(str(uuid4()), at - DAY if second > DAY.total_seconds() else at)
    both = shown.remembered(shown.remembered(b"", "wamid.1", datetime.fromtimestamp(0, UTC)), "wamid.2", at)
    async with pool.acquire() as db:
        for expression, bytes_ in ((memory.NEWEST, packed.pack()), (shown.NEWEST, both)):
            assert await db.fetchval(f"SELECT {expression} FROM (SELECT $1::bytea AS memory) AS row", bytes_) == at
            nothing = await db.fetchval(f"SELECT {expression} FROM (SELECT ''::bytea AS memory) AS row")
            assert nothing == datetime.fromtimestamp(0, UTC)


def test_no_rule_is_younger_than_what_may_still_be_read() -> None:
    assert all(kept.keep >= timedelta(days=8) for kept in COMMON)
    assert keeping.PAGES * 8192 <= 2 * 1024 * 1024
