"""Fixtures that give tests a real Kafka and a real PostgreSQL, and keep unit tests off the network.

The engines run in a child process of their own (``python -m panier_cli.engines``), so that nothing here
imports the command line. They start only when a test asks for them, once a session; when none can be
started the tests fail, they are never skipped.

This module is loaded by every pytest run: it must not import anything heavy at the top.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import pytest_asyncio

Database = Callable[[str], Awaitable[str]]
"""``await database("panier_cart")``: the URL of a fresh, migrated database of that package."""

_allowed_hosts: set[str] = set()

# pg_trgm and unaccent belong to the catalogue's search. The local stack's superuser creates them in that
# database, so the migrations find them there in tests as well.
_EXTENSIONS = {"panier_catalog": ("pg_trgm", "unaccent")}


def pytest_configure() -> None:
    """No example of a rule fails for the time it took: on a busy machine any may be held up."""
    with contextlib.suppress(ImportError):
        from hypothesis import HealthCheck, settings

        settings.register_profile("panier", deadline=None, suppress_health_check=[HealthCheck.too_slow])
        settings.load_profile("panier")


def _allow(host: str) -> None:
    """Let tests reach an engine that was given by a setting and lives on another machine."""
    with contextlib.suppress(OSError):
        _allowed_hosts.update(str(info[4][0]) for info in socket.getaddrinfo(host, None))


def _leaves_this_machine(address: Any) -> bool:
    if not isinstance(address, tuple) or address[0] in _allowed_hosts:
        return False
    try:
        return not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback
    except ValueError:
        return str(address[0]) != "localhost"


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Refuse connections to anything but this machine: a test that needs the internet is not a test."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guard(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and _leaves_this_machine(address):
            raise RuntimeError(f"tests must not connect to {address!r}: only this machine may be reached")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        guard(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        guard(self, address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        yield


@contextlib.contextmanager
def _engine(name: str) -> Iterator[str]:
    """Run one engine in a child process and yield its address; it ends when its standard input closes."""
    # A session of its own: Ctrl-C reaches pytest first, and the engine outlives the teardown of the tests.
    child = subprocess.Popen(
        [sys.executable, "-m", "panier_cli.engines", "--tests", f"--{name}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        line = child.stdout.readline()
        if not line:
            pytest.fail(f"no {name} for the tests: its starter ended with {child.wait()} (see above)")
        yield str(json.loads(line)[name]["address"])
    finally:
        child.stdin.close()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The bootstrap address of a real broker."""
    with _engine("kafka") as address:
        for server in address.split(","):
            _allow(server.rpartition(":")[0])
        yield address


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server on which databases may be created."""
    with _engine("postgres") as url:
        _allow(urlsplit(url).hostname or "localhost")
        yield url


def _on(server: str, name: str) -> str:
    """The URL of one database of a server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


async def _execute(url: str, *statements: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _make_template(server: str, package: str) -> str:
    """A migrated database to clone from: cloning takes milliseconds, migrating does not."""
    from panier_common.postgres import migrate

    template = f"template_{package}_{secrets.token_hex(4)}"
    await _execute(server, f"CREATE DATABASE {template}")
    extensions = _EXTENSIONS.get(package, ())
    await _execute(_on(server, template), *(f"CREATE EXTENSION IF NOT EXISTS {name}" for name in extensions))
    await migrate(_on(server, template), package)
    return template


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _templates(postgres: str) -> AsyncIterator[dict[str, str]]:
    made: dict[str, str] = {}
    yield made
    await _execute(postgres, *(f"DROP DATABASE {name} WITH (FORCE)" for name in made.values()))


@pytest_asyncio.fixture(loop_scope="session")
async def database(postgres: str, _templates: dict[str, str]) -> AsyncIterator[Database]:
    """A factory of fresh databases, each a clone of its package's migrated template, dropped afterwards."""
    clones: list[str] = []

    async def make(package: str) -> str:
        if package not in _templates:
            _templates[package] = await _make_template(postgres, package)
        name = f"test_{os.getpid()}_{secrets.token_hex(4)}"
        await _execute(postgres, f"CREATE DATABASE {name} TEMPLATE {_templates[package]}")
        clones.append(name)
        return _on(postgres, name)

    yield make
    await _execute(postgres, *(f"DROP DATABASE {name} WITH (FORCE)" for name in clones))
