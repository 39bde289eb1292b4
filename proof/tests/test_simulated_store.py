"""The simulated PostgreSQL does what the real one does: every statement that a history ran, on both, side by side."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from panier_common.postgres import create_pool
from panier_proof.simulated.run import World, history, run
from panier_proof.simulated.scheduler import SimulatedLoop
from panier_proof.simulated.schema import tables_of
from panier_proof.simulated.store import SPECIAL, Pool, Server
from panier_proof.simulated.tables import Transaction

Database = Callable[[str], Awaitable[str]]
# When something is due, or how long ago it was, is the clock's, not the statement's.
_TIMED = ("<= clock_timestamp()", "<= statement_timestamp()", "extract(", "> now()", "< now()")
_SEARCHED = ("search", "names")


@pytest.mark.parametrize("service", ["cart", "checkout", "catalog", "sender"])
async def test_every_statement_of_a_history_has_the_same_answer_on_both(service: str, database: Database):
    told = await asyncio.to_thread(_statements, service)
    server = Server(SimulatedLoop(Random(1)), tables_of(f"panier_{service}", _now), _now)
    connection = await asyncpg.connect(await database(f"panier_{service}"))
    try:
        for text, arguments in told:
            if _is_special(text):
                continue
            real, simulated = await _real(connection, text, arguments), _simulated(server, text, arguments)
            if not any(word in text for word in _TIMED):
                assert _compared(simulated, text) == _compared(real, text), (text, arguments)
        for name, table in server.tables.items():
            if not name.startswith("dead_letter"):
                columns = ", ".join(f'"{column}"' for column in table.columns if column not in _SEARCHED)
                real = await connection.fetch(f'SELECT {columns} FROM "{name}"')
                kept = [[row[c] for c in table.columns if c not in _SEARCHED] for row in server.rows(name)]
                assert _compared(kept, "") == _compared(real, ""), name
    finally:
        await connection.close()
    assert len({text for text, _ in told}) >= 12


def _statements(service: str) -> list[tuple[str, Any]]:
    told: list[tuple[str, Any]] = []

    def look(world: World) -> None:
        world.engines.servers[service].told = told

    run(history(4, 10, 4, 6.0), look)
    return told


def _is_special(text: str) -> bool:
    return any(text.strip().startswith(word) for word in SPECIAL)


async def _real(connection: asyncpg.Connection, text: str, arguments: Any) -> Any:
    try:
        return await connection.fetch(text, *arguments)
    except asyncpg.PostgresError as error:
        return error.sqlstate


def _simulated(server: Server, text: str, arguments: Any) -> Any:
    transaction = Transaction(_now())
    try:
        answer = server.compiled(text)(transaction, arguments)[1]
    except asyncpg.PostgresError as error:
        transaction.end(commit=False)
        return error.sqlstate
    transaction.end(commit=True)
    return answer


def _compared(rows: Any, text: str) -> Any:
    if isinstance(rows, str):
        return rows
    plain = [[_plain(value) for value in row] for row in rows]
    return plain if _is_ordered(text) else sorted(plain, key=_as_text)


def _as_text(row: Any) -> str:
    return json.dumps(row, sort_keys=True, default=repr)


def _is_ordered(text: str) -> bool:
    """Whether the statement itself asks for an order, not a part of it in parentheses."""
    before, found, _ = text.rpartition("ORDER BY")
    return bool(found) and before.count("(") == before.count(")")


def _plain(value: Any) -> Any:
    """Times that the clock told are alike; documents are what they say, not how it is written."""
    if isinstance(value, datetime):
        return "the clock's" if abs(value - _now()) < timedelta(days=1) else value
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    if hasattr(value, "hex") and hasattr(value, "int"):
        return str(value)
    return value


def _now() -> datetime:
    return datetime.now(UTC)


Acquire = Callable[[], Any]


async def _two_at_once(pool: Any) -> list[Any]:
    """What two transactions do to each other's rows."""
    seen: list[Any] = []
    locked, done = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with pool.acquire() as db:
            await db.execute("INSERT INTO order_serial (shop, next) VALUES ('a', 1)")
            async with db.transaction():
                await db.execute("UPDATE order_serial SET next = next + 1 WHERE shop = $1", "a")
                await db.execute("INSERT INTO order_serial (shop, next) VALUES ('b', 5)")
                locked.set()
                await asyncio.sleep(0.3)
                seen.append("first is through")

    async def second() -> None:
        async with pool.acquire() as db:
            await locked.wait()
            seen.append(await db.fetchval("SELECT next FROM order_serial WHERE shop = $1", "a"))
            seen.append(await db.fetchval("SELECT count(*) FROM order_serial"))
            async with db.transaction():
                await db.execute("UPDATE order_serial SET next = next + 10 WHERE shop = $1", "a")
                seen.append(await db.fetchval("SELECT next FROM order_serial WHERE shop = $1", "a"))
            done.set()

    await asyncio.gather(first(), second())
    try:
        async with pool.acquire() as db, db.transaction():
            await db.execute("UPDATE order_serial SET next = 99 WHERE shop = $1", "a")
            await db.execute("INSERT INTO order_serial (shop, next) VALUES ('b', 1)")
    except asyncpg.PostgresError as error:
        seen.append(error.sqlstate)
    async with pool.acquire() as db:
        rows = await db.fetch("SELECT shop, next FROM order_serial ORDER BY shop")
    seen.append([tuple(row) for row in rows])
    seen.append(sorted(await asyncio.gather(_crossing(pool, "a", "b"), _crossing(pool, "b", "a"))))
    return seen


async def _crossing(pool: Any, one: str, other: str) -> str:
    """Locks in an order of its own: of two, one is broken off."""
    try:
        async with pool.acquire() as db, db.transaction():
            await db.fetch("SELECT 1 FROM order_serial WHERE shop = $1 FOR UPDATE", one)
            await asyncio.sleep(0.2)
            await db.fetch("SELECT 1 FROM order_serial WHERE shop = $1 FOR UPDATE", other)
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    return "through"


async def test_two_transactions_do_the_same_to_each_other_on_both(database: Database):
    pool = await create_pool(await database("panier_checkout"))
    try:
        real = await _two_at_once(pool)
    finally:
        pool.terminate()

    simulated = await asyncio.to_thread(_on_the_simulated)

    expected = [1, 1, "first is through", 12, "23505", [("a", 12), ("b", 5)], ["40P01", "through"]]
    assert real == expected
    assert simulated == expected


def _on_the_simulated() -> list[Any]:
    loop = SimulatedLoop(Random(2))
    server = Server(loop, tables_of("panier_checkout", _now), _now)
    try:
        return loop.run_until_complete(_two_at_once(Pool(server)))
    finally:
        loop.close()
