"""The internal API over HTTP, on a real PostgreSQL: what is answered, and how refusals look."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from aiokafka.errors import KafkaConnectionError
from panier_catalog import api
from panier_common.postgres import Pool
from panier_common.web import Server, admin_app

from .story import GARDEN, SHOP, feed_text, row, twelve

TOKEN = "a token of this test"
TABLE = {
    "id": "leeds",
    "name": "Leeds",
    "languages": ["en"],
    "currency": "GBP",
    "timezone": "Europe/London",
    "catalog_id": "88",
    "catalogue": "catalogue.csv",
    "number": [{"phone_number_id": "4401", "display": "+44 20", "access_token_env": "TOKEN"}],
}


async def away() -> int:
    raise KafkaConnectionError


@pytest.fixture
async def client(pool: Pool, request: pytest.FixtureRequest) -> AsyncIterator[ClientSession]:
    partitions = getattr(request, "param", twelve)
    app, internal = admin_app("catalog", "0", TOKEN, lambda: None, dict)
    internal.include_router(api.router(pool, partitions))
    app.include_router(internal)
    server = Server(app, "127.0.0.1", 0)
    await server.start()
    port = server._server.servers[0].sockets[0].getsockname()[1]
    async with ClientSession(f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        yield session
    await server.stop()


async def send(client: ClientSession, shop: str, body: str | bytes) -> tuple[int, list[Any]]:
    async with client.post(f"/internal/shops/{shop}/products", data=body) as response:
        return response.status, [json.loads(line) for line in (await response.text()).splitlines()]


async def test_an_import_tells_its_progress_and_its_result(client):
    status, lines = await send(client, SHOP, feed_text(*(row(f"s{n}") for n in range(1500)), row("bad", price="x")))
    assert status == 200
    assert lines[:2] == [{"progress": {"done": 1000, "total": 1500}}, {"progress": {"done": 1500, "total": 1500}}]
    result = lines[2]["result"]
    assert {name: result[name] for name in ("created", "updated", "unchanged")} == {
        "created": 1500,
        "updated": 0,
        "unchanged": 0,
    }
    assert result["rejected"] == [{"row": 1502, "reason": "`price`: 'x' is not a price like `2.80 EUR`"}]


async def test_a_feed_without_products_has_a_result_too(client):
    _, lines = await send(client, SHOP, feed_text())
    assert lines[-1] == {"result": {"created": 0, "updated": 0, "unchanged": 0, "rejected": []}}


async def test_products_are_listed_with_their_counts(client):
    out = row("c", availability="out of stock", quantity="")
    await send(client, SHOP, feed_text(row("a"), row("b", quantity="0"), out))
    async with client.get(f"/internal/shops/{SHOP}/products") as response:
        listed = await response.json()
    assert listed[0] == {
        "sku": "a",
        "title": "Bêche",
        "price": {"minor": 1990, "currency": "EUR"},
        "available": 5,
        "reserved": 0,
        "sold": 0,
        "state": "in_stock",
    }
    assert [(p["sku"], p["available"], p["state"]) for p in listed[1:]] == [
        ("b", 0, "sold_out"),
        ("c", None, "out_of_stock"),
    ]


@pytest.mark.parametrize(
    ("shop", "body", "status", "code"),
    [
        ("nowhere", feed_text(), 404, "no_such_shop"),
        (SHOP, "", 400, "feed_columns"),
        (SHOP, "id,title\n", 400, "feed_columns"),
        (SHOP, b"id,title\n\xff", 400, "feed_encoding"),
    ],
)
async def test_a_feed_that_cannot_be_read_is_a_problem(client, shop, body, status, code):
    got, (problem,) = await send(client, shop, body)
    assert (got, problem["code"], problem["status"]) == (status, code, status)
    assert problem["hint"]


async def test_products_of_no_shop_are_a_problem(client):
    async with client.get("/internal/shops/nowhere/products") as response:
        assert (response.status, (await response.json())["code"]) == (404, "no_such_shop")


async def test_shops_are_applied_with_their_first_catalogue_and_listed(client):
    document = {"shops": [TABLE], "catalogues": {"leeds": feed_text(row("a", price="5.00 GBP"), row("b"))}}
    async with client.put("/internal/shops", json=document) as response:
        applied = await response.json()
    assert response.status == 200
    assert [(shop["id"], shop["version"], shop["changed"]) for shop in applied["shops"]] == [("leeds", 1, True)]
    assert applied["catalogues"]["leeds"]["created"] == 1
    assert [r["row"] for r in applied["catalogues"]["leeds"]["rejected"]] == [3]
    async with client.put("/internal/shops", json=document) as response:
        again = await response.json()
    assert (again["shops"][0]["changed"], again["catalogues"]) == (False, {})
    async with client.get("/internal/shops") as response:
        assert [shop["id"] for shop in await response.json()] == [GARDEN.shop, "leeds"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"currency": "POUND"}, "shop[0].currency: `POUND` is no currency"),
        ({"number": []}, "shop[0].number: "),
        ({"number": [{**TABLE["number"][0], "phone_number_id": GARDEN.numbers[0].phone_number_id}]}, "is used by"),
    ],
)
async def test_shops_with_a_fault_are_refused_whole(client, change, said):
    async with client.put("/internal/shops", json={"shops": [TABLE | change]}) as response:
        problem = await response.json()
    assert (response.status, problem["code"]) == (400, "shops_invalid")
    assert said in problem["detail"]
    async with client.get("/internal/shops") as response:
        assert len(await response.json()) == 1


HALF = "\ud83e"  # of an emoji: JSON can say it, nothing can keep it


@pytest.mark.parametrize(
    "document",
    [
        {"shops": [TABLE | {"name": HALF}]},
        {"shops": [TABLE | {"currency": HALF}]},
        {"shops": [TABLE], HALF: 1},
        {"shops": [TABLE], "catalogues": {"leeds": HALF}},
    ],
)
async def test_half_of_a_character_is_refused(client, document):
    async with client.put("/internal/shops", json=document) as response:
        assert (response.status, response.content_type) == (400, "application/problem+json")
        assert (await response.json())["detail"]
    async with client.get("/internal/shops") as response:
        assert [shop["id"] for shop in await response.json()] == [GARDEN.shop]


async def test_a_catalogue_that_cannot_be_read_leaves_the_shops_unapplied(client):
    async with client.put("/internal/shops", json={"shops": [TABLE], "catalogues": {"leeds": "id,title"}}) as response:
        assert (response.status, (await response.json())["code"]) == (400, "feed_columns")
    async with client.get("/internal/shops") as response:
        assert [shop["id"] for shop in await response.json()] == [GARDEN.shop]


async def test_without_the_token_nothing_is_told(client):
    async with client.get("/internal/shops", headers={"Authorization": "Bearer guess"}) as response:
        assert response.status == 401


@pytest.mark.parametrize("client", [away], indirect=True)
async def test_without_a_broker_nothing_is_written(client):
    status, (problem,) = await send(client, SHOP, feed_text(row("a")))
    assert (status, problem["code"]) == (503, "broker_away")
    async with client.put("/internal/shops", json={"shops": [TABLE]}) as response:
        assert response.status == 503
    async with client.get("/internal/shops") as response:
        assert [shop["id"] for shop in await response.json()] == [GARDEN.shop]
