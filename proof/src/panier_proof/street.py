"""All customers at once: each comes at their time, and no more are in the shop than it was told."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from panier_proof.ledger import Customer, Ledger, seen
from panier_proof.phone import Phone, Simulator
from panier_proof.script import Script
from panier_proof.shop import NUMBERS, Good
from panier_proof.shopper import Shopper

_READERS = 16


@dataclass
class Street:
    """`done` and `shopping` are for whoever watches."""

    simulator: Simulator
    ledger: Ledger
    goods: Mapping[str, Good]
    patience: float
    at_once: int
    done: int = 0
    shopping: int = 0

    async def shop(self, scripts: Sequence[Script]) -> None:
        """Everybody's shopping, from the first customer to the last."""
        room = asyncio.Semaphore(self.at_once)
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as customers:
            for n, script in enumerate(scripts):
                customers.create_task(self._visit(n, script, room, began))

    async def _visit(self, n: int, script: Script, room: asyncio.Semaphore, began: float) -> None:
        await asyncio.sleep(max(0.0, began + script.begins - asyncio.get_running_loop().time()))
        async with room:
            self.shopping += 1
            wa_id, number = None if script.hides_number else f"336{n:08}", NUMBERS[n % len(NUMBERS)]
            page = await self.simulator.customer(script.name, wa_id, number)
            self.ledger.customers.append(page)
            await Shopper(Phone(self.simulator, page, script.skew_seconds), dict(self.goods), self.patience).play(
                script
            )
            self.shopping -= 1
            self.done += 1

    async def close_books(self) -> None:
        """Read every phone once more, from the beginning: what came late, and what the door has taken."""
        room = asyncio.Semaphore(_READERS)
        async with asyncio.TaskGroup() as reading:
            for page in self.ledger.customers:
                reading.create_task(self._read(page, room))

    async def _read(self, page: Customer, room: asyncio.Semaphore) -> None:
        async with room:
            chat = await self.simulator.whole_chat(page)
        taken = {message["wamid"] for message in chat if message["direction"] == "in" and message["state"] != "sent"}
        page.seen = [seen(message) for message in chat if message["direction"] == "out"]
        for act in page.acts:
            act.acknowledged = act.wamid in taken
