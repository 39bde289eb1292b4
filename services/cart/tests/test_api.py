"""The internal API, asked over HTTP as the command line asks it."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from panier_cart.api import router
from panier_cart.db import save_carts
from panier_common.postgres import create_pool
from panier_common.web import Server, admin_app

from .story import CONVERSATION, CUSTOMER, NOON, NUMBER, new_cart, order, told

Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
async def ask(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Ask]:
    """`await ask(customer=…)`: status and document, from a running admin port."""
    pool = await create_pool(await database("panier_cart"))
    cart = told(new_cart(), order(("croissant", 2), ("tradition", 1), text="Bien cuits")).cart
    async with pool.acquire() as connection:
        await save_carts(connection, [cart])
    app, internal = admin_app("cart", "1", "secret", lambda: None, dict)
    internal.include_router(router(pool))
    app.include_router(internal)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(app, "127.0.0.1", port)
    await server.start()

    async def get(token: str = "secret", **query: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as client,
            client.get(f"http://127.0.0.1:{port}/internal/carts", params=query) as response,
        ):
            return response.status, await response.json(content_type=None)

    yield get
    await server.stop()
    pool.terminate()


@pytest.mark.parametrize("customer", [CUSTOMER.user_id, CUSTOMER.wa_id, f"+{CUSTOMER.wa_id}"])
async def test_prints_the_cart_of_either_id(ask: Ask, customer: str) -> None:
    status, document = await ask(phone_number_id=NUMBER, customer=customer)
    assert status == 200
    updated_at = document.pop("updated_at")
    assert updated_at.startswith(NOON.strftime("%Y-%m-%dT12:"))
    assert updated_at.endswith("Z")
    assert document == {
        "conversation": CONVERSATION,
        "lines": [
            {
                "sku": "croissant",
                "title": "Croissant au beurre",
                "quantity": 2,
                "unit_minor": 140,
                "total_minor": 280,
            },
            {
                "sku": "tradition",
                "title": "Baguette tradition",
                "quantity": 1,
                "unit_minor": 130,
                "total_minor": 130,
            },
        ],
        "currency": "EUR",
        "total_minor": 410,
        "note": "Bien cuits",
    }


async def test_a_customer_nobody_knows_is_a_problem_with_a_hint(ask: Ask) -> None:
    status, problem = await ask(phone_number_id=NUMBER, customer="33699999999")
    assert (status, problem["code"]) == (404, "unknown_customer")
    assert problem["hint"]


async def test_without_a_customer_or_the_token_nothing_is_said(ask: Ask) -> None:
    assert (await ask(phone_number_id=NUMBER))[0] == 400
    assert (await ask(token="wrong", phone_number_id=NUMBER, customer="33600000001"))[0] == 401
