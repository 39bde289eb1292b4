"""The local stack from start to end: engines, databases, topics, services, and the way back.

`running` is a context: inside it the stack runs, leaving it stops everything in order. What is shown and
when to leave is the caller's.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from panier_common.ports import free_port

from panier_cli.broker import refusals
from panier_cli.children import Program
from panier_cli.data_folder import ROOT, DataFolder
from panier_cli.engines import Engine, EngineError, choice, wait_until_answering
from panier_cli.errors import Refused
from panier_cli.stack.databases import bring_up_to_date, make_databases, on
from panier_cli.stack.environment import Wiring, given, has, missing_secrets, number, service_environment, wants_traces
from panier_cli.stack.keeper import Keeper
from panier_cli.stack.services import SERVICES, Service

_SERVICE_SECONDS = 20.0  # in which a service finishes its batch, by its own promise
_ENGINE_SECONDS = 6.0
_OWN_SECONDS = 120.0  # for an engine of ours to come up, on a busy machine, after a crash
_GIVEN_SECONDS = 20.0
_MOST_PROCESSES = 48
EXAMPLE_SHOPS = ROOT / "examples" / "bakery" / "shops.toml"


class Display(Protocol):
    """Where lines and progress go."""

    def say(self, text: str) -> None: ...
    def show(self, name: str, line: str) -> None: ...
    def waiting(self, text: str) -> None: ...


@dataclass
class ServiceProcess:
    service: Service
    admin_port: int
    keeper: Keeper | None = None

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def pid(self) -> int | None:
        return self.keeper.pid if self.keeper else None


@dataclass
class LocalStack:
    """A stack that runs, or is on its way up."""

    folder: DataFolder
    display: Display
    services: Sequence[Service]
    ports: Mapping[str, int]
    processes: list[ServiceProcess] = field(default_factory=list)
    engines: list[Engine] = field(default_factory=list)
    engine_keepers: list[Keeper] = field(default_factory=list)
    traces_port: int | None = None
    traces_keeper: Keeper | None = None
    start: Callable[[ServiceProcess], None] | None = None  # there once services can be started

    @property
    def traces(self) -> str | None:
        """Where our own receiver of traces is, when there is one."""
        return f"http://127.0.0.1:{self.traces_port}" if self.traces_port else None

    @property
    def addresses(self) -> dict[str, str]:
        """What people open or post to."""
        found = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items() if name in self._names}
        return found | ({"traces": self.traces} if self.traces else {})

    @property
    def _names(self) -> set[str]:
        return {service.name for service in self.services}

    def add(self, name: str) -> ServiceProcess:
        """One more process of a service, which shares its work."""
        assert self.start is not None, "the stack is still on its way up"
        [service] = [service for service in self.services if service.name == name]
        process = ServiceProcess(service, free_port())
        self.processes.append(process)
        self.start(process)
        self.publish()
        return process

    async def remove(self, process: ServiceProcess) -> None:
        """End one process of a service in order; the others take over what it worked."""
        self.processes.remove(process)
        if process.keeper is not None:
            await process.keeper.stop(_SERVICE_SECONDS)
        self.publish()

    def publish(self) -> None:
        """Write down what `panier status` and other commands need."""
        services = [
            {
                "name": service.name,
                "processes": [
                    {"admin": process.admin, "pid": process.pid}
                    for process in self.processes
                    if process.service is service
                ],
            }
            for service in self.services
        ]
        engines = {engine.name: {"kind": engine.kind, "address": engine.address} for engine in self.engines}
        self.folder.write_state(
            {"pid": os.getpid(), "addresses": self.addresses, "engines": engines, "services": services}
        )


# -- before anything starts -----------------------------------------------------------------------------


def _in_use(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def public_ports(services: Sequence[Service], env: Mapping[str, str]) -> dict[str, int]:
    """The public ports; one that is taken, or given twice, is refused with the setting that moves it."""
    ports: dict[str, int] = {}
    for service in SERVICES:
        if service.port is None:
            continue
        setting = service.setting("PORT")
        ports[service.name] = port = number(env, setting, service.port, 1, 65535)
        if service in services and (_in_use("0.0.0.0", port) or list(ports.values()).count(port) > 1):
            raise Refused(
                "port_in_use",
                f"port {port} of {service.name} is in use by another program",
                f"give it another by {setting}, for example {setting}={free_port()} make run",
            )
    return ports


def _processes(services: Sequence[Service], ports: Mapping[str, int], env: Mapping[str, str]) -> list[ServiceProcess]:
    """The processes to start, each with its admin port."""
    found = []
    for service in services:
        if not service.admin:
            found.append(ServiceProcess(service, ports[service.name]))
            continue
        count = number(env, service.setting("PROCESSES"), 1, 1, _MOST_PROCESSES) if service.many else 1
        setting = service.setting("ADMIN_PORT")
        given = number(env, setting, 0, 0, 65535)
        if given and _in_use("127.0.0.1", given):
            raise Refused("port_in_use", f"admin port {given} of {service.name} is in use", f"change {setting}")
        found += [ServiceProcess(service, (given if i == 0 else 0) or free_port()) for i in range(count)]
    return found


def _traces_port(env: Mapping[str, str]) -> int | None:
    """The port of our receiver of traces; None when spans go elsewhere or nowhere."""
    if not wants_traces(env):
        return None
    given = number(env, "PANIER_TRACES_PORT", 0, 0, 65535)
    if given and _in_use("127.0.0.1", given):
        raise Refused("port_in_use", f"port {given} of the traces is in use", "change PANIER_TRACES_PORT")
    return given or free_port()


def shops_file(env: Mapping[str, str]) -> Path:
    """The shops file, as a whole path: services may run in another folder."""
    return Path(env.get("PANIER_SHOPS") or EXAMPLE_SHOPS).resolve()


def wanted_services(env: Mapping[str, str]) -> list[Service]:
    """All services; no simulator where another Graph API is named."""
    return [s for s in SERVICES if s.name != "simulator" or not env.get("PANIER_GRAPH_URL")]


# -- on the way up --------------------------------------------------------------------------------------


async def _start_engines(stack: LocalStack) -> tuple[Engine, Engine]:
    folder, display = stack.folder, stack.display
    broker = choice.choose_kafka(folder.path, display.say)
    display.say(broker.choice)
    database = choice.choose_postgres(folder.path, folder.secret("postgres"), display.say)
    display.say(database.choice)
    stack.engines = [broker, database]
    display.waiting("waiting for the broker and the database")
    await asyncio.gather(*(_start_engine(stack, engine) for engine in stack.engines))
    stack.publish()
    return broker, database


async def _start_engine(stack: LocalStack, engine: Engine) -> None:
    for program in engine.programs:
        stack.engine_keepers.append(Keeper(program, stack.display.show, stack.publish))
    await wait_until_answering(engine, _OWN_SECONDS if engine.program else _GIVEN_SECONDS)


async def _prepare_databases(stack: LocalStack, database: Engine, env: Mapping[str, str]) -> dict[str, str]:
    """Databases, roles and migrations; the URLs by service. One that the user names is only migrated."""
    stack.display.waiting("preparing databases")
    with_database = [service for service in stack.services if service.database]
    ours = [service for service in with_database if not has(env, service.setting("DATABASE_URL"))]
    passwords = {service.name: stack.folder.secret(f"database {service.name}") for service in ours}
    urls = await make_databases(database.url, ours, passwords)
    for service in with_database:
        here = service.name in urls
        url = on(database.url, service.module) if here else given(env, service.setting("DATABASE_URL"))
        if applied := await bring_up_to_date(service.name, url):
            stack.display.say(f"migrated {service.name}: {', '.join(applied)}")
    return urls


async def _prepare_topics(stack: LocalStack, broker: Engine) -> None:
    from panier_common.kafka import apply_topics

    stack.display.waiting("preparing topics")
    with refusals(broker.url):
        await apply_topics(broker.url)


def _start_traces(stack: LocalStack) -> None:
    """The receiver of traces, in a process of its own: it must not slow down whoever watches the services."""
    if stack.traces_port is not None:
        settings = {"PANIER_TRACES_PORT": str(stack.traces_port)}
        program = Program("traces", (sys.executable, "-m", "panier_cli.traces"), settings)
        stack.traces_keeper = Keeper(program, stack.display.show, stack.publish)


def _start_service(stack: LocalStack, wiring: Wiring, env: Mapping[str, str], process: ServiceProcess) -> None:
    service = process.service
    siblings = [other for other in stack.processes if other.service is service]
    name = service.name if len(siblings) == 1 else f"{service.name}/{siblings.index(process) + 1}"
    settings = service_environment(service, process.admin_port, wiring, env)
    program = Program(name, (sys.executable, "-m", service.module), settings)
    process.keeper = Keeper(program, stack.display.show, stack.publish)


def _start_services(stack: LocalStack, without: Collection[str]) -> None:
    assert stack.start is not None
    for process in stack.processes:
        if process.service.name not in without:
            stack.start(process)


async def wait_until_ready(stack: LocalStack, patience: float | None = None) -> None:
    """Wait for one process after the other, for as long as it takes, saying why it takes long.

    With `patience`, raises Refused when none becomes ready for that many seconds; twice as many where the
    process has been alive all along, as on a busy machine.
    """
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as session:
        for done, process in enumerate(stack.processes, 1):
            stack.display.waiting(f"waiting for {process.service.name} ({done} of {len(stack.processes)})")
            polls, since, pid = 0, time.monotonic(), process.pid
            while (why := await _not_ready(session, process.admin)) is not None:
                pid = pid or process.pid  # which it has once it was started
                is_alive = pid is not None and process.pid == pid
                if patience is not None and time.monotonic() - since > patience * (1 + is_alive):
                    raise Refused("not_ready", f"{process.service.name} did not come up: {why}")
                polls += 1
                if polls % 100 == 0:
                    stack.display.say(f"{process.service.name} is not ready: {why}")
                await asyncio.sleep(0.1)
    stack.display.waiting("")


async def why_not_ready(stack: LocalStack) -> dict[str, str]:
    """The services that are not ready right now, and why."""
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as session:
        whys = await asyncio.gather(*(_not_ready(session, process.admin) for process in stack.processes))
    return {p.service.name: why for p, why in zip(stack.processes, whys, strict=True) if why is not None}


async def _not_ready(session: Any, admin: str) -> str | None:
    """Why a process is not ready; None when it is."""
    try:
        async with session.get(f"{admin}/readyz") as answer:
            if answer.status == 200:
                return None
            return str((await answer.json(content_type=None)).get("why"))
    except (OSError, TimeoutError, ValueError) as error:
        return f"does not answer ({type(error).__name__})"


# -- the whole ------------------------------------------------------------------------------------------


@asynccontextmanager
async def running(
    folder: DataFolder, display: Display, env: Mapping[str, str] = os.environ, without: Collection[str] = ()
) -> AsyncIterator[LocalStack]:
    """Start the stack over a data folder and yield it once every service runs; stop it at the end.

    Services are started, not yet ready: see `wait_until_ready`. Those of `without` belong to the stack and are
    not started: so it is seen what a stack does that lacks one.
    """
    from panier_cli.shops_check import refuse_faulty

    folder.hold()
    shops = shops_file(env)
    refuse_faulty(shops)
    made = missing_secrets(env, shops, folder.secret)
    services = wanted_services(env)
    stack = LocalStack(folder, display, services, public_ports(services, env))
    stack.processes = _processes(services, stack.ports, env)
    stack.traces_port = _traces_port(env)
    stack.publish()
    try:
        broker, database = await _start_engines(stack)
        urls = await _prepare_databases(stack, database, env)
        await _prepare_topics(stack, broker)
        wiring = Wiring(folder.path, shops, broker.url, stack.ports, urls, made, stack.traces)
        _start_traces(stack)
        stack.start = partial(_start_service, stack, wiring, env)
        _start_services(stack, without)
        yield stack
    except EngineError as error:
        raise Refused("engine", str(error), error.hint) from error
    finally:
        await _stop(stack)


async def _stop(stack: LocalStack) -> None:
    """Services first, while what they finish with is still there; then the engines."""
    stack.display.waiting("stopping the services")
    keepers = [process.keeper for process in stack.processes if process.keeper is not None]
    await asyncio.gather(*(keeper.stop(_SERVICE_SECONDS) for keeper in keepers))
    stack.display.waiting("stopping the engines")
    last = [*stack.engine_keepers, *([stack.traces_keeper] if stack.traces_keeper else [])]
    await asyncio.gather(*(keeper.stop(_ENGINE_SECONDS) for keeper in last))
    stack.display.waiting("")
    stack.display.say("stopped")
