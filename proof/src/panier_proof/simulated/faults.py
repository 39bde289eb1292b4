"""What strikes, and when: made from the seed, plain data, so that a shorter history is one with fewer of them."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

KINDS = ("kill", "pause", "join_leave", "database", "broker", "acknowledgements", "late")
_WEIGHTS = (8, 5, 2, 2, 1, 3, 2)
_SERVICES = ("catalog", "cart", "checkout", "sender")


@dataclass(frozen=True)
class Fault:
    """`kind` befalls `target` (a process, or a service's database) at that second and lasts so long."""

    at: float
    kind: str
    target: str
    seconds: float


def plan(seed: int, count: int, lasts: float, kinds: Sequence[str] = ()) -> Iterator[Fault]:
    """So many, evenly over the time; of these kinds, when some are named."""
    chance = Random(f"{seed}/faults")
    for n in range(count):
        at = 2.0 + lasts * (n + chance.random()) / max(count, 1)
        kind = chance.choice(kinds) if kinds else chance.choices(KINDS, _WEIGHTS)[0]
        service = chance.choice(_SERVICES)
        # A pause is mostly longer than a session, so that another one takes over meanwhile.
        seconds = chance.choice((3.0, 14.0, 25.0)) if kind == "pause" else chance.uniform(1.0, 8.0)
        yield Fault(at, kind, service, seconds)


async def strike(world: Any, began_at: float) -> None:
    """Carry the plan out; returns when all of it is over."""
    random = Random(f"{world.history.seed}/strike")
    for fault in sorted(world.history.faults, key=lambda one: one.at):
        await asyncio.sleep(max(0.0, began_at + fault.at - world.loop.now))
        world.struck[fault.kind] = world.struck.get(fault.kind, 0) + 1
        await _befall(world, fault, random)


_IN_THE_MIDDLE = 0.75


async def _busy(world: Any, process: Any) -> None:
    """Until the process is in the middle of a transaction, for a while."""
    server = world.engines.servers[process.service]
    for _ in range(4000):
        if any(one.actor is process.actor and one.is_open for one in list(server.open)):
            return
        await asyncio.sleep(0.0007)


async def _befall(world: Any, fault: Fault, random: Random) -> None:
    process = random.choice([one for one in world.processes if one.service == fault.target])
    if fault.kind in ("kill", "pause") and random.random() < _IN_THE_MIDDLE:
        await _busy(world, process)
    match fault.kind:
        case "kill":
            process.kill()
        case "pause":
            process.pause(fault.seconds)
        case "join_leave":
            for runner in process.runners:
                runner.stop()
        case "database":
            server = world.engines.servers[fault.target]
            server.crash()
            await asyncio.sleep(fault.seconds)
            server.away = False
        case "broker":
            world.broker.crash()
            await asyncio.sleep(fault.seconds)
            world.broker.away = False
        case "acknowledgements":
            world.broker.lost_acknowledgements = 0.3
            await asyncio.sleep(fault.seconds)
            world.broker.lost_acknowledgements = 0.0
        case "late":
            world.broker.late_batches = 0.3
            await asyncio.sleep(fault.seconds)
            world.broker.late_batches = 0.0
