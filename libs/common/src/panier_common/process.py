"""What every service process does: log, trace, answer probes, run its loops, and drain on SIGTERM."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

import structlog
import uvloop
from fastapi import APIRouter

from panier_common import dead_letters_api, keeping, telemetry
from panier_common.batch import Loop, W
from panier_common.kafka import Kafka, Producer, watch
from panier_common.postgres import AWAY, Pool, create_pool, missing_migrations, why_away
from panier_common.runner import Runner
from panier_common.settings import DatabaseSettings, ServiceSettings, SettingsError
from panier_common.shops import ShopDirectory
from panier_common.tasks import cancelled
from panier_common.web import Server, admin_app

DRAIN_SECONDS = 20.0

Check = Callable[[], str | None]
Lag = dict[str, tuple[int, float]]

log = structlog.get_logger()


class Process:
    """One service's process, built up by its `__main__` and run until it is told to stop.

    The end of any loop or task that was not asked for ends the process: better started anew than half dead.
    """

    pool: Pool
    """The service's database; there only for settings with one."""

    def __init__(self, name: str, settings: ServiceSettings) -> None:
        self.name = name
        self.settings = settings
        self.version = version(f"panier-{name}")
        self.producer = Producer(settings.kafka_bootstrap_servers, f"panier-{name}")
        self._runners: list[Runner[Any]] = []
        self._tasks: list[tuple[str, Coroutine[Any, Any, None]]] = []
        self._checks: list[Check] = []
        self._lags: list[Callable[[], Lag]] = []
        self._drains: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._kept = {kept.name: kept for kept in keeping.COMMON}
        self._schema: str | None = None
        self._broker_answers = True  # until it was asked: a loop is not ready before it has heard from it
        self._stop = asyncio.Event()
        self._draining = False
        self.app, self._internal = admin_app(
            name, self.version, settings.admin_token.get_secret_value(), self.why_not_ready, self.lag
        )

    async def __aenter__(self) -> Self:
        settings = self.settings
        telemetry.set_up(self.name, self.version, settings.log_level, settings.admin_token.get_secret_value())
        if isinstance(settings, DatabaseSettings):
            self.pool = await create_pool(settings.database_url.get_secret_value())
            self._schema = "the database was not asked yet"
            self.add_check("schema", lambda: self._schema)
            self.add_task("schema", self._watch_schema())
            self.add_task("old rows", keeping.forget_old(lambda: self.pool, lambda: tuple(self._kept.values())))
            self._internal.include_router(
                dead_letters_api.router(self.name, lambda: self.pool, settings.kafka_bootstrap_servers)
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.producer.stop()
        if isinstance(self.settings, DatabaseSettings):
            self.pool.terminate()
        telemetry.shut_down()

    def add_loop(self, loop: Loop[W]) -> Runner[W]:
        """Run this loop; its readiness and lag are the process's."""
        servers = self.settings.kafka_bootstrap_servers
        if not self._runners:
            self.add_check("broker", lambda: None if self._broker_answers else "the broker does not answer")
            self.add_task("broker", watch(servers, f"panier-{self.name}", self._hear_of_broker))
        runner = Runner(loop, self.pool, Kafka(servers))
        self._runners.append(runner)
        self._checks.append(runner.why_not_ready)
        self.add_lag(runner.lag)
        return runner

    def add_router(self, router: APIRouter) -> None:
        """Serve these routes under /internal, for holders of the admin token."""
        self._internal.include_router(router)

    def add_task(self, name: str, task: Coroutine[Any, Any, None]) -> None:
        self._tasks.append((name, task))

    def add_drain(self, drain: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have this come to its end, as the loops do, before the tasks are cancelled."""
        self._drains.append(drain)

    def keep(self, *kept: keeping.Kept) -> None:
        """Have these rows of the service go after their time, besides those that every service has."""
        self._kept |= {one.name: one for one in kept}

    def add_check(self, name: str, check: Check) -> None:
        """Ready only while `check` finds nothing wrong."""
        self._checks.append(check)

    def add_lag(self, lag: Callable[[], Lag]) -> None:
        """Report also how far this is behind: topic → (records, seconds)."""
        self._lags.append(lag)

    def follow_shops(self) -> ShopDirectory:
        shops = ShopDirectory(self.settings.kafka_bootstrap_servers)
        self.add_task("shops", shops.follow())
        self.add_check("shops", shops.why_not_ready)
        return shops

    def why_not_ready(self) -> str | None:
        if self._draining:
            return "stopping"
        return next((why for check in self._checks if (why := check()) is not None), None)

    def lag(self) -> Lag:
        behind: Lag = {}
        for lag in self._lags:
            for topic, (records, seconds) in lag().items():
                known = behind.get(topic, (0, 0.0))
                behind[topic] = (known[0] + records, max(known[1], seconds))
        return behind

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain. Raises what ended a loop or a task by itself."""
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, self._stop.set)
        telemetry.gauge(
            "panier.lag.records",
            lambda: [(float(records), {"topic": t}) for t, (records, _) in self.lag().items()],
        )
        telemetry.gauge(
            "panier.lag.seconds",
            lambda: [(seconds, {"topic": t}) for t, (_, seconds) in self.lag().items()],
        )
        telemetry.gauge("panier.ready", lambda: [(0.0 if self.why_not_ready() else 1.0, {})])
        self.app.include_router(self._internal)
        admin = Server(self.app, self.settings.admin_host, self.settings.admin_port)
        await admin.start()
        gc.collect()
        gc.freeze()  # what lives for ever need not be looked at again
        gc.set_threshold(10_000, 20, 20)
        log.info("started", version=self.version)
        try:
            await self._until_stopped()
        finally:
            await admin.stop()
            log.info("stopped")

    async def _until_stopped(self) -> None:
        runners = [asyncio.create_task(r.run(), name=r.loop.name) for r in self._runners]
        others = [asyncio.create_task(task, name=name) for name, task in self._tasks]
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        await asyncio.wait([*runners, *others, stop], return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in (*runners, *others) if task.done()]
        self._draining = True
        for runner in self._runners:
            runner.stop()
        if draining := [*runners, *(asyncio.create_task(drain()) for drain in self._drains)]:
            await asyncio.wait(draining, timeout=DRAIN_SECONDS)
        await cancelled([*others, stop])
        for task in ended:
            if (error := task.exception()) is not None:
                log.error("a task died", task=task.get_name(), error=type(error).__name__, exc_info=error)
                raise error
        if ended and not self._stop.is_set():
            raise RuntimeError(f"{ended[0].get_name()} ended by itself")

    def _hear_of_broker(self, answers: bool) -> None:
        if answers != self._broker_answers:
            log.info("the broker answers again") if answers else log.warning("the broker does not answer")
        self._broker_answers = answers

    async def _watch_schema(self) -> None:
        """Not ready until the database has this version's schema, and says which command brings it."""
        while True:
            try:
                self._schema = await missing_migrations(self.pool, f"panier_{self.name}")
            except AWAY as error:
                self._schema = why_away(error)
            await asyncio.sleep(1 if self._schema else 10)


def main(service: Callable[[], Awaitable[None]]) -> None:
    """Run a service's coroutine function as this process; exits 1 when it ends by itself."""

    async def _run() -> None:
        await service()

    try:
        uvloop.run(_run())
    except KeyboardInterrupt:
        sys.exit(130)
    except SettingsError as error:
        sys.exit(f"settings: {error}")
    except Exception as error:
        log.error("ended", error=type(error).__name__, exc_info=error)
        sys.exit(1)
