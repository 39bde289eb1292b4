"""The engines that a benchmark runs on: the same broker and database as the tests, started as a child."""

import contextlib
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from panier_common.kafka import apply_topics
from panier_common.postgres import migrate

from panier_bench import cores


@dataclass(frozen=True)
class Engines:
    kafka: str
    postgres: str
    kinds: Mapping[str, str]

    async def postgres_version(self) -> str:
        server = await asyncpg.connect(self.postgres)
        try:
            return str(await server.fetchval("SHOW server_version"))
        finally:
            await server.close()

    async def database(self, package: str) -> str:
        """A fresh, migrated database of that package."""
        name = f"bench_{secrets.token_hex(4)}"
        server = await asyncpg.connect(self.postgres)
        try:
            await server.execute(f"CREATE DATABASE {name}")
        finally:
            await server.close()
        url = urlunsplit(urlsplit(self.postgres)._replace(path=f"/{name}"))
        await migrate(url, package)
        return url


@contextlib.contextmanager
def engines() -> Iterator[Engines]:
    """Real engines, with fsync as they come."""
    with cores.others():
        child = subprocess.Popen(
            [sys.executable, "-m", "panier_cli.engines", "--tests"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the benchmark first
        )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        line = child.stdout.readline()
        if not line:
            raise SystemExit("no engines for the benchmark: see the message above")
        found = json.loads(line)
        kinds = {name: engine["kind"] for name, engine in found.items()}
        yield Engines(found["kafka"]["address"], found["postgres"]["address"], kinds)
    finally:
        child.stdin.close()
        child.wait(30)


async def topics(engines: Engines) -> None:
    await apply_topics(engines.kafka)
