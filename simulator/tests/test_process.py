"""The simulator as a process: starts by its settings alone, survives a kill, ends cleanly on SIGTERM."""

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from panier_common.ports import free_port

from .conftest import BAKERY, NUMBER, Door, Json, signed, text, until


@asynccontextmanager
async def started(environment: dict[str, str]) -> AsyncIterator[tuple[Process, str]]:
    port = free_port()
    every = {**environment, "PANIER_SIMULATOR_PORT": str(port)}
    command = (sys.executable, "-m", "panier_simulator")
    process = await asyncio.create_subprocess_exec(*command, env=every, stdout=PIPE)
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(20):
            while not await ready(url):  # noqa: ASYNC110 - another process becomes ready
                await asyncio.sleep(0.05)
        yield process, url
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ready(url: str) -> bool:
    try:
        return (await call("GET", f"{url}/readyz"))[0] == 200
    except aiohttp.ClientError:
        return False


async def call(method: str, url: str, body: Json | None = None) -> tuple[int, Json]:
    headers = {"Authorization": "Bearer token"}
    async with aiohttp.ClientSession(headers=headers) as session, session.request(method, url, json=body) as response:
        return response.status, await response.json()


def environment(folder: Path, door: Door) -> dict[str, str]:
    (folder / "secret").write_text("from-a-file\n")
    return {
        "PANIER_SHOPS": str(BAKERY),
        "PANIER_SIMULATOR_DATA": str(folder / "data"),
        "PANIER_SIMULATOR_WEBHOOK_URL": f"{door.url}/webhooks/whatsapp",
        "PANIER_META_APP_SECRET_FILE": str(folder / "secret"),
    }


async def test_a_kill_loses_nothing(tmp_path: Path, door: Door) -> None:
    chosen = environment(tmp_path, door)
    async with started(chosen) as (process, url):
        customer = (await call("POST", f"{url}/api/customers", {"name": "Camille"}))[1]
        act = f"{url}/api/customers/{customer['id']}/messages"
        assert (await call("POST", act, {"text": "hello"}))[0] == 201
        await until(door.messages)
        _, signature, body = door.posts[0]
        assert signature == signed(body, "from-a-file")
        process.kill()
        await process.wait()
    async with started(chosen) as (_, url):
        (kept,) = (await call("GET", f"{url}/api/customers/{customer['id']}/chat"))[1]
        assert kept["body"]["text"] == {"body": "hello"}


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux says when bytes came")
async def test_says_how_long_a_call_was_there_before_it_was_read(tmp_path: Path, door: Door) -> None:
    """A simulator that stood still took the call late; it did not come late."""
    about = {"name": "Camille", "wa_id": "33600000001"}
    words = {"messaging_product": "whatsapp", "to": "+33600000001"} | text("hello")
    async with started(environment(tmp_path, door)) as (process, url):
        customer = (await call("POST", f"{url}/api/customers", about))[1]
        assert (await call("POST", f"{url}/api/customers/{customer['id']}/messages", {"text": "hello"}))[0] == 201
        await until(door.messages)
        process.send_signal(signal.SIGSTOP)
        asyncio.get_running_loop().call_later(3.0, process.send_signal, signal.SIGCONT)
        for _ in ("late", "in time"):
            await call("POST", f"{url}/graph/v26.0/{NUMBER}/messages", words)
        late, in_time = (await call("GET", f"{url}/api/messages"))[1]
    assert 1.3 < late["waited"] < 10
    assert in_time["waited"] < 1.3


async def test_ends_cleanly_while_someone_follows(tmp_path: Path, door: Door) -> None:
    async with (
        started(environment(tmp_path, door)) as (process, url),
        aiohttp.ClientSession() as session,
        session.get(f"{url}/api/events") as stream,
    ):
        await stream.content.readline()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await process.wait() == 0
        lines = (await process.stdout.read()).decode().splitlines() if process.stdout else []
        assert [json.loads(line)["event"] for line in lines] == ["simulator starts", "simulator stopped"]


WRONG = {
    "PANIER_SHOPS": "none.toml",
    "PANIER_SIMULATOR_FAULTS": "colour=0.5",
    "PANIER_SIMULATOR_PORT": "taken",
}


@pytest.mark.parametrize("setting", WRONG)
async def test_says_which_setting_is_wrong(tmp_path: Path, setting: str) -> None:
    command = (sys.executable, "-m", "panier_simulator")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        value = str(taken.getsockname()[1]) if WRONG[setting] == "taken" else WRONG[setting]
        told = {"PANIER_SHOPS": str(BAKERY), "PANIER_SIMULATOR_DATA": str(tmp_path), setting: value}
        process = await asyncio.create_subprocess_exec(*command, env=told, stdout=PIPE)
        output, _ = await process.communicate()
    assert process.returncode == 1
    assert json.loads(output)["setting"] == setting


async def test_starts_with_nothing_at_all(tmp_path: Path) -> None:
    """No setting, no file, no folder of ours: it brings a shop of its own, and port 0 takes a free one."""
    command = (sys.executable, "-m", "panier_simulator")
    told = {"PANIER_SIMULATOR_PORT": "0"}
    process = await asyncio.create_subprocess_exec(*command, env=told, cwd=tmp_path, stdout=PIPE)
    try:
        assert process.stdout is not None
        port = json.loads(await process.stdout.readline())["port"]
        (shop,) = await until_answered(f"http://127.0.0.1:{port}/api/shops")
        assert [number["phone_number_id"] for number in shop["numbers"]] == ["106540352242922"]
        _, products = await call("GET", f"http://127.0.0.1:{port}/api/shops/shop/products")
        assert [product["sku"] for product in products] == ["tea", "mug", "honey"]
        assert (tmp_path / ".panier" / "simulator").is_dir()
    finally:
        process.terminate()
        await process.wait()


async def until_answered(url: str) -> Json:
    async with asyncio.timeout(20):
        while True:
            try:
                return (await call("GET", url))[1]
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)
