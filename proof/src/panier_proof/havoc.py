"""Carries out the plan on the running stack: kills and stops processes and engines, scales, plants, troubles Meta."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

from panier_cli.stack.keeper import Keeper
from panier_cli.stack.local import LocalStack, ServiceProcess

from panier_proof import plan as p
from panier_proof.orderly import Operator
from panier_proof.phone import Simulator
from panier_proof.poison import Planter
from panier_proof.waits import Spell

Tell = Callable[[str], None]
_ALIVE_SECONDS = 30.0


class Havoc:
    """`struck` are the faults that found something to strike, `spells` how long each went on."""

    def __init__(
        self,
        stack: LocalStack,
        simulator: Simulator,
        planter: Planter,
        operator: Operator,
        plan: p.Plan,
        tell: Tell,
    ) -> None:
        self._stack = stack
        self._simulator = simulator
        self._planter = planter
        self._operator = operator
        self._one_by_one = asyncio.Lock()
        self._plan = plan
        self._tell = tell
        self.struck: list[p.Fault] = []
        self.spells: list[Spell] = []

    async def run(self) -> None:
        """From the first fault to the last, each at its time; returns when all of them are over."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as faults:
            for fault in self._plan.faults:
                faults.create_task(self._at_its_time(fault, began))

    async def _at_its_time(self, fault: p.Fault, began: float) -> None:
        await asyncio.sleep(max(0.0, began + fault.at - asyncio.get_running_loop().time()))
        # Nobody drains a node in the middle of a roll-out.
        async with self._one_by_one if fault.kind in p.ORDERLY else contextlib.nullcontext():
            self._tell(f"{fault.at:6.1f} s  {fault.says}")
            since = time.time()
            await self._strike(fault)
            self.spells.append(Spell(fault.kind, since, time.time()))
        self.struck.append(fault)

    async def _strike(self, fault: p.Fault) -> None:
        match fault.kind:
            case "kill":
                await _signal(await self._service(fault), signal.SIGKILL)
            case "stop":
                await self._stop(await _signal(await self._service(fault), signal.SIGSTOP), fault.seconds)
            case "kill_broker" | "kill_database":
                await _signal(self._engine(fault), signal.SIGKILL)
            case "scale":
                await self._scale(fault)
            case "roll":
                await self._operator.roll()
            case "drain":
                await self._operator.drain()
            case "graph":
                await self._simulator.use_faults(p.graph_trouble(self._plan.webhooks))
                await asyncio.sleep(fault.seconds)
                await self._simulator.use_faults(self._plan.webhooks)
            case "poison":
                await self._planter.plant(fault.target, fault.which)

    async def _service(self, fault: p.Fault) -> Keeper:
        """The process that is meant; one that is just being replaced is waited for."""
        async with asyncio.timeout(_ALIVE_SECONDS):
            while not (processes := self._processes(fault.target)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        process = processes[fault.which % len(processes)]
        assert process.keeper is not None
        return process.keeper

    def _processes(self, name: str) -> list[ServiceProcess]:
        return [process for process in self._stack.processes if process.service.name == name]

    def _engine(self, fault: p.Fault) -> Keeper:
        keepers = [k for k in self._stack.engine_keepers if k.program.name.partition("/")[0] == fault.target]
        return keepers[fault.which % len(keepers)]

    async def _scale(self, fault: p.Fault) -> None:
        """One process more, and one less again: two rebalances."""
        process = self._stack.add(fault.target)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            await self._stack.remove(process)

    @staticmethod
    async def _stop(pid: int, seconds: float) -> None:
        """Leave a stopped process so for so long, and never longer."""
        try:
            await asyncio.sleep(seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):  # killed meanwhile by another fault
                os.kill(pid, signal.SIGCONT)


async def _signal(keeper: Keeper, number: signal.Signals) -> int:
    """Send it to the process; one that is just being started again is waited for. Its pid."""
    async with asyncio.timeout(_ALIVE_SECONDS):
        while True:
            if (pid := keeper.pid) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                    return pid
            await asyncio.sleep(0.05)
