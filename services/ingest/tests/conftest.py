"""What ingest's tests share: the fixture payloads, a shop, and the door on a real port before a real Kafka."""

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from panier_common.contracts.events import Number, ShopConfigured
from panier_common.kafka import Producer, apply_topics
from panier_common.shops import ShopDirectory
from panier_common.topics import ACCOUNT, COMMAND, DELIVERY, IDENTITY, INBOUND, PAYMENT
from panier_common.web import Server
from panier_ingest.app import create_app
from panier_ingest.identity_directory import IdentityDirectory
from panier_ingest.publisher import Publisher
from panier_ingest.settings import IngestSettings
from panier_ingest.shortcut import Shortcut

WHATSAPP = Path(__file__).parents[3] / "tests" / "fixtures" / "whatsapp"
TOPICS = (INBOUND, DELIVERY, PAYMENT, ACCOUNT)
PUBLISHED = (*TOPICS, IDENTITY, COMMAND)
SECRET = "app-secret"


def _webhooks() -> list[Path]:
    return sorted(path for path in WHATSAPP.rglob("*.json") if path.parent.name != "requests")


WEBHOOKS = {str(path.relative_to(WHATSAPP).with_suffix("")): path.read_bytes() for path in _webhooks()}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `webhook_name` runs once for each payload."""
    if "webhook_name" in metafunc.fixturenames:
        metafunc.parametrize("webhook_name", list(WEBHOOKS))


@pytest.fixture(scope="session")
def webhooks() -> dict[str, bytes]:
    """Every recorded webhook by name."""
    return WEBHOOKS


@pytest.fixture(scope="session")
def shop() -> ShopConfigured:
    return ShopConfigured(
        shop="bakery",
        version=1,
        name="Boulangerie du Port",
        languages=("fr", "en"),
        currency="EUR",
        timezone="Europe/Paris",
        catalog_id="194836987003835",
        numbers=(Number("106540352242922", "+33 6 12 34 56 78", "BAKERY_TOKEN"),),
        collect=True,
        delivery=None,
        payment_provider="simulated",
        expires_after_seconds=1800,
    )


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def webhook_of(*messages: Any, statuses: Sequence[Any] = (), number: str = "106540352242922") -> bytes:
    """A webhook with these messages from one customer, who has a phone number and a name."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "33612345678", "phone_number_id": number},
        "contacts": [{"profile": {"name": "Zoé"}, "wa_id": "33699999999"}],
        "messages": list(messages),
        "statuses": list(statuses),
    }
    entry = {"id": "account-1", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


@pytest.fixture(scope="session")
def sign() -> Callable[..., str]:
    return signature


@pytest.fixture(scope="session")
def make_webhook() -> Callable[..., bytes]:
    return webhook_of


@dataclass
class Sent:
    """A webhook's answer."""

    status: int
    headers: Any
    body: bytes


@dataclass
class OpenDoor:
    """The public port, and what it published since the test began."""

    url: str
    session: aiohttp.ClientSession
    shops: ShopDirectory
    identities: IdentityDirectory
    records: Callable[[int], Awaitable[list[ConsumerRecord]]]

    async def post(self, body: bytes, given: str | None = None, path: str = "/webhooks/whatsapp") -> Sent:
        """A signed webhook; `given` replaces the signature, the empty text leaves it out."""
        headers = {"X-Hub-Signature-256": signature(body) if given is None else given}
        if given == "":
            headers = {}
        return await self.send("POST", path, data=body, headers=headers)

    async def send(self, method: str, path: str, **options: Any) -> Sent:
        async with self.session.request(method, self.url + path, **options) as answer:
            return Sent(answer.status, answer.headers, await answer.read())


@pytest.fixture(scope="session")
def ingest_settings() -> IngestSettings:
    return IngestSettings.model_validate(
        {
            "PANIER_KAFKA_BOOTSTRAP_SERVERS": "unused",
            "PANIER_ADMIN_TOKEN": "admin",
            "PANIER_META_APP_SECRET": f"another-secret, {SECRET}",
            "PANIER_META_VERIFY_TOKEN": "verify-token",
            "PANIER_SIMULATED_PAYMENT_SECRET": "payment-secret",
            "retry_after_seconds": 7,
        }
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def topics(kafka: str) -> str:
    """The broker's address, once it has the topics."""
    await apply_topics(kafka)
    return kafka


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def publisher(topics: str) -> AsyncIterator[Publisher]:
    made = Publisher(Producer(topics, "ingest-tests"), PUBLISHED, acknowledge_seconds=20.0)
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(30):
        while made.trouble() is not None:  # noqa: ASYNC110 - probes ask, nobody tells
            await asyncio.sleep(0.01)
    yield made
    running.cancel()
    await asyncio.wait([running])


@pytest_asyncio.fixture(loop_scope="session")
async def door(
    topics: str, publisher: Publisher, shop: ShopConfigured, ingest_settings: IngestSettings
) -> AsyncIterator[OpenDoor]:
    shops = ShopDirectory(topics)
    shops.put(shop)
    shops.loaded = True
    identities = IdentityDirectory(topics)
    identities.loaded = True
    app = create_app(ingest_settings, shops, identities, publisher)
    server = Server(app, "127.0.0.1", 0, connection=Shortcut, proxy_headers=False)
    await server.start()
    port = server._server.servers[0].sockets[0].getsockname()[1]
    async with _recording(topics) as records, aiohttp.ClientSession() as session:
        yield OpenDoor(f"http://127.0.0.1:{port}", session, shops, identities, records)
    await server.stop()


@contextlib.asynccontextmanager
async def _recording(servers: str) -> AsyncIterator[Callable[[int], Awaitable[list[ConsumerRecord]]]]:
    """`await records(n)`: what was published on ingest's topics since now, once it is n records or more."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic.name, number) for topic in TOPICS for number in await _numbers(consumer, topic.name)
        ]
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        found: list[ConsumerRecord] = []

        async def records(at_least: int) -> list[ConsumerRecord]:
            async with asyncio.timeout(20):
                while True:
                    for some in (await consumer.getmany(timeout_ms=100)).values():
                        found.extend(some)
                    if len(found) >= at_least:
                        return found

        yield records
    finally:
        await consumer.stop()


async def _numbers(consumer: AIOKafkaConsumer, topic: str) -> Sequence[int]:
    consumer._client.add_topic(topic)
    async with asyncio.timeout(20):
        while not (numbers := consumer.partitions_for_topic(topic)):
            await consumer._client.force_metadata_update()
    return sorted(numbers)
