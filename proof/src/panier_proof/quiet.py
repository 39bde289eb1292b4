"""Waits until nothing is under way any more, and says what is while it is not."""

import asyncio
import os
import time
from collections.abc import Callable

import aiohttp
import asyncpg
from panier_cli.status import read_status

from panier_proof.phone import Simulator
from panier_proof.shop_side import ShopSide, loose_rows

_OPEN = ("awaiting_payment",)
_LOOK_SECONDS = 1.0
# So often in a row: a record between two services may be in no count at one moment.
_TIMES = 3


async def loose_ends(simulator: Simulator, side: ShopSide, superuser: str) -> dict[str, int]:
    """What is not nothing, by name. What cannot be asked counts as one."""
    found: dict[str, int] = {}
    try:
        found["webhooks on their way"] = (await simulator.webhooks())["waiting"]
        status = await asyncio.to_thread(read_status, os.environ)
        for service in status["services"]:
            found[f"{service['name']} not ready"] = 0 if service["ready"] else 1
            for topic, lag in service["lag"].items():
                found[f"{service['name']} behind on {topic}"] = lag["records"]
        found |= await loose_rows(superuser)
        if not any(found.values()):  # the list is long: only when there is nothing else
            found["orders that wait for payment"] = sum(order["state"] in _OPEN for order in await side.listed())
    except (aiohttp.ClientError, asyncpg.PostgresError, OSError, TimeoutError, RuntimeError) as error:
        found[f"cannot be asked: {type(error).__name__} {error}"] = 1
    return {name: count for name, count in found.items() if count}


async def settle(
    simulator: Simulator, side: ShopSide, superuser: str, seconds: float, waiting: Callable[[str], None]
) -> dict[str, int]:
    """Until all is quiet, at most so long; the loose ends that are left."""
    until, quiet = time.monotonic() + seconds, 0
    while True:
        ends = await loose_ends(simulator, side, superuser)
        quiet = 0 if ends else quiet + 1
        if quiet >= _TIMES or time.monotonic() > until:
            return ends
        waiting(", ".join(f"{name}: {count}" for name, count in list(ends.items())[:4]) or "quiet")
        await asyncio.sleep(_LOOK_SECONDS)
