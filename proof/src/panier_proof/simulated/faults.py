"""What strikes, and when: made from the seed, plain data, so that a shorter history is one with fewer of them.

A process is mostly struck between two of its steps: chance alone would nearly always find it waiting for something.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Any

KINDS = ("kill", "pause", "join_leave", "database", "broker", "acknowledgements", "late")
_WEIGHTS = (8, 5, 2, 2, 1, 3, 2)
_SERVICES = ("catalog", "cart", "checkout", "sender")
_ONE_PROCESS = ("kill", "pause", "join_leave")
_PATIENCE_SECONDS = 4.0


# Right after: a transaction has begun, its commit is done, a record is on its way here, a batch is appended, Meta has
# taken a call. The process knows nothing of it yet, and never will where it dies.
MOMENTS: Mapping[str, Sequence[str]] = {
    "catalog": ("fetched panier.order.v1", "appended panier.stock.v1", "appended panier.product.v1"),
    "cart": ("fetched panier.inbound.v1", "fetched panier.order.v1", "appended panier.cart.v1"),
    "checkout": ("fetched panier.cart.v1", "fetched panier.stock.v1", "appended panier.order.v1"),
    "sender": ("fetched panier.outbound.v1", "fetched panier.delivery.v1", "called"),
}
_EVERYBODYS = ("", "begun", "committed")


@dataclass(frozen=True)
class Fault:
    """`kind` befalls `target` (a service's process or its database) at that second and lasts so long.

    With a `moment`, when a process of the target passes it after that second; whichever is the first.
    """

    at: float
    kind: str
    target: str
    seconds: float
    moment: str = ""


def plan(seed: int, count: int, lasts: float, like: Sequence[Fault] = ()) -> Iterator[Fault]:
    """So many, evenly over the time; like one of these, when some are given."""
    chance = Random(f"{seed}/faults")
    for n in range(count):
        at = 2.0 + lasts * (n + chance.random()) / max(count, 1)
        if like:
            yield replace(chance.choice(like), at=at)
            continue
        kind = chance.choices(KINDS, _WEIGHTS)[0]
        service = chance.choice(_SERVICES)
        # A pause is mostly longer than a session, so that another one takes over meanwhile.
        seconds = chance.choice((3.0, 14.0, 25.0)) if kind == "pause" else chance.uniform(1.0, 8.0)
        moment = chance.choice((*_EVERYBODYS, *MOMENTS[service])) if kind in _ONE_PROCESS else ""
        if kind == "database":
            moment = chance.choice(_EVERYBODYS)  # in the last, it is done and nobody is told
        yield Fault(at, kind, service, seconds, moment)


async def strike(world: Any, began_at: float) -> None:
    """Carry the plan out; returns when all of it is over."""
    random = Random(f"{world.history.seed}/strike")
    for fault in sorted(world.history.faults, key=lambda one: one.at):
        await asyncio.sleep(max(0.0, began_at + fault.at - world.loop.now))
        world.struck[fault.kind] = world.struck.get(fault.kind, 0) + 1
        await _befall(world, fault, random)


def _strike(world: Any, process: Any, fault: Fault) -> None:
    match fault.kind:
        case "kill":
            process.kill()
        case "pause":
            process.pause(fault.seconds)
        case "join_leave":
            for runner in process.runners:
                runner.stop()
        case "database":
            world.engines.servers[process.service].crash()
        case "broker":
            world.broker.crash()
        case "acknowledgements":
            world.broker.lost_acknowledgements = 0.3
        case "late":
            world.broker.late_batches = 0.3


def _mend(world: Any, fault: Fault) -> None:
    match fault.kind:
        case "database":
            world.engines.servers[fault.target].away = False
        case "broker":
            world.broker.away = False
        case "acknowledgements":
            world.broker.lost_acknowledgements = 0.0
        case "late":
            world.broker.late_batches = 0.0


async def _at_its_moment(world: Any, fault: Fault) -> bool:
    """Whether a process passed the moment in time, and was struck there."""
    struck = asyncio.Event()

    def strike(actor: Any) -> None:
        struck.set()
        _strike(world, next(one for one in world.processes if one.actor is actor), fault)

    give_up = world.loop.ambush(fault.moment, fault.target, strike)
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await struck.wait()
    give_up()
    return struck.is_set()


async def _befall(world: Any, fault: Fault, random: Random) -> None:
    if not fault.moment or not await _at_its_moment(world, fault):
        _strike(world, random.choice([one for one in world.processes if one.service == fault.target]), fault)
    if fault.kind not in _ONE_PROCESS:
        await asyncio.sleep(fault.seconds)
        _mend(world, fault)
