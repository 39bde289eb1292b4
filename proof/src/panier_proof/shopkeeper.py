"""The people of the shop: they move paid orders on, ask thrice for the same, and ask again until they are answered."""

import asyncio
import contextlib
import zlib

import aiohttp

from panier_proof.ledger import Command, Ledger
from panier_proof.shop_side import ShopSide

_EVERY_SECONDS = 4.0
_AGAIN_SECONDS = 1.0
_PATIENCE_SECONDS = 300.0
_TIMES = 3
_RECENT_MINUTES = 10
_MOVES = ("accepted", "ready", "completed")


class Shopkeeper:
    """Every second paid order gets as far as its id says; what was taken is on the ledger's page of commands."""

    def __init__(self, side: ShopSide, ledger: Ledger) -> None:
        self._side = side
        self._ledger = ledger
        self._begun: set[str] = set()

    async def work(self, closing: asyncio.Event) -> None:
        """Until the shop closes; what was begun by then is brought to its end."""
        async with asyncio.TaskGroup() as orders:
            while not closing.is_set():
                for order_id in await self._paid():
                    self._begun.add(order_id)
                    orders.create_task(self._move(order_id))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_EVERY_SECONDS):
                        await closing.wait()

    async def _paid(self) -> list[str]:
        try:
            listed = await self._side.listed(_RECENT_MINUTES)
        except (aiohttp.ClientError, OSError, TimeoutError, RuntimeError):
            return []  # nobody is there to be asked: later
        paid = [order["order_id"] for order in listed if order["state"] == "paid"]
        return [order_id for order_id in paid if _of(order_id) and order_id not in self._begun]

    async def _move(self, order_id: str) -> None:
        for state in _MOVES[: _of(order_id)]:
            command = Command(order_id, state, f"{order_id}/{state}")
            self._ledger.commands.append(command)
            answers = await asyncio.gather(*(self._ask(command) for _ in range(_TIMES)))
            command.taken = all(answers)

    async def _ask(self, command: Command) -> bool:
        """One of those who ask; whether the shop said that it was done."""
        until = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < until:
            try:
                await self._side.command(command.order_id, "advance", {"state": command.state}, command.key)
                return True
            except (aiohttp.ClientError, OSError, TimeoutError, RuntimeError):
                await asyncio.sleep(_AGAIN_SECONDS)
        return False


def _of(order_id: str) -> int:
    """How far an order is moved on: from not at all to completed, the same for the same id."""
    return zlib.crc32(order_id.encode()) % (len(_MOVES) + 1)
