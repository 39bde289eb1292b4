"""One database to a file and back. A copy is of one moment, and it goes in whole or not at all."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from panier_cli.backups import manifest
from panier_cli.backups.programs import place, program
from panier_cli.errors import Refused
from panier_cli.stack.services import Service

_CHUNK = 256 * 1024

# What the schema holds of ours goes, what extensions brought stays; then whatever is made is the owner's.
_EMPTY = """
SET lock_timeout = '10s';
SET client_min_messages = warning;
DO $$
DECLARE
    statement text;
BEGIN
    -- All are named before the first goes: what goes takes others along.
    FOREACH statement IN ARRAY (SELECT coalesce(array_agg(every.statement), '{}') FROM (
        SELECT format('DROP %s IF EXISTS %s CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN
            'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass) AS statement
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype IN ('e', 'i'))
        UNION ALL
        SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
        UNION ALL
        SELECT format('DROP TEXT SEARCH CONFIGURATION IF EXISTS %s CASCADE', oid::regconfig)
        FROM pg_ts_config WHERE cfgnamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_ts_config.oid AND deptype = 'e')
        UNION ALL
        SELECT format('DROP TEXT SEARCH DICTIONARY IF EXISTS %s CASCADE', oid::regdictionary)
        FROM pg_ts_dict WHERE dictnamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_ts_dict.oid AND deptype = 'e')
        UNION ALL
        SELECT format('DROP %s IF EXISTS %s CASCADE', CASE typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, oid::regtype)
        FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd', 'r')
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_type.oid AND deptype = 'e')
    ) AS every)
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;
SELECT set_config('role', pg_get_userbyid(datdba), false) FROM pg_database
    WHERE datname = current_database() AND pg_has_role(datdba, 'MEMBER');
"""


async def copy(service: Service, url: str, folder: Path) -> dict[str, Any]:
    """Write one database into the folder; its entry of the manifest, as of the same moment."""
    import asyncpg
    from panier_common.postgres import applied

    started = time.monotonic()
    file = folder / f"{service.name}.dump"
    db = await asyncpg.connect(url, timeout=10)
    try:
        async with db.transaction(isolation="repeatable_read", readonly=True):
            snapshot = await db.fetchval("SELECT pg_export_snapshot()")
            entry: dict[str, Any] = {
                "file": file.name,
                "taken_at": (await db.fetchval("SELECT now()")).isoformat(),
                "server_version": db.get_server_version().major,
                "migrations": sorted(await applied(db)),
                "homes": [dict(row) for row in await db.fetch("SELECT loop, partition, epoch, seq FROM home")],
                "positions": [
                    dict(row) for row in await db.fetch("SELECT loop, topic, partition, next_offset FROM position")
                ],
            }
            bare, env = place(url)
            await _run(
                [
                    program("pg_dump", entry["server_version"], url),
                    *("--format=custom", "--schema=public", "--no-owner", "--no-privileges"),
                    *(f"--snapshot={snapshot}", f"--file={file}", f"--dbname={bare}"),
                ],
                env,
                f"{service.name} could not be copied",
            )
    finally:
        await db.close()
    os.chmod(file, 0o600)
    return entry | {
        "bytes": file.stat().st_size,
        "sha256": await asyncio.to_thread(manifest.digest, file),
        "seconds": round(time.monotonic() - started, 3),
    }


async def bring_back(service: Service, url: str, file: Path, version: int) -> None:
    """Make the database what the file holds, in one transaction: after an error it is what it was."""
    bare, env = place(url)
    pipe = asyncio.subprocess.PIPE
    script = await asyncio.create_subprocess_exec(
        program("pg_restore", version, url),
        *("--file=-", "--schema=public", "--no-owner", "--no-privileges", str(file)),
        stdout=pipe,
        stderr=pipe,
    )
    put_in = await asyncio.create_subprocess_exec(
        program("psql", version, url),
        *("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={bare}", "--output=/dev/null", "--file=-"),
        stdin=pipe,
        stderr=pipe,
        env=env,
    )
    told_script, told, _ = await asyncio.gather(_all(script.stderr), _all(put_in.stderr), _pour(script, put_in))
    if await script.wait() or await put_in.wait():
        why = _why(told) or _why(told_script)
        raise Refused("not_restored", f"{service.name} could not be restored: {why}", "it is what it was before")


async def _pour(script: asyncio.subprocess.Process, put_in: asyncio.subprocess.Process) -> None:
    """Only a script that came to its end is committed."""
    assert script.stdout is not None
    assert put_in.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # what is wrong with it, it says itself
        put_in.stdin.write(f"BEGIN;\n{_EMPTY}".encode())
        while chunk := await script.stdout.read(_CHUNK):
            put_in.stdin.write(chunk)
            await put_in.stdin.drain()
        if await script.wait() == 0:
            put_in.stdin.write(b"COMMIT;\n")
            await put_in.stdin.drain()
    while await script.stdout.read(_CHUNK):  # nobody takes the rest, and its writer must come to its end
        pass
    put_in.stdin.close()


async def _all(stream: asyncio.StreamReader | None) -> bytes:
    return await stream.read() if stream is not None else b""


async def _run(command: list[str], env: dict[str, str], what: str) -> None:
    done = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.PIPE)
    _, told = await done.communicate()
    if done.returncode:
        raise Refused("no_copy", f"{what}: {_why(told)}", "is the URL that of the database's owner?")


def _why(told: bytes) -> str:
    lines = [line for line in told.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "FATAL" in line or "error:" in line]
    return (errors or lines or [""])[-1]
