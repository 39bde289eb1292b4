"""Connections to PostgreSQL, migrations, and which errors one record can cause.

Schemas change by `migrate` alone, never at a service's start.
"""

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

# A stopped process must not hold its locks for long (DESIGN, section 4).
_SESSION = {
    "idle_in_transaction_session_timeout": "5s",
    "tcp_user_timeout": "10s",
    "application_name": "panier",
    "jit": "off",  # statements are short and the same; compiling them costs more than it saves
}

# The database is away or going: waited out by whoever meets them. asyncpg raises the last where a connection is used
# that the server has just ended with an error.
AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, asyncpg.InternalClientError)

# data exception, integrity constraint violation, program limit exceeded
_CAUSED_BY_A_RECORD = ("22", "23", "54")


def is_caused_by_a_record(error: BaseException) -> bool:
    """Whether doing the batch again in halves can find the record that is to blame."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] in _CAUSED_BY_A_RECORD


async def create_pool(url: str, *, size: int = 4) -> Pool:
    """A pool of at most `size` connections; starts without one, so that a database may come up later."""
    return await asyncpg.create_pool(
        url, min_size=0, max_size=size, server_settings=_SESSION, timeout=5, command_timeout=30, reset=_keep
    )


async def _keep(connection: Connection) -> None:
    """Give a connection back as it is: nobody changes its session, and a reset is a round trip for every batch."""


def _files(folder: Traversable) -> Iterator[Traversable]:
    if folder.is_dir():
        yield from sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)


def migrations(package: str) -> list[tuple[str, str]]:
    """(name, SQL) of the common migrations, then the package's own, in order."""
    return [
        (f"{owner}/{file.name}", file.read_text(encoding="utf-8"))
        for owner in dict.fromkeys(("panier_common", package))
        for file in _files(resources.files(owner) / "migrations")
    ]


async def applied(connection: Connection) -> set[str]:
    """Names of the migrations this database has had."""
    if await connection.fetchval("SELECT to_regclass('migration')") is None:
        return set()
    return {row["name"] for row in await connection.fetch("SELECT name FROM migration")}


async def migrate(database_url: str, package: str) -> list[str]:
    """Bring the database to the package's schema, forward only; the names of what was applied now."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        # One at a time, and rather fail than hold up the running service.
        await connection.execute("SET lock_timeout = '4s'")
        await connection.execute("SELECT pg_advisory_lock(hashtext('panier migrate'))")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migration "
            "(name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = await applied(connection)
        new = [(name, sql) for name, sql in migrations(package) if name not in done]
        for name, sql in new:
            async with connection.transaction():
                await connection.execute(sql)
                await connection.execute("INSERT INTO migration (name) VALUES ($1)", name)
        return [name for name, _ in new]
    finally:
        await connection.close()


async def missing_migrations(pool: Pool, package: str) -> str | None:
    """Why the schema is not the one this version needs, with the command to run; None when it is."""
    async with pool.acquire() as connection:
        done = await applied(connection)
    missing = [name for name, _ in migrations(package) if name not in done]
    return f"the database lacks {missing[0]}: run `panier migrate`" if missing else None
