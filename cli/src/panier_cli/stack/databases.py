"""A database for each service, and the two roles of it, made by the server's superuser.

`panier_<service>_owner` owns the tables and cannot log in: `panier migrate` takes its place. `panier_<service>` is
who the service is, and has the rights that `migrate` gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

from panier_cli.errors import Refused
from panier_cli.stack.services import Service

if TYPE_CHECKING:
    import asyncpg

# The catalogue's search uses them; only a superuser may be sure to have the right to create them.
EXTENSIONS = {"catalog": ("pg_trgm", "unaccent")}


def url_of(server: str, role: str, password: str) -> str:
    """The URL of a role's database, which has the role's name, on a server."""
    parts = urlsplit(server)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password)}@{host}", path=f"/{role}"))


def on(server: str, database: str) -> str:
    """The URL of a server's database for the server's superuser."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{database}"))


async def make_databases(server: str, services: Iterable[Service], passwords: Mapping[str, str]) -> dict[str, str]:
    """Make what is missing, on a server on which databases may be created; the URLs by service. Raises Refused."""
    import asyncpg
    from panier_common.postgres import AWAY

    try:
        return await _make(server, services, passwords)
    except asyncpg.InsufficientPrivilegeError as error:
        may = "the role of PANIER_POSTGRES_URL must be allowed to create databases and roles, or be a superuser"
        raise Refused("no_right", f"the databases cannot be made: {error}", may) from error
    except AWAY as error:
        hint = "is PANIER_POSTGRES_URL that of a server on which databases may be created?"
        raise Refused("no_database", f"the databases cannot be made: {_why(error)}", hint) from error


async def bring_up_to_date(service: str, url: str) -> list[str]:
    """Apply the migrations that a service's database lacks; the names of what was applied. Raises Refused."""
    from panier_common import postgres

    try:
        return await postgres.migrate(url, f"panier_{service}")
    except postgres.RoleMissingError as error:
        raise Refused("no_role", f"{service}: {error}") from error
    except postgres.AWAY as error:
        hint = "do it again when that is mended: a migration is applied whole or not at all"
        raise Refused("no_database", f"{service}: {_why(error)}", hint) from error


def _why(error: BaseException) -> str:
    """Why the database cannot be used, or what it says is wrong with a statement."""
    from panier_common.postgres import is_about_the_url, why_away

    return why_away(error) if is_about_the_url(error) else f"the database says: {error}"


async def _make(server: str, services: Iterable[Service], passwords: Mapping[str, str]) -> dict[str, str]:
    import asyncpg

    urls = {}
    admin = await asyncpg.connect(server)
    try:
        for service in services:
            role = service.module
            owner = f"{role}_owner"
            await _make_role(admin, owner, "NOLOGIN")
            # Names come from our table and passwords are hexadecimal: no quoting.
            await _make_role(admin, role, f"LOGIN PASSWORD '{passwords[service.name]}'")
            if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", role):
                await admin.execute(f"CREATE DATABASE {role} OWNER {owner}")
            await admin.execute(f"ALTER DATABASE {role} OWNER TO {owner}")
            await admin.execute(f"REVOKE ALL ON DATABASE {role} FROM PUBLIC")
            await _make_extensions(server, role, EXTENSIONS.get(service.name, ()))
            await _give_to_owner(server, role, owner)
            urls[service.name] = url_of(server, role, passwords[service.name])
    finally:
        await admin.close()
    return urls


async def _make_role(admin: asyncpg.Connection, role: str, options: str) -> None:
    known = await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    await admin.execute(f"{'ALTER' if known else 'CREATE'} ROLE {role} {options}")
    # Who is not a superuser may give a database only to a role that he is a member of.
    await admin.execute(f"GRANT {role} TO CURRENT_USER")


async def _give_to_owner(server: str, role: str, owner: str) -> None:
    """What the service's role owned: all of it, in a data folder that is older than the owner's role."""
    import asyncpg

    connection = await asyncpg.connect(on(server, role))
    try:
        await connection.execute(f"REASSIGN OWNED BY {role} TO {owner}")
    finally:
        await connection.close()


async def _make_extensions(server: str, database: str, names: tuple[str, ...]) -> None:
    import asyncpg

    if not names:
        return
    connection = await asyncpg.connect(on(server, database))
    try:
        for name in names:
            await connection.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
    finally:
        await connection.close()
