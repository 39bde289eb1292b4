"""A migrated database of the catalogue's, and the garden's shop in it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from panier_catalog import db
from panier_common.postgres import Connection, Pool, create_pool

from .story import GARDEN


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("panier_catalog"))
    async with pool.acquire() as connection:
        await db.save_shops(connection, [GARDEN])
    yield pool
    pool.terminate()


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as connection, connection.transaction():
        yield connection
