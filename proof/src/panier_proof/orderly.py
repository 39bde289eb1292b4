"""What people do to a shop that runs, on purpose: roll a version out, drain a node. With a cluster's order and grace.

Processes come and go as Deployments with two of them make it: one more, ready and some seconds older, before one less
(maxSurge 1, maxUnavailable 0, minReadySeconds 10); a drained node takes one of each at once, as its budgets let it. The
one process of sales is replaced. So are the door and the page, which hold a port here that two cannot share: webhooks
come to a closed door meanwhile, which is worse than what a cluster does with two of them.
"""

import asyncio
import time

import aiohttp
from panier_cli.stack.local import LocalStack, ServiceProcess

from panier_proof.evidence import Unowned
from panier_proof.owners import EVERY

ROLLED = ("catalog", "cart", "checkout", "sender")
REPLACED = ("sales", "console", "ingest")
_OLD_ENOUGH_SECONDS = 10.0
_READY_SECONDS = 90.0
_LOOK_SECONDS = 0.2


class Operator:
    """`longest_stop` is how long a process took at most from SIGTERM to its end; `away` is when there was none."""

    def __init__(self, stack: LocalStack, session: aiohttp.ClientSession) -> None:
        self._stack = stack
        self._session = session
        self.longest_stop = 0.0
        self.away: list[Unowned] = []

    async def roll(self) -> None:
        """A new version of everything, all services at once, each of them one process after the other."""
        async with asyncio.TaskGroup() as services:
            for name in ROLLED:
                services.create_task(self._roll(name))
            for name in REPLACED:
                services.create_task(self._replace(self._processes(name)[0]))

    async def drain(self) -> None:
        """The node that has the first process of every service; their successors start elsewhere at once."""
        async with asyncio.TaskGroup() as services:
            for name in (*ROLLED, *REPLACED):
                services.create_task(self._replace(self._processes(name)[0], at_once=name not in REPLACED))

    async def _roll(self, name: str) -> None:
        for old in self._processes(name):
            await self._ready(self._stack.add(name))
            await asyncio.sleep(_OLD_ENOUGH_SECONDS)
            await self._end(old)

    async def _replace(self, old: ServiceProcess, *, at_once: bool = False) -> None:
        began, ending = time.time(), asyncio.create_task(self._end(old))
        if not at_once:
            await ending
        await self._ready(self._stack.add(old.service.name))
        await ending
        if not at_once:
            self.away.append(Unowned(old.service.name, EVERY, began, time.time()))

    def _processes(self, name: str) -> list[ServiceProcess]:
        return [process for process in self._stack.processes if process.service.name == name]

    async def _end(self, process: ServiceProcess) -> None:
        began = time.monotonic()
        await self._stack.remove(process)
        self.longest_stop = max(self.longest_stop, time.monotonic() - began)

    async def _ready(self, process: ServiceProcess) -> None:
        async with asyncio.timeout(_READY_SECONDS):
            while not await self._is_ready(process):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)

    async def _is_ready(self, process: ServiceProcess) -> bool:
        try:
            async with self._session.get(f"{process.admin}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False
