"""The simulator's own API: customers, what they do, their chats, the stream of changes."""

import asyncio
import json

import pytest

from .conftest import NUMBER, Bakery, Door, Json, Simulator, until


async def test_makes_customers_with_and_without_a_number(simulator: Simulator) -> None:
    camille, noa = await simulator.customer(), await simulator.customer("Noa", None)
    assert (camille["wa_id"], noa["wa_id"]) == ("33600000001", None)
    assert (await simulator.call("GET", "/api/customers"))[1] == [camille, noa]
    taken = {"name": "Other", "wa_id": "33600000001"}
    status, problem = await simulator.call("POST", "/api/customers", json=taken)
    assert (status, problem["code"]) == (409, "customer_exists")
    own = {"name": "Own", "user_id": "US.13491208655302741918"}
    assert (await simulator.call("POST", "/api/customers", json=own))[1]["user_id"] == own["user_id"]
    assert (await simulator.call("POST", "/api/customers", json={"name": ""}))[0] == 422


async def test_sends_a_cart_at_the_prices_it_shows(simulator: Simulator, door: Door) -> None:
    customer = await simulator.customer()
    cart = [{"sku": "croissant", "quantity": 2}, {"sku": "tarte-citron", "quantity": 1, "price": 20}]
    await simulator.act(customer, {"cart": cart, "text": "Merci"})
    (message,) = await until(door.messages)
    assert message["type"] == "order"
    croissant = {"product_retailer_id": "croissant", "quantity": 2, "item_price": 1.4, "currency": "EUR"}
    tart = {"product_retailer_id": "tarte-citron", "quantity": 1, "item_price": 20, "currency": "EUR"}
    assert message["order"] == {
        "catalog_id": "194836987003835",
        "text": "Merci",
        "product_items": [croissant, tart],
    }


async def test_presses_what_the_phone_shows(simulator: Simulator, door: Door, bakery: Bakery) -> None:
    customer = await simulator.customer()
    refusal = await simulator.act(customer, {"press": "cart:show"}, expect=400)
    assert refusal["code"] == "impossible_action"
    await simulator.act(customer, {"text": "bonjour"})
    (shown,) = await until_kind(simulator, customer, "button")
    await simulator.act(customer, {"press": "cart:show"})
    pressed = await until(lambda: door.messages()[1:] and door.messages()[1])
    assert pressed["interactive"] == {
        "type": "button_reply",
        "button_reply": {"id": "cart:show", "title": "Mon panier"},
    }
    assert pressed["context"] == {"from": "33612345678", "id": shown["wamid"]}

    await simulator.act(customer, {"press": "checkout:confirm:gone", "title": "Confirmer", "force": True})
    forced = await until(lambda: door.messages()[2:] and door.messages()[2])
    assert forced["interactive"]["button_reply"] == {"id": "checkout:confirm:gone", "title": "Confirmer"}


async def test_chooses_a_row_of_a_list(simulator: Simulator, door: Door, bakery: Bakery) -> None:
    customer = await simulator.customer()
    await simulator.act(customer, {"text": "menu"})
    await until_kind(simulator, customer, "list")
    await simulator.act(customer, {"press": "catalog:collection:Pains"})
    chosen = await until(lambda: door.messages()[1:] and door.messages()[1])
    row = {"id": "catalog:collection:Pains", "title": "Pains", "description": "Voir les prix"}
    assert chosen["interactive"] == {"type": "list_reply", "list_reply": row}


async def until_kind(simulator: Simulator, customer: Json, kind: str) -> list[Json]:
    """The shop's messages of this kind, once there is one; by long polls."""
    seen: list[Json] = []
    async with asyncio.timeout(10):
        while not (found := [message for message in seen if message["kind"] == kind]):
            seen += await simulator.chat(customer, after=seen[-1]["seq"] if seen else 0, wait=5)
    return found


async def test_answers_a_location_request(simulator: Simulator, door: Door, bakery: Bakery) -> None:
    customer = await simulator.customer()
    await simulator.act(customer, {"text": "livraison"})
    (asked,) = await until_kind(simulator, customer, "location_request_message")
    place = {"latitude": 43.2965, "longitude": 5.3698, "name": "Le Port"}
    await simulator.act(customer, {"location": place})
    sent = await until(lambda: door.messages()[1:] and door.messages()[1])
    assert sent["location"] == place
    assert sent["context"]["id"] == asked["wamid"]


async def test_asks_about_a_product(simulator: Simulator, door: Door) -> None:
    customer = await simulator.customer()
    await simulator.act(customer, {"product_question": {"sku": "croissant", "text": "Encore chaud ?"}})
    (message,) = await until(door.messages)
    assert message["text"] == {"body": "Encore chaud ?"}
    referred = {"catalog_id": "194836987003835", "product_retailer_id": "croissant"}
    assert message["context"]["referred_product"] == referred


ODD: list[tuple[Json, str]] = [
    ({"media": {"kind": "image", "caption": "regardez"}}, "image"),
    ({"reaction": {"message_id": "wamid.x", "emoji": "👍"}}, "reaction"),
    ({"contacts": [{"name": {"formatted_name": "Camille"}}]}, "contacts"),
    ({"raw": {"type": "unsupported", "errors": [{"code": 131051}]}}, "unsupported"),
]


@pytest.mark.parametrize(("action", "kind"), ODD)
async def test_sends_other_kinds(simulator: Simulator, door: Door, action: Json, kind: str) -> None:
    await simulator.act(await simulator.customer(), action)
    (message,) = await until(door.messages)
    assert message["type"] == kind
    assert message["from"] == "33600000001"


IMPOSSIBLE: list[Json] = [
    {},
    {"text": ""},
    {"text": "a", "location": {"latitude": 1, "longitude": 2}},
    {"cart": []},
    {"cart": [{"sku": "unicorn", "quantity": 1}]},
    {"cart": [{"sku": "croissant", "quantity": 0}]},
    {"cart": [{"sku": "croissant", "quantity": 100}]},
    {"cart": [{"sku": "croissant", "quantity": "two"}]},
    {"location": {"latitude": 1}},
    {"product_question": {"sku": "unicorn", "text": "?"}},
    {"media": {"kind": "hologram"}},
]


@pytest.mark.parametrize("action", IMPOSSIBLE)
async def test_refuses_what_a_phone_cannot_do(simulator: Simulator, door: Door, action: Json) -> None:
    customer = await simulator.customer()
    assert (await simulator.act(customer, action, expect=400))["code"] == "impossible_action"
    assert await simulator.chat(customer) == []


async def test_force_sends_what_a_phone_would_not(simulator: Simulator, door: Door) -> None:
    cart = [{"sku": "unicorn", "quantity": 0, "currency": "USD"}]
    await simulator.act(await simulator.customer(), {"cart": cart, "force": True})
    (message,) = await until(door.messages)
    item = message["order"]["product_items"][0]
    assert (item["product_retailer_id"], item["quantity"], item["currency"]) == ("unicorn", 0, "USD")


async def test_a_long_poll_ends_with_the_message(simulator: Simulator) -> None:
    customer = await simulator.customer()
    assert await simulator.chat(customer, wait=0.01) == []
    waiting = asyncio.create_task(simulator.chat(customer, wait=30))
    await until(lambda: simulator.exchange.hub._queues)
    sent = await simulator.act(customer, {"text": "hello"})
    (message,) = await asyncio.wait_for(waiting, 5)
    assert message["wamid"] == sent["wamid"]
    assert await simulator.chat(customer, after=message["seq"]) == []


async def test_streams_what_changes(simulator: Simulator) -> None:
    customer = await simulator.customer()
    async with simulator.session.get(f"{simulator.url}/api/events") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        await stream.content.readline()
        await until(lambda: simulator.exchange.hub._queues)
        sent = await simulator.act(customer, {"text": "hello"})
        async with asyncio.timeout(5):
            while not (line := await stream.content.readline()).startswith(b"data: "):
                pass
    event = json.loads(line.removeprefix(b"data: "))
    assert (event["event"], event["message"]["wamid"]) == ("message", sent["wamid"])


async def test_says_what_is_unknown(simulator: Simulator) -> None:
    for path, code in (
        ("/api/customers/nobody/chat", "unknown_customer"),
        ("/api/shops/none/products", "unknown_shop"),
        ("/pictures/boulangerie/..%2Fshops.toml", None),
        ("/pictures/boulangerie/shops.toml", "unknown_picture"),
    ):
        status, problem = await simulator.call("GET", path)
        assert status == 404
        assert code is None or problem["code"] == code
    customer = await simulator.customer()
    status, problem = await simulator.call("GET", f"/api/customers/{customer['id']}/chat?number=1")
    assert (status, problem["code"]) == (404, "unknown_number")


async def test_serves_shops_products_and_pictures(simulator: Simulator) -> None:
    (shop,) = (await simulator.call("GET", "/api/shops"))[1]
    assert shop["numbers"] == [{"phone_number_id": NUMBER, "display": "+33 6 12 34 56 78"}]
    products = (await simulator.call("GET", "/api/shops/boulangerie/products"))[1]
    assert len(products) >= 32
    assert len({product["collection"] for product in products}) == 6
    assert [product["sku"] for product in products if not product["available"]] == ["tartelette-fraises"]
    for product in products:
        async with simulator.session.get(simulator.url + product["picture"]) as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "image/png"
            assert len(await response.read()) < 25_000


async def test_probes(simulator: Simulator) -> None:
    assert (await simulator.call("GET", "/livez"))[0] == 200
    assert await simulator.call("GET", "/readyz") == (200, {"ready": True})
    status = (await simulator.call("GET", "/status"))[1]
    assert status.keys() == {"name", "version", "ready", "why", "lag"}
    assert "panier_simulator_webhooks_delivered_total 0" in (await simulator.call("GET", "/metrics"))[1]
