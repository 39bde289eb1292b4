"""Every service's HTTP interface against what its OpenAPI document allows and forbids, by generated requests.

Whatever is asked: no failure of the server, refusals as problem+json, answers as the document describes them. The
applications run in this process over real engines, without their loops.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from panier_cart.api import router as cart_routes
from panier_catalog.api import router as catalog_routes
from panier_checkout.api import routes as checkout_routes
from panier_common.contracts.events import ShopConfigured
from panier_common.kafka import Producer, apply_topics
from panier_common.postgres import Pool, create_pool
from panier_common.shops import ShopDirectory
from panier_common.topics import PAYMENT
from panier_common.web import Server, admin_app
from panier_console.api import router as console_routes
from panier_ingest.app import create_app
from panier_ingest.identity_directory import IdentityDirectory
from panier_ingest.publisher import Publisher
from panier_ingest.settings import IngestSettings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

pytestmark = [
    pytest.mark.timeout(600),
    # Kafka's client draws random numbers in the same process, which is not what the generator warns of.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

TOKEN = "contract-token"
EXAMPLES = 15
SHOP = ShopConfigured("bakery", 1, "B", ("fr",), "EUR", "Europe/Paris", "1", (), True, None, "simulated", 1800.0)


@dataclass
class Interface:
    """An application that answers at `url`, and what its document says."""

    url: str
    document: dict[str, Any]


Database = Callable[[str], Awaitable[str]]


@asynccontextmanager
async def served(app: Any, document: dict[str, Any]) -> AsyncIterator[Interface]:
    server = Server(app, "127.0.0.1", 0)
    await server.start()
    port = server._server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Interface(f"http://127.0.0.1:{port}", document)
    finally:
        await server.stop()


@asynccontextmanager
async def internal(name: str, kafka: str, database: Database) -> AsyncIterator[Interface]:
    """A service's admin port with its internal API."""
    pool = await create_pool(await database(f"panier_{name}"))
    producer = Producer(kafka, "contracts")
    shops = ShopDirectory(kafka)
    shops.put(SHOP)
    app, routes = admin_app(name, "1", TOKEN, lambda: None, dict)
    routes.include_router(await _routes(name, pool, producer, shops))
    app.include_router(routes)
    try:
        async with served(app, app.openapi()) as interface:
            yield interface
    finally:
        await producer.stop()
        pool.terminate()


async def _routes(name: str, pool: Pool, producer: Producer, shops: ShopDirectory) -> Any:
    async def partitions() -> int:
        return 12

    match name:
        case "cart":
            return cart_routes(pool)
        case "catalog":
            return catalog_routes(pool, partitions)
        case "checkout":
            return checkout_routes(pool, producer, shops)
        case _:
            return console_routes(pool, producer)


@asynccontextmanager
async def public(kafka: str) -> AsyncIterator[Interface]:
    """Ingest's port: the handshake and payment notifications; the webhook itself is below the framework."""
    told = {
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "PANIER_ADMIN_TOKEN": TOKEN,
        "PANIER_META_APP_SECRET": "secret",
        "PANIER_META_VERIFY_TOKEN": "word",
        "PANIER_SIMULATED_PAYMENT_SECRET": "secret",
    }
    shops, identities = ShopDirectory(kafka), IdentityDirectory(kafka)
    shops.put(SHOP)
    shops.loaded = identities.loaded = True
    publisher = Publisher(Producer(kafka, "contracts"), (PAYMENT,), 2.0)
    door = create_app(IngestSettings.model_validate(told), shops, identities, publisher)
    publishing = asyncio.create_task(publisher.run())
    try:
        async with served(door, door._app.openapi()) as interface:  # type: ignore[attr-defined]
            yield interface
    finally:
        publishing.cancel()
        await asyncio.wait([publishing])


def put_to_the_test(interface: Interface) -> dict[str, int]:
    """Generated requests for every operation; how many each had."""
    schema = schemathesis.openapi.from_dict(interface.document)
    asked: dict[str, int] = {}
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy())
        def run(case: Any) -> None:
            asked[case.operation.label] = asked.get(case.operation.label, 0) + 1
            answer = case.call(base_url=interface.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
            if answer.status_code == 503:
                assert answer.headers["content-type"] == ["application/problem+json"]
                return
            case.validate_response(answer, checks=[not_a_server_error])
            if answer.status_code < 300:
                case.validate_response(answer, checks=[response_schema_conformance])
            elif "/internal/" in case.path:
                assert answer.headers["content-type"] == ["application/problem+json"]
                assert {"type", "title", "status", "code", "detail", "hint"} <= answer.json().keys()

        run()
    return asked


@pytest.mark.parametrize("name", ["cart", "catalog", "checkout", "console"])
async def test_an_internal_api_keeps_to_its_document(name: str, kafka: str, database: Database) -> None:
    await apply_topics(kafka)
    async with internal(name, kafka, database) as interface:
        asked = await asyncio.to_thread(put_to_the_test, interface)
    assert len(asked) >= 5
    assert any("/internal/" in operation for operation in asked)


async def test_the_public_port_keeps_to_its_document(kafka: str) -> None:
    await apply_topics(kafka)
    async with public(kafka) as interface:
        asked = await asyncio.to_thread(put_to_the_test, interface)
    assert set(asked) == {"GET /webhooks/whatsapp", "POST /webhooks/payments/{provider}"}
