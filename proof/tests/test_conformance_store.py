"""What transactions do to each other: the same stories, told to a real PostgreSQL and to the simulated one."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import Any

import asyncpg
import pytest
from panier_common import homes
from panier_common.postgres import create_pool
from panier_proof.simulated.scheduler import SimulatedLoop
from panier_proof.simulated.schema import tables_of
from panier_proof.simulated.store import Pool, Server

PACKAGE = "panier_catalog"
Story = Callable[[Any], Awaitable[None]]
Tell = Callable[[Story], Awaitable[None]]


@pytest.fixture(params=["postgres", "simulated"])
def store(request: pytest.FixtureRequest) -> Tell:
    """Tells a story to one of the two stores: the catalogue's tables, empty."""
    database = request.getfixturevalue("database") if request.param == "postgres" else None

    async def tell(story: Story) -> None:
        if database is None:
            await asyncio.to_thread(_simulated, story)
            return
        pool = await create_pool(await database(PACKAGE))
        try:
            await asyncio.wait_for(story(pool), 30)
        finally:
            pool.terminate()

    return tell


def _simulated(story: Story) -> None:
    def now() -> datetime:
        return datetime.now(UTC)

    loop = SimulatedLoop(Random(3))
    try:
        loop.run_until_complete(story(Pool(Server(loop, tables_of(PACKAGE, now), now))))
    finally:
        loop.bury()
        loop.close()


async def _homes(db: Any) -> list[tuple[int, int]]:
    rows = await db.fetch("SELECT partition, epoch FROM home WHERE loop = 'l' ORDER BY partition")
    return [tuple(row) for row in rows]


async def _opened(db: Any, *partitions: int) -> None:
    await db.execute("INSERT INTO home (loop, partition, epoch) SELECT 'l', unnest($1::int[]), 1", list(partitions))


async def _waits(task: "asyncio.Task[Any]") -> bool:
    return not (await asyncio.wait({task}, timeout=0.3))[0]


class _GiveUpError(Exception):
    pass


_LOCK = (
    "SELECT home.partition FROM home JOIN unnest($1::int[], $2::bigint[]) AS mine (partition, epoch) USING (partition) "
    "WHERE home.loop = 'l' AND home.epoch = mine.epoch ORDER BY home.partition FOR UPDATE OF home"
)


async def _a_lock_waits_and_looks_again(pool: Any) -> None:
    async with pool.acquire() as one, pool.acquire() as other:
        await _opened(one, 0, 1)

        async def late() -> list[int]:
            async with other.transaction():
                return [row["partition"] for row in await other.fetch(_LOCK, [0, 1], [1, 1])]

        async with one.transaction():
            await one.execute("UPDATE home SET epoch = epoch + 1 WHERE loop = 'l' AND partition = 0")
            locking = asyncio.ensure_future(late())
            assert await _waits(locking)
            assert await _homes(one) == [(0, 2), (1, 1)]
        assert await locking == [1]  # the row that it waited for is no longer what it asked for


async def _what_is_deleted_meanwhile_is_not_found(pool: Any) -> None:
    async with pool.acquire() as one, pool.acquire() as other:
        await _opened(one, 0)
        async with one.transaction():
            await one.execute("DELETE FROM home WHERE loop = 'l'")
            changing = asyncio.ensure_future(other.execute("UPDATE home SET epoch = 9 WHERE loop = 'l'"))
            assert await _waits(changing)
        assert await changing == "UPDATE 0"


async def _what_comes_to_be_meanwhile_is_not_seen(pool: Any) -> None:
    async with pool.acquire() as one, pool.acquire() as other:
        await _opened(one, 0)
        async with one.transaction():
            await one.execute("UPDATE home SET epoch = 2 WHERE loop = 'l'")
            await _opened(one, 1)
            changing = asyncio.ensure_future(other.execute("UPDATE home SET epoch = epoch + 5 WHERE loop = 'l'"))
            assert await _waits(changing)
        assert await changing == "UPDATE 1"
        assert await _homes(one) == [(0, 7), (1, 1)]


async def _a_key_waits_for_whoever_has_it(pool: Any) -> None:
    async with pool.acquire() as one, pool.acquire() as other:

        async def while_one_has(partition: int, *, gives_up: bool) -> "asyncio.Task[None]":
            with suppress(_GiveUpError):
                async with one.transaction():
                    await _opened(one, partition)
                    second = asyncio.ensure_future(_opened(other, partition))
                    assert await _waits(second)
                    if gives_up:
                        raise _GiveUpError
            return second

        await (await while_one_has(0, gives_up=True))  # the first one is rolled back: the key is free
        second = await while_one_has(1, gives_up=False)
        with pytest.raises(asyncpg.UniqueViolationError):
            await second
        assert await _homes(one) == [(0, 1), (1, 1)]


async def _an_upsert_adds_to_what_it_waited_for(pool: Any) -> None:
    upsert = (
        "INSERT INTO home (loop, partition, epoch) SELECT 'l', unnest($1::int[]), 1 "
        "ON CONFLICT (loop, partition) DO UPDATE SET epoch = home.epoch + excluded.epoch"
    )
    async with pool.acquire() as one, pool.acquire() as other:
        async with one.transaction():
            await one.execute(upsert, [0])
            second = asyncio.ensure_future(other.execute(upsert, [0]))
            assert await _waits(second)
        await second
        assert await _homes(one) == [(0, 2)]
        with pytest.raises(asyncpg.CardinalityViolationError):
            await one.execute(upsert, [0, 0])


async def _an_error_ends_the_transaction(pool: Any) -> None:
    async with pool.acquire() as db:
        await _opened(db, 0)
        after: list[Any] = []

        async def fail() -> None:
            async with db.transaction():
                await db.execute("UPDATE home SET epoch = 5 WHERE loop = 'l'")
                after.extend(await asyncio.gather(_opened(db, 0), return_exceptions=True))
                after.extend(await asyncio.gather(_homes(db), return_exceptions=True))
                raise _GiveUpError

        with pytest.raises(_GiveUpError):
            await fail()
        assert [error.sqlstate for error in after] == ["23505", "25P02"]
        assert await _homes(db) == [(0, 1)]


_PRODUCT = (
    "INSERT INTO product (shop, sku, version, title, description, collection, brand, price_minor, currency, link, "
    "image_link, offered, loaded, reserved) VALUES ('s', $1, 1, $2, '', '', '', $3, 'EUR', '', '', true, $4, $5)"
)


async def _checks_hold(pool: Any) -> None:
    async with pool.acquire() as db:
        await db.execute(_PRODUCT, "a", "A", 100, 2, 2)
        for refused in (("b", "B", -1, 2, 0), ("c", "C", 1, 2, 3), ("d", "D", 1, None, -1)):
            with pytest.raises(asyncpg.CheckViolationError):
                await db.execute(_PRODUCT, *refused)
        with pytest.raises(asyncpg.CheckViolationError):
            await db.execute("UPDATE product SET sold = sold + 1 WHERE sku = 'a'")
        with pytest.raises(asyncpg.NotNullViolationError):
            await db.execute(_PRODUCT, "e", None, 1, 1, 0)
        await db.execute(_PRODUCT, "f", "F", 1, None, 7)  # nothing is known of how many: no check fails
        rows = await db.fetch("SELECT sku, sold, sold_out FROM product ORDER BY sku")
        assert [tuple(row) for row in rows] == [("a", 0, True), ("f", 0, False)]


async def _each_statement_sees_what_is_committed_by_then(pool: Any) -> None:
    async with pool.acquire() as one, pool.acquire() as other, one.transaction():
        assert await _homes(one) == []
        async with other.transaction():
            await _opened(other, 0)
            assert await _homes(one) == []
        assert await _homes(one) == [(0, 1)]


async def _restored_homes_replay_until_they_are_done(pool: Any) -> None:
    async with pool.acquire() as db:
        assert not await homes.is_replaying(db, "l")
        await db.execute("INSERT INTO home (loop, partition, replays) VALUES ('l', 0, true), ('m', 0, true)")
        assert await homes.is_replaying(db, "l")
        await homes.replayed(db, "l", [0])
        assert [await homes.is_replaying(db, loop) for loop in ("l", "m")] == [False, True]


async def _a_lock_can_be_passed_by(pool: Any) -> None:
    async with pool.acquire() as one, pool.acquire() as other:
        await _opened(one, 0, 1)
        async with one.transaction():
            await one.fetch("SELECT 1 FROM home WHERE loop = 'l' AND partition = 0 FOR UPDATE")
            rows = await other.fetch("SELECT partition FROM home WHERE loop = 'l' FOR UPDATE SKIP LOCKED")
            assert [row["partition"] for row in rows] == [1]


async def _who_is_idle_in_a_transaction_is_ended(pool: Any) -> None:
    async with pool.acquire() as one, pool.acquire() as other:
        await _opened(one, 0)

        async def idle() -> None:
            async with one.transaction():
                await one.execute("UPDATE home SET epoch = 7 WHERE loop = 'l'")
                second = asyncio.ensure_future(other.execute("UPDATE home SET epoch = epoch + 1 WHERE loop = 'l'"))
                assert not (await asyncio.wait({second}, timeout=4))[0]
                assert await second == "UPDATE 1"
                await one.execute("SELECT 1 FROM home")

        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
            await idle()
        assert await _homes(other) == [(0, 2)]


@pytest.mark.parametrize(
    "story",
    [
        _a_lock_waits_and_looks_again,
        _what_is_deleted_meanwhile_is_not_found,
        _what_comes_to_be_meanwhile_is_not_seen,
        _a_key_waits_for_whoever_has_it,
        _an_upsert_adds_to_what_it_waited_for,
        _an_error_ends_the_transaction,
        _checks_hold,
        _each_statement_sees_what_is_committed_by_then,
        _restored_homes_replay_until_they_are_done,
        _a_lock_can_be_passed_by,
        _who_is_idle_in_a_transaction_is_ended,
    ],
    ids=lambda story: story.__name__.strip("_"),
)
async def test_on_both(story: Story, store: Tell):
    await store(story)
