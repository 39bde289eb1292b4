"""What a service's role may do in the databases that the local stack and docker-compose.yml make: its rows, no more.

CloudNativePG's clusters have the same two roles; `panier migrate` gives the same rights everywhere.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest
from known_settings import ROOT, WITH_DATABASE
from panier_cli.engines.postgres import binaries
from panier_cli.stack.databases import make_databases, on, url_of
from panier_cli.stack.services import SERVICES
from panier_common.postgres import RoleMissingError, create_pool, migrate, missing_migrations

PASSWORD = "0123456789abcdef"
DENIED = asyncpg.InsufficientPrivilegeError


def _by_the_script(server: str) -> None:
    at = urlsplit(server)
    done = subprocess.run(
        [ROOT / "deploy" / "compose" / "create-databases.sh"],
        env={
            "PATH": f"{binaries()}:{os.environ['PATH']}",
            "PGHOST": str(at.hostname),
            "PGPORT": str(at.port),
            "PGPASSWORD": str(at.password),
            "POSTGRES_USER": str(at.username),
            **{f"PANIER_{service.upper()}_DATABASE_PASSWORD": PASSWORD for service in WITH_DATABASE},
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _by_the_local_stack(server: str) -> None:
    services = [service for service in SERVICES if service.database]
    asyncio.run(make_databases(server, services, dict.fromkeys(WITH_DATABASE, PASSWORD)))


async def _forget(server: str) -> None:
    admin = await asyncpg.connect(server)
    try:
        for service in WITH_DATABASE:
            await admin.execute(f"DROP DATABASE IF EXISTS panier_{service} WITH (FORCE)")
            await admin.execute(f"DROP ROLE IF EXISTS panier_{service}, panier_{service}_owner")
    finally:
        await admin.close()


def _by_hand(server: str, service: str) -> subprocess.CompletedProcess[str]:
    name = f"PANIER_{service.upper()}_DATABASE_URL"
    return subprocess.run(
        [sys.executable, "-m", "panier_cli", "migrate", "--service", service],
        env={"PATH": os.environ["PATH"], name: on(server, f"panier_{service}")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module", params=[_by_the_script, _by_the_local_stack])
def server(request: pytest.FixtureRequest, postgres: str) -> Iterator[str]:
    try:
        request.param(postgres)
        for service in WITH_DATABASE:
            done = _by_hand(postgres, service)
            assert done.returncode == 0, done.stderr
        yield postgres
    finally:
        asyncio.run(_forget(postgres))


@pytest.fixture(params=WITH_DATABASE)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def own(server: str, service: str) -> str:
    return url_of(server, f"panier_{service}", PASSWORD)


async def _tables(db: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    rows = await db.fetch("SELECT format('%I', tablename) AS name FROM pg_tables WHERE schemaname = 'public'")
    return [row["name"] for row in rows]


async def test_a_database_of_one_role_is_taken_over_by_its_owner(postgres: str) -> None:
    """Data folders of an earlier version: the service's role owned all, and now owns nothing.

    Comes first, since roles are the whole server's.
    """
    admin = await asyncpg.connect(postgres)
    try:
        await admin.execute(f"CREATE ROLE panier_cart LOGIN PASSWORD '{PASSWORD}'")
        await admin.execute("CREATE DATABASE panier_cart OWNER panier_cart")
        await migrate(own(postgres, "cart"), "panier_cart")
        [cart] = [service for service in SERVICES if service.name == "cart"]
        for _ in range(2):
            await make_databases(postgres, [cart], {"cart": PASSWORD})
            await migrate(on(postgres, "panier_cart"), "panier_cart")
        db = await asyncpg.connect(own(postgres, "cart"))
        try:
            owners = await db.fetch("SELECT DISTINCT tableowner AS name FROM pg_tables WHERE schemaname = 'public'")
            assert [row["name"] for row in owners] == ["panier_cart_owner"]
            await db.execute("DELETE FROM outbox")
            with pytest.raises(DENIED):
                await db.execute("DROP TABLE outbox")
        finally:
            await db.close()
    finally:
        await admin.close()
        await _forget(postgres)


async def test_a_service_reads_and_writes_the_rows_of_its_tables(server: str, service: str) -> None:
    db = await asyncpg.connect(own(server, service))
    try:
        tables = set(await _tables(db)) - {"migration"}
        assert len(tables) > 5
        for table in tables:
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                assert await db.fetchval("SELECT has_table_privilege($1, $2)", table, right), (table, right)
            assert not await db.fetchval("SELECT has_table_privilege($1, 'TRUNCATE')", table)
            await db.execute(f"DELETE FROM {table}")
        pool = await create_pool(own(server, service))
        assert await missing_migrations(pool, f"panier_{service}") is None
        await pool.close()
    finally:
        await db.close()


async def test_a_service_changes_no_table_and_makes_none(server: str, service: str) -> None:
    db = await asyncpg.connect(own(server, service))
    try:
        [table, *_] = await _tables(db)
        for statement in (
            "CREATE TABLE mine (n integer)",
            "CREATE TEMPORARY TABLE mine (n integer)",
            "CREATE SCHEMA mine",
            "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            f"DROP TABLE {table}",
            f"ALTER TABLE {table} ADD COLUMN mine integer",
            f"TRUNCATE {table}",
            "INSERT INTO migration (name) VALUES ('mine')",
            f"DROP DATABASE panier_{service}",
            "CREATE DATABASE mine",
            "CREATE ROLE mine",
            f"SET ROLE panier_{service}_owner",
            "COPY migration TO '/tmp/mine'",
            "COPY migration TO PROGRAM 'cat'",
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT rolpassword FROM pg_authid",
        ):
            with pytest.raises((DENIED, asyncpg.DependentObjectsStillExistError)) as raised:
                await db.execute(statement)
            assert isinstance(raised.value, DENIED), statement
    finally:
        await db.close()


async def test_a_service_enters_no_database_but_its_own(server: str, service: str) -> None:
    parts = urlsplit(own(server, service))
    for other in set(WITH_DATABASE) - {service}:
        with pytest.raises(DENIED):
            await asyncpg.connect(parts._replace(path=f"/panier_{other}").geturl())


async def test_nobody_logs_in_as_an_owner(server: str, service: str) -> None:
    admin = await asyncpg.connect(server)
    role = f"panier_{service}_owner"
    try:
        await admin.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")  # not even with one
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="not permitted to log in"):
            await asyncpg.connect(on(url_of(server, role, PASSWORD), f"panier_{service}"))
    finally:
        await admin.close()


async def test_a_migration_run_by_the_service_changes_nothing(server: str) -> None:
    with pytest.raises(DENIED):
        await migrate(own(server, "cart"), "panier_cart")
    done = await asyncio.to_thread(_by_hand, own(server, "cart"), "cart")
    assert done.returncode == 1
    assert "run `panier migrate` as the owner" in done.stderr
    assert "Traceback" not in done.stderr


async def test_an_owner_without_a_service_is_told(server: str) -> None:
    """The roles of an operator may come later than its database: the job is to fail, and be tried again."""
    admin = await asyncpg.connect(server)
    try:
        await admin.execute("ALTER ROLE panier_cart RENAME TO panier_away")
        with pytest.raises(RoleMissingError, match="no role panier_cart"):
            await migrate(on(server, "panier_cart"), "panier_cart")
        done = await asyncio.to_thread(_by_hand, server, "cart")
        assert done.returncode == 1
        assert "there is no role panier_cart" in done.stderr
    finally:
        await admin.execute("ALTER ROLE panier_away RENAME TO panier_cart")
        await admin.execute(f"ALTER ROLE panier_cart PASSWORD '{PASSWORD}'")
        await admin.close()
