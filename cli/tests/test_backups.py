"""A database's copy and its way back, by PostgreSQL's own programs on a real server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from panier_cli.backups import copies, manifest
from panier_cli.backups.programs import place, program
from panier_cli.commands import restore
from panier_cli.errors import FAILED, USAGE, Refused
from panier_cli.stack.services import SERVICES
from panier_common.postgres import migrate

CATALOG = next(service for service in SERVICES if service.name == "catalog")


async def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    db = await asyncpg.connect(url)
    try:
        return [tuple(row.values()) for row in await db.fetch(query)]
    finally:
        await db.close()


@pytest.fixture
async def catalog(database: Callable[[str], Awaitable[str]]) -> str:
    url = await database("panier_catalog")
    await rows(url, "INSERT INTO home (loop, partition, epoch, seq) VALUES ('catalog.stock', 3, 4, 5)")
    await rows(url, "INSERT INTO position VALUES ('catalog.stock', 'panier.order.v1', 3, 77)")
    return url


def whole(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    manifest.write(folder, {"format": manifest.FORMAT, "services": {"catalog": entry}})
    return manifest.read(folder)


async def test_a_database_is_put_back_as_it_was(catalog: str, tmp_path: Path) -> None:
    entry = await copies.copy(CATALOG, catalog, tmp_path)
    assert entry["homes"] == [{"loop": "catalog.stock", "partition": 3, "epoch": 4, "seq": 5}]
    assert entry["positions"][0]["next_offset"] == 77
    assert (tmp_path / entry["file"]).stat().st_mode & 0o077 == 0
    whole(tmp_path, entry)
    await rows(catalog, "DELETE FROM home")
    await rows(catalog, "CREATE TABLE of_a_newer_version (id int PRIMARY KEY)")
    await rows(catalog, "DROP TABLE product CASCADE")
    await copies.bring_back(CATALOG, catalog, tmp_path / entry["file"], entry["server_version"])
    assert await rows(catalog, "SELECT seq FROM home") == [(5,)]
    assert await rows(catalog, "SELECT to_regclass('of_a_newer_version')") == [(None,)]
    assert await rows(catalog, "SELECT count(*) FROM product") == [(0,)]
    assert await migrate(catalog, "panier_catalog") == []
    await copies.bring_back(CATALOG, catalog, tmp_path / entry["file"], entry["server_version"])


async def test_a_broken_copy_is_refused_and_one_that_breaks_changes_nothing(catalog: str, tmp_path: Path) -> None:
    entry = await copies.copy(CATALOG, catalog, tmp_path)
    file = tmp_path / entry["file"]
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(Refused, match="not what was written"):
        whole(tmp_path, entry)
    await rows(catalog, "UPDATE home SET seq = 6")
    with pytest.raises(Refused) as refused:
        await copies.bring_back(CATALOG, catalog, file, entry["server_version"])
    assert refused.value.code == "not_restored"
    assert await rows(catalog, "SELECT seq FROM home") == [(6,)]


async def test_a_newer_schema_is_refused(catalog: str, tmp_path: Path) -> None:
    entry = await copies.copy(CATALOG, catalog, tmp_path)
    entry["migrations"].append("panier_catalog/9999_of_a_newer_version.sql")
    whole(tmp_path, entry)
    with pytest.raises(Refused) as refused:
        await restore._restore(tmp_path, None, None, False)
    assert refused.value.code == "newer_schema"


async def test_a_running_service_is_refused(catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = await copies.copy(CATALOG, catalog, tmp_path)
    whole(tmp_path, entry)
    monkeypatch.setenv("PANIER_CATALOG_DATABASE_URL", catalog)
    service = await asyncpg.connect(catalog, server_settings={"application_name": "panier"})
    try:
        with pytest.raises(Refused) as refused:
            await restore._restore(tmp_path, None, None, False)
    finally:
        await service.close()
    assert refused.value.code == "running"
    assert await rows(catalog, "SELECT seq FROM home") == [(5,)]


@pytest.fixture
async def copied(catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The catalog's database: its number is 6, and that of its backup in `tmp_path` is 5."""
    whole(tmp_path, await copies.copy(CATALOG, catalog, tmp_path))
    monkeypatch.setenv("PANIER_CATALOG_DATABASE_URL", catalog)
    await rows(catalog, "UPDATE home SET seq = 6")
    return catalog


@pytest.mark.parametrize(("address", "status"), [("", USAGE), ("127.0.0.1:1", FAILED)])
async def test_nothing_is_replaced_when_no_broker_could_tell_what_must_follow(
    copied: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, status: int
) -> None:
    monkeypatch.setenv("PANIER_KAFKA_BOOTSTRAP_SERVERS", address)
    with pytest.raises(Refused) as refused:
        await restore._restore(tmp_path, None, None, False)
    assert (refused.value.code, refused.value.status) == ("no_broker", status)
    assert "lifted" not in refused.value.hint
    assert await rows(copied, "SELECT seq FROM home") == [(6,)]


async def test_a_broker_that_goes_away_leaves_databases_that_no_service_may_start_on(
    copied: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def there(_: object) -> str:
        return "127.0.0.1:1"

    monkeypatch.setattr(restore, "_broker_that_answers", there, raising=False)
    monkeypatch.setenv("PANIER_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    with pytest.raises(Refused, match="the broker does not answer") as refused:
        await restore._restore(tmp_path, None, None, False)
    assert refused.value.status == FAILED
    assert "start no service before `panier restore --lift-only --service catalog`" in refused.value.hint
    assert await rows(copied, "SELECT seq FROM home") == [(5,)]


def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no backup"):
        manifest.read(tmp_path)
    (tmp_path / manifest.FILE).write_text(json.dumps({"format": manifest.FORMAT + 1}))
    with pytest.raises(Refused, match="another version"):
        manifest.read(tmp_path)


def test_a_password_is_on_no_command_line() -> None:
    bare, env = place("postgresql://ada:p%40ss@db:5432/panier_cart?sslmode=require", {"HOME": "/"})
    assert bare == "postgresql://ada@db:5432/panier_cart?sslmode=require"
    assert env == {"HOME": "/", "PGPASSWORD": "p@ss"}


def test_programs_older_than_the_server_are_not_used() -> None:
    with pytest.raises(Refused, match="PostgreSQL 99"):
        program("pg_dump", 99, "postgresql://h/d")
    assert asyncio.run(copies_version()) >= 18


async def copies_version() -> int:
    process = await asyncio.create_subprocess_exec(
        program("pg_dump", 1, "postgresql://h/d"), "--version", stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    return int(told.split()[-1].split(b".")[0])
