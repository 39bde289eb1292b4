"""Which databases a backup is of, and a restore goes to: those of settings, else those of the local stack."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from panier_cli.data_folder import DataFolder, data_path
from panier_cli.errors import USAGE, Refused
from panier_cli.stack.screen import Screen
from panier_cli.stack.services import SERVICES, Service


@dataclass(frozen=True)
class Databases:
    """URLs by service, for somebody who may read and make everything in them, and the broker beside them."""

    urls: Mapping[str, str]
    kafka: str | None


def chosen(names: Sequence[str] | None) -> list[Service]:
    """The services asked for, else all with a database."""
    known = {service.name: service for service in SERVICES if service.database}
    if unknown := set(names or ()) - known.keys():
        raise Refused("unknown_service", f"{', '.join(sorted(unknown))}: no such service has a database", "", USAGE)
    return [known[name] for name in names or known]


@asynccontextmanager
async def databases(
    services: Sequence[Service], screen: Screen, env: Mapping[str, str] = os.environ, *, at_rest: bool
) -> AsyncIterator[Databases]:
    """The databases, reachable inside this context. `at_rest`: a local stack must not run beside it."""
    from panier_cli.stack.environment import given, has

    named = [service for service in services if has(env, service.setting("DATABASE_URL"))]
    if named:
        missing = [service.setting("DATABASE_URL") for service in services if service not in named]
        if missing:
            raise Refused(
                "no_database", "some databases are named and some are not", f"set {', '.join(missing)}", USAGE
            )
        urls = {service.name: given(env, service.setting("DATABASE_URL")) for service in named}
        yield Databases(urls, env.get("PANIER_KAFKA_BOOTSTRAP_SERVERS"))
        return
    folder = DataFolder(data_path(env))
    state = folder.state()
    if state is None:
        async with _engines(folder, screen, env) as found:
            yield found
        return
    if at_rest:
        raise Refused(
            "running",
            f"a stack runs on {folder.path}: pid {state.get('pid')}",
            f"stop it first: kill -INT {state.get('pid')}",
        )
    yield _running(folder, state.get("engines", {}), services, env)


def _running(
    folder: DataFolder, engines: Mapping[str, Mapping[str, str]], services: Sequence[Service], env: Mapping[str, str]
) -> Databases:
    from panier_cli.stack.databases import on
    from panier_cli.stack.environment import given, has

    postgres = engines.get("postgres")
    if postgres is None:
        raise Refused("not_ready", "the stack is on its way up", "wait until `panier status` says it is ready")
    server = (
        given(env, "PANIER_POSTGRES_URL")
        if has(env, "PANIER_POSTGRES_URL")
        else f"postgresql://panier:{folder.known_secret('postgres')}@{postgres['address']}/postgres"
    )
    return Databases(
        {service.name: on(server, service.module) for service in services}, engines.get("kafka", {}).get("address")
    )


@asynccontextmanager
async def _engines(folder: DataFolder, screen: Screen, env: Mapping[str, str]) -> AsyncIterator[Databases]:
    """The stack's engines without its services: databases and topics are made where they are missing."""
    from panier_common.ports import free_port

    from panier_cli.stack.databases import on
    from panier_cli.stack.local import running

    # Nobody opens the public ports meanwhile: another stack may have them.
    ports = {s.setting("PORT"): str(free_port()) for s in SERVICES if s.port is not None}
    without = [service.name for service in SERVICES]
    async with running(folder, screen, {**env, **ports}, without=without) as stack:
        kafka, postgres = stack.engines
        yield Databases({s.name: on(postgres.url, s.module) for s in SERVICES if s.database}, kafka.url)
