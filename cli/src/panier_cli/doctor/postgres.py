"""The services' databases: reachable, new enough, safe against a crash, with this version's schema and room left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import asyncpg
from panier_common import postgres

from panier_cli.doctor.findings import Finding, fail, ok, skipped, warn
from panier_cli.errors import Refused
from panier_cli.stack.environment import given, has
from panier_cli.stack.services import SERVICES

_SECONDS = 5.0
OLDEST = 150000
"""As `server_version_num`: the oldest that its makers still mend."""
A_PROCESS = 4
"""Connections of one process at most."""
_SAFE = {"fsync": "on", "full_page_writes": "on"}
CLOCK_WARNS, CLOCK_FAILS = 1.0, 30.0

_ASKED = """
SELECT current_setting('server_version_num')::int AS version, clock_timestamp() AS now,
    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit, pg_is_in_recovery() AS standby,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
    (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role_most,
    (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user) AS role_used
"""


async def look(env: Mapping[str, str]) -> list[Finding]:
    """Every database that a PANIER_<SERVICE>_DATABASE_URL names."""
    found: list[Finding] = []
    for service in SERVICES:
        setting = service.setting("DATABASE_URL")
        if not service.database:
            continue
        if not has(env, setting):
            found.append(skipped(f"postgres.{service.name}", f"{setting} is not given here"))
            continue
        try:
            found += await _database(service.name, given(env, setting))
        except Refused as error:
            found.append(fail(f"postgres.{service.name}", str(error), error.hint))
        except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            what = f"the database does not answer, or refuses us ({type(error).__name__})"
            do = f"does it run, is {setting} right, does the network policy let you?"
            found.append(fail(f"postgres.{service.name}", what, do))
    return found


async def _database(service: str, url: str) -> list[Finding]:
    connection = await asyncpg.connect(url, timeout=_SECONDS)
    try:
        row = dict(await connection.fetchrow(_ASKED) or {})
        here = datetime.now(UTC)
        done = await postgres.applied(connection)
    finally:
        await connection.close()
    return [*judge(service, row, here), *schema(service, done)]


def judge(service: str, row: Mapping[str, Any], here: datetime) -> Iterator[Finding]:
    """What the server said of itself, at this moment of our clock."""
    check = f"postgres.{service}"
    version = f"{row['version'] // 10000}.{row['version'] % 10000}"
    if row["standby"]:
        yield fail(
            check, "this is a standby: nothing can be written", "name the primary (on Kubernetes the `-rw` Service)"
        )
    if row["version"] < OLDEST:
        yield fail(check, f"PostgreSQL {version} is too old", f"{OLDEST // 10000} or newer is needed")
    else:
        yield ok(check, f"PostgreSQL {version} answers")
    unsafe = [f"{name} is {row[name]}" for name, value in _SAFE.items() if row[name] != value]
    if row["synchronous_commit"] == "off":
        unsafe.append("synchronous_commit is off")
    if unsafe:
        yield fail(f"{check}.durability", "; ".join(unsafe), "switch it on: a crash loses what customers were told")
    else:
        yield ok(f"{check}.durability", "what is committed is on the disk")
    left = row["most"] - row["used"]
    if row["role_most"] is not None and row["role_most"] >= 0:
        left = min(left, row["role_most"] - row["role_used"])
    says = f"{left} of {row['most']} connections are left; a process takes up to {A_PROCESS}"
    if left < A_PROCESS:
        yield fail(f"{check}.connections", says, "raise max_connections or the role's limit, or end what holds them")
    elif left < 2 * A_PROCESS:
        yield warn(f"{check}.connections", says, "a rolling update needs room for one process more")
    else:
        yield ok(f"{check}.connections", says)
    yield clock(f"clock.postgres.{service}", (row["now"] - here).total_seconds(), "the database's clock")


def clock(check: str, ahead: float, whose: str, exact: float = 0.0) -> Finding:
    """`exact` seconds of the difference may come from how it was measured."""
    off = max(abs(ahead) - exact, 0.0)
    says = f"{whose} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} ours"
    do = "let a time service (chrony, systemd-timesyncd) keep the clocks of all machines"
    if off > CLOCK_FAILS:
        return fail(check, says, do)
    return warn(check, says, do) if off > CLOCK_WARNS else ok(check, f"{whose} and ours agree")


def schema(service: str, done: set[str]) -> Iterator[Finding]:
    check = f"schema.{service}"
    try:
        known = [name for name, _ in postgres.migrations(f"panier_{service}")]
    except ModuleNotFoundError:
        yield skipped(check, f"the package panier-{service} is not here: its migrations are not known")
        return
    missing = [name for name in known if name not in done]
    newer = sorted(done - set(known))
    if missing:
        yield fail(check, f"the database lacks {', '.join(missing)}", f"panier migrate --service {service}")
    if newer:
        what = f"the database has {', '.join(newer)}, which this version does not know"
        yield warn(check, what, "it was migrated by a newer version: use that one's command")
    if not missing and not newer:
        yield ok(check, f"all {len(known)} migrations are applied")
