"""What people's tools are told by an internal API while its database is away."""

import aiohttp
import asyncpg
import pytest
from panier_common.ports import free_port
from panier_common.postgres import create_pool
from panier_common.web import Server, admin_app


# The first is met on the way to a real server that is not there; the others by whom a dying one still answers.
@pytest.mark.parametrize("error", [None, asyncpg.CannotConnectNowError, asyncpg.InternalClientError, TimeoutError])
async def test_a_database_that_is_away_is_503_and_worth_another_try(error: type[Exception] | None) -> None:
    pool = await create_pool(f"postgresql://nobody:x@127.0.0.1:{free_port()}/nothing")
    app, internal = admin_app("cart", "1", "secret", lambda: None, dict)

    @internal.get("/carts")
    async def carts() -> list[str]:
        if error is not None:
            raise error("as it happens")
        return [await pool.fetchval("SELECT 'a cart'")]

    app.include_router(internal)
    port = free_port()
    server = Server(app, "127.0.0.1", port)
    await server.start()
    try:
        async with (
            aiohttp.ClientSession(headers={"Authorization": "Bearer secret"}) as client,
            client.get(f"http://127.0.0.1:{port}/internal/carts") as answer,
        ):
            assert answer.status == 503
            assert answer.content_type == "application/problem+json"
            assert (await answer.json())["code"] == "no_database"
    finally:
        await server.stop()
        pool.terminate()
