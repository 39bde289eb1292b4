"""Connections to PostgreSQL, migrations with the rights of the service's role, and which errors one record can cause.

Schemas change by `migrate` alone, never at a service's start, and by the database's owner: a service's own role may
read and write the rows of its tables and nothing else.
"""

import socket
import ssl
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, TypeAlias

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


# By whom and how tables are changed, on the connection of a migration: as the database's owner, where that is another
# role that this one may be (a superuser may), so that all tables are the owner's.
_BE_THE_OWNER = """
    SELECT set_config('role', pg_get_userbyid(datdba), false) FROM pg_database
    WHERE datname = current_database() AND pg_has_role(datdba, 'MEMBER')
"""
# What the service's role may do. PUBLIC may nothing; MAINTAIN (ANALYZE) is known from PostgreSQL 17 on.
_GRANT = """
DO $$
DECLARE
    service text := current_setting('panier.service');
    rights text := 'SELECT, INSERT, UPDATE, DELETE';
BEGIN
    IF current_setting('server_version_num')::integer >= 170000 THEN
        rights := rights || ', MAINTAIN';
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), service);
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', service);
    EXECUTE format('GRANT %s ON ALL TABLES IN SCHEMA public TO %I', rights, service);
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %I', service);
    EXECUTE format('REVOKE ALL ON migration FROM %I', service);
    EXECUTE format('GRANT SELECT ON migration TO %I', service);
    IF to_regnamespace('monitoring') IS NOT NULL THEN
        EXECUTE format('GRANT USAGE ON SCHEMA monitoring TO %I', service);
    END IF;
END $$
"""


class RoleMissingError(RuntimeError):
    """The database's owner is `<service>_owner`, and there is no role for the service itself."""


class UnusableUrlError(asyncpg.InterfaceError):
    """The database's URL is none that can be taken apart. Says nothing of it, for what breaks one is its password."""

    def __init__(self) -> None:
        super().__init__(
            "the database's URL cannot be read: percent-encode the password in it (/ is %2F, ? %3F, # %23, @ %40)"
        )


def is_caused_by_a_record(error: BaseException) -> bool:
    """Whether doing the batch again in halves can find the record that is to blame."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] in _CAUSED_BY_A_RECORD


def why_away(error: BaseException) -> str:
    """Why the database cannot be used, in a sentence that says what to do; never with anything of its URL."""
    match error:
        case UnusableUrlError():
            return str(error)
        case socket.gaierror():
            return "the host in the database's URL is not known: does it exist, is the URL's password percent-encoded?"
        case ssl.SSLCertVerificationError():
            reason = error.verify_message or "it cannot be verified"
            return f"the database's certificate is refused ({reason}): see sslrootcert and the host in its URL"
        case ssl.SSLError():
            return f"the database and TLS do not agree ({error.reason}): see sslmode, sslcert and sslkey in its URL"
        case asyncpg.ClientConfigurationError() | FileNotFoundError() | PermissionError():
            return "the database's URL names a file that cannot be read, or an option that is not known"
        case ConnectionError() if "rejected SSL" in str(error):
            return "the database speaks no TLS, which its URL asks for (sslmode)"
        case asyncpg.InvalidPasswordError():
            return "the database refuses the password in its URL"
        case asyncpg.InvalidAuthorizationSpecificationError():
            return "the database refuses the role, the certificate or the way of connecting in its URL (sslmode)"
        case asyncpg.InsufficientPrivilegeError():
            return "the database's role may not use its tables: run `panier migrate` as the owner"
    return f"the database does not answer ({type(error).__name__})"


def is_about_the_url(error: BaseException) -> bool:
    """Whether the database was not reached, let nobody in, or lets this role do less than it must."""
    refused = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError)
    return isinstance(error, (OSError, asyncpg.InterfaceError, asyncpg.CannotConnectNowError, *refused))


async def connect(dsn: str | None = None, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection of asyncpg's. Raises UnusableUrlError where that would quote a part of the URL."""
    try:
        return await asyncpg.connect(dsn, **options)
    except AWAY:  # some of these are ValueErrors as well, such as that of a certificate
        raise
    except ValueError:
        pass  # and not the cause of the other error: it has a part of the password
    raise UnusableUrlError


async def create_pool(url: str, *, size: int = 4) -> Pool:
    """A pool of at most `size` connections; starts without one, so that a database may come up later."""
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        connect=connect,
        server_settings=_SESSION,
        timeout=5,
        command_timeout=30,
        reset=_keep,
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
    """Bring the database to the package's schema, forward only; the names of what was applied now.

    Afterwards the role `<package>` may use the tables, if it is not their owner. Raises RoleMissingError where the
    owner's name says that there must be such a role, and there is none: the schema is complete then.
    """
    connection = await connect(database_url, timeout=10)
    try:
        await connection.execute(_BE_THE_OWNER)
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
        await _grant(connection, package)
        return [name for name, _ in new]
    finally:
        await connection.close()


async def _grant(connection: Connection, role: str) -> None:
    """Give the service's role its rights; also what it has had before, so that this can be run again."""
    owner = await connection.fetchval("SELECT current_user")
    if owner == role:
        return
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        if owner == f"{role}_owner":
            raise RoleMissingError(f"there is no role {role}: create it, then run `panier migrate` again")
        return
    await connection.execute("SELECT set_config('panier.service', $1, false)", role)
    await connection.execute(_GRANT)


async def missing_migrations(pool: Pool, package: str) -> str | None:
    """Why the schema is not the one this version needs, with the command to run; None when it is."""
    async with pool.acquire() as connection:
        done = await applied(connection)
    missing = [name for name, _ in migrations(package) if name not in done]
    return f"the database lacks {missing[0]}: run `panier migrate`" if missing else None
