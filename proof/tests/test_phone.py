"""The proof's phone on a real simulator: a clock that is off changes the time of a message and nothing else."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from panier_common.ports import free_port
from panier_proof import shop
from panier_proof.ledger import Json
from panier_proof.phone import Phone, Simulator

BUTTONS = {
    "type": "button",
    "body": {"text": "Your cart"},
    "action": {"buttons": [{"type": "reply", "reply": {"id": "cart:edit", "title": "Edit"}}]},
}


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """A simulator that knows the proof's shop; its webhooks find no door."""
    (tmp_path / "shops.toml").write_text(shop.shops_file(), "utf-8")
    (tmp_path / "catalogue.csv").write_text(shop.feed(shop.goods(1, 10)), "utf-8")
    port = free_port()
    told = {
        "PANIER_SHOPS": str(tmp_path / "shops.toml"),
        "PANIER_SIMULATOR_PORT": str(port),
        "PANIER_SIMULATOR_DATA": str(tmp_path / "data"),
        "PANIER_SIMULATOR_WEBHOOK_URL": f"http://127.0.0.1:{free_port()}/",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "panier_simulator", env={**os.environ, **told}, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield await _ready(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        await process.wait()


async def _ready(address: str) -> str:
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            with suppress(aiohttp.ClientError):
                async with session.get(f"{address}/readyz") as answer:
                    if answer.status == 200:
                        return address
            await asyncio.sleep(0.1)


async def shopping(simulator: Simulator, session: aiohttp.ClientSession, address: str, skew: int) -> list[Json]:
    """What a customer with that clock sends, one of each kind; the messages as Meta posts them."""
    page = await simulator.customer("Customer", None, shop.NUMBER)
    phone = Phone(simulator, page, skew)
    await phone.act({"text": "bonjour"})
    call = {"messaging_product": "whatsapp", "recipient": page.user_id, "type": "interactive", "interactive": BUTTONS}
    url = f"{address}/graph/v26.0/{shop.NUMBER}/messages"
    async with session.post(url, json=call, headers={"Authorization": "Bearer any"}) as answer:
        assert answer.status == 200, await answer.text()
    found = await phone.expect(lambda message: (message.reply("cart:"), message), 0, 10)
    assert found is not None
    reply, message = found
    assert reply is not None
    await phone.press(reply, message)
    await phone.act({"cart": [{"sku": "good-01", "quantity": 2, "price": 1.4}]})
    await phone.act({"location": {"latitude": 48.6, "longitude": -2.0}})
    await phone.act({"product_question": {"sku": "good-01", "text": "?"}})
    assert [act.action for act in page.acts][1] == {"press": "cart:edit", "message": message.wamid}
    return [one["body"] for one in await simulator.whole_chat(page) if one["direction"] == "in"]


def plain(body: Json) -> Json:
    """Without what is each message's own: its ids and its time."""
    told = {name: value for name, value in body.items() if name not in ("id", "from_user_id", "timestamp")}
    context = {name: value for name, value in body.get("context", {}).items() if name not in ("id", "from")}
    return {**told, "context": context} if context else {name: told[name] for name in told if name != "context"}


async def test_a_clock_that_is_off_changes_the_time_alone(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        simulator = Simulator(session, address)
        right = await shopping(simulator, session, address, 0)
        wrong = await shopping(simulator, session, address, -90)
    assert len(right) == 5
    assert [plain(body) for body in wrong] == [plain(body) for body in right]
    for early, late in zip(wrong, right, strict=True):
        assert 60 < int(late["timestamp"]) - int(early["timestamp"]) < 120
