"""The console as its own process, over a real broker and a real database."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from panier_common.contracts import events as e
from panier_common.contracts import inbound as m
from panier_common.contracts import outbound as o
from panier_common.event import LANGUAGE, OWNER, decode, from_wire, inbound_id
from panier_common.kafka import Producer, apply_topics
from panier_common.ports import free_port
from panier_common.topics import FLOOR

TOKEN = "a-token-for-tests"
SHOP, NUMBER = f"boulangerie-{uuid4().hex[:8]}", str(uuid4().int)[:15]
AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


class Console:
    """The service's process, asked over HTTP."""

    def __init__(self, kafka: str, database: str, log: Path) -> None:
        self.port, self.page = free_port(), free_port()
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "panier_console"],
                stdout=out,
                stderr=out,
                env={
                    **os.environ,
                    "PANIER_KAFKA_BOOTSTRAP_SERVERS": kafka,
                    "PANIER_CONSOLE_DATABASE_URL": database,
                    "PANIER_ADMIN_TOKEN": TOKEN,
                    "PANIER_CONSOLE_ADMIN_HOST": "127.0.0.1",
                    "PANIER_CONSOLE_ADMIN_PORT": str(self.port),
                    "PANIER_CONSOLE_HOST": "127.0.0.1",
                    "PANIER_CONSOLE_PORT": str(self.page),
                },
            )

    async def ask(self, path: str, body: dict[str, str] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        method, url = ("GET" if body is None else "POST"), f"http://127.0.0.1:{self.port}{path}"
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.request(method, url, headers=headers, json=body) as answer,
            ):
                return await answer.json()
        except aiohttp.ClientConnectionError:
            return {}

    async def is_ready(self) -> bool:
        return bool((await self.ask("/readyz")).get("ready", False))

    async def messages(self, customer: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.ask(f"/internal/messages?phone_number_id={NUMBER}&customer={customer}")
        return found

    async def failed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.ask(f"/internal/messages/failed?phone_number_id={NUMBER}")
        return found


class World:
    """What the other services publish about one customer."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.user_id, self.wa_id = f"FR.{uuid4().hex[:12]}", f"336{str(uuid4().int)[:8]}"
        self.customer = e.Customer(self.user_id, self.wa_id, "Ana")
        self.conversation = f"{NUMBER}:{self.user_id}"

    async def says(
        self, content: m.Content, owner: str = "console", at: datetime = AT, language: str | None = None
    ) -> str:
        wamid = f"wamid.{uuid4().hex}"
        message = e.MessageReceived(self.conversation, NUMBER, self.customer, wamid, at, content, SHOP)
        headers = {OWNER: owner} | ({LANGUAGE: language} if language else {})
        await self._producer.publish(message, inbound_id(NUMBER, wamid), at, "ingest", headers)
        return wamid

    async def is_answered(self, text: str, at: datetime) -> tuple[str, str]:
        """(our id, Meta's) of a message of another service's, taken by the sender."""
        message_id, wamid = str(uuid4()), f"wamid.{uuid4().hex}"
        said = o.packed(o.TextMessage(body=text))
        request = e.MessageRequested(NUMBER, self.conversation, SHOP, self.customer, said)
        await self._producer.publish(request, message_id, at, "catalog")
        sent = e.MessageSent(self.conversation, NUMBER, message_id, wamid, "text", at)
        await self._producer.publish(sent, str(uuid4()), at, "sender")
        return message_id, wamid

    async def is_given_up(self, text: str, said: str, wamid: str = "") -> str:
        """Our id of a message that the sender could not send."""
        message_id = str(uuid4())
        request = e.MessageRequested(
            NUMBER, self.conversation, SHOP, self.customer, o.packed(o.TextMessage(body=text)), "news"
        )
        await self._producer.publish(request, message_id, AT, "checkout")
        failed = e.MessageFailed(
            self.conversation, NUMBER, message_id, "text", 131026, "undeliverable", AT, wamid, said=said
        )
        await self._producer.publish(failed, str(uuid4()), AT, "sender")
        return message_id

    async def status(self, wamid: str, status: str) -> None:
        changed = e.DeliveryChanged(NUMBER, wamid, status, AT)
        await self._producer.publish(changed, inbound_id(NUMBER, wamid, status), AT, "ingest")

    async def floors(self, kafka: str) -> list[e.FloorChanged]:
        """Who has the floor, as published."""
        consumer = AIOKafkaConsumer(FLOOR.name, bootstrap_servers=kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            found = await consumer.getmany(timeout_ms=2000)
        finally:
            await consumer.stop()
        said = [r for records in found.values() for r in records if r.value is not None]
        events = [decode(from_wire(r.headers)["ce_type"], r.value) for r in said]
        return [f for f in events if isinstance(f, e.FloorChanged) and f.conversation == self.conversation]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def producer(kafka: str) -> AsyncIterator[Producer]:
    await apply_topics(kafka)
    producer = Producer(kafka, "test")
    await producer.publish(_shop(), str(uuid4()), AT, "catalog")
    yield producer
    await producer.stop()


@pytest.fixture
def world(producer: Producer) -> World:
    return World(producer)


@pytest_asyncio.fixture(loop_scope="session")
async def console(
    producer: Producer, kafka: str, database: Callable[[str], Awaitable[str]], tmp_path: Path
) -> AsyncIterator[Console]:
    service = Console(kafka, await database("panier_console"), tmp_path / "console.log")
    try:
        await until("the console is ready", service.is_ready)
        yield service
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) == 0
    finally:
        service.process.kill()
        service.process.wait()


def _shop() -> e.ShopConfigured:
    return e.ShopConfigured(
        shop=SHOP,
        version=1,
        name="Boulangerie du Port",
        languages=("fr", "en"),
        currency="EUR",
        timezone="Europe/Paris",
        catalog_id="194836987003835",
        numbers=(e.Number(NUMBER, "+33 6 12 34 56 78", "TOKEN"),),
        collect=True,
        delivery=None,
        payment_provider="simulated",
        expires_after_seconds=1800,
    )


async def until(what: str, look: Callable[[], Awaitable[Any]], seconds: float = 40) -> Any:
    end = asyncio.get_running_loop().time() + seconds
    while not (value := await look()):
        if asyncio.get_running_loop().time() > end:
            pytest.fail(f"waited {seconds} s until {what}")
        await asyncio.sleep(0.05)
    return value


async def test_a_conversation_is_kept_in_both_directions(console: Console, world: World) -> None:
    hello = await world.says(m.Text("bonjour"), owner="catalog")
    answer, wamid = await world.is_answered("Bienvenue !", AT)
    again = await world.says(m.Text("deux croissants"), owner="checkout", at=AT + timedelta(seconds=9))
    for status in ("sent", "read", "delivered", "pondered"):
        await world.status(wamid, status)

    async def is_read() -> bool:
        found = await console.messages(world.user_id)
        return len(found) == 3 and found[1]["state"] == "read"

    await until("the answer is read", is_read)
    by_phone = await console.messages(world.wa_id)
    assert by_phone == await console.messages(world.user_id)
    assert by_phone == [
        _message(hello, "in", "bonjour", "10:00:00", "received"),
        _message(answer, "out", "Bienvenue !", "10:00:00", "read"),
        _message(again, "in", "deux croissants", "10:00:09", "received"),
    ]
    assert await console.messages("33600000000") == []
    assert "croissants" not in console.log.read_text("utf-8")


def _message(message_id: str, direction: str, text: str, time: str, state: str) -> dict[str, str]:
    at = f"2026-11-23T{time}Z"
    return {"id": message_id, "direction": direction, "kind": "text", "text": text, "at": at, "state": state}


async def test_why_a_message_failed_is_told_in_the_senders_words(console: Console, world: World) -> None:
    said = "The customer cannot be reached by WhatsApp on this number. (131026)"
    message_id = await world.is_given_up("Your order is ready.", said)

    async def is_told() -> list[dict[str, Any]]:
        return [x for x in await console.messages(world.user_id) if x["state"] == "failed"]

    (failed,) = await until("the failure is kept", is_told)
    assert failed == _message(message_id, "out", "Your order is ready.", "10:00:00", "failed") | {"why": said}
    (told,) = [x for x in await console.failed() if x["id"] == message_id]
    assert told["customer"] == {"user_id": world.user_id, "wa_id": None}
    assert (told["conversation"], told["text"]) == (world.conversation, "Your order is ready.")
    assert told["why"] == said


async def test_what_was_given_up_and_arrived_after_all_is_no_failure(console: Console, world: World) -> None:
    lost, arrived = await world.is_given_up("One.", "Lost."), await world.is_given_up("Two.", "Lost?", "wamid.two")

    async def both() -> bool:
        return {lost, arrived} <= {x["id"] for x in await console.failed()}

    await until("both failures are told", both)
    await world.status("wamid.two", "delivered")

    async def one() -> bool:
        return arrived not in {x["id"] for x in await console.failed()}

    await until("the one that was delivered is no failure any more", one)
    assert lost in {x["id"] for x in await console.failed()}


async def test_a_person_is_called_and_hands_the_conversation_back(console: Console, world: World, kafka: str) -> None:
    await world.says(m.Text("person"), language="en")

    async def is_called() -> list[dict[str, Any]]:
        return [x for x in await console.messages(world.user_id) if x["direction"] == "out"]

    (answer,) = await until("the customer is told", is_called)
    assert answer["text"].startswith("Someone of the shop will answer")
    (waiting,) = await console.ask(f"/internal/inbox?shop={SHOP}")
    assert waiting["customer"] == {"user_id": world.user_id, "wa_id": world.wa_id}

    await world.says(m.Media("image"), at=AT + timedelta(seconds=1))
    await world.says(m.Media("image"), at=AT + timedelta(minutes=30))

    async def are_kept() -> bool:
        return len(await console.messages(world.user_id)) == 4

    await until("the pictures are kept", are_kept)
    talk = {"phone_number_id": NUMBER, "customer": world.wa_id}
    done = await console.ask("/internal/conversations/hand-back", talk)
    assert done == {"conversation": world.conversation, "person": False}
    assert await console.ask("/internal/conversations/hand-back", talk) == done
    assert await console.ask(f"/internal/inbox?shop={SHOP}") == []

    async def are_both_told() -> list[e.FloorChanged]:
        floors = await world.floors(kafka)
        return floors if len(floors) == 2 else []

    called, back = await until("the floor to be told twice", are_both_told)
    assert (called.person, back.person, back.version) == (True, False, called.version + 1)
    assert len(await is_called()) == 1, "a picture was answered while a person had the floor"


async def test_a_picture_is_answered_once_in_the_shops_language(console: Console, world: World) -> None:
    for second in range(3):
        await world.says(m.Media("image"), at=AT + timedelta(seconds=second))
    await world.says(m.Reaction("wamid.0", "👍"), at=AT + timedelta(seconds=3))

    async def is_answered() -> list[dict[str, Any]]:
        found = await console.messages(world.user_id)
        return found if len(found) == 5 else []

    found = await until("all is kept and answered", is_answered)
    assert [x["kind"] for x in found] == ["image", "buttons", "image", "image", "reaction"]
    assert found[1]["text"].startswith("Désolé")


async def test_a_stranger_cannot_be_handed_back(console: Console) -> None:
    talk = {"phone_number_id": NUMBER, "customer": "33600000000"}
    problem = await console.ask("/internal/conversations/hand-back", talk)
    assert (problem["status"], problem["code"]) == (404, "no_such_conversation")


async def test_the_page_is_strict_and_speaks_the_browsers_language(console: Console) -> None:
    address = f"http://127.0.0.1:{console.page}"
    async with aiohttp.ClientSession() as session:
        async with session.get(address, headers={"Accept-Language": "fr-FR,fr;q=0.9,en;q=0.8"}) as answer:
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
            french = await answer.text()
        async with session.get(address) as answer:
            english = await answer.text()
        async with session.get(f"{address}/style.css") as answer:
            assert answer.content_type == "text/css"
        for hidden in ("/metrics", "/internal/messages", "/docs"):
            async with session.get(address + hidden) as answer:
                assert answer.status == 404
    assert 'lang="fr"' in french
    assert "./panier status" in english
    assert "http" not in english + french, "the page asks nothing of others"


async def test_its_log_is_json(console: Console) -> None:
    lines = console.log.read_text("utf-8").splitlines()
    assert all(json.loads(line)["service"] == "console" for line in lines)
