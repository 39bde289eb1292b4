"""Engines and names for the runner's tests."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
from panier_common.kafka import Producer, apply_topics
from panier_common.postgres import Pool, create_pool


@pytest.fixture(scope="session")
async def broker(kafka: str) -> str:
    await apply_topics(kafka)
    return kafka


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("panier_common"))
    await pool.execute(
        "CREATE TABLE tally (conversation text PRIMARY KEY, texts text[] NOT NULL, "
        "CHECK (NOT 'breaks the rule' = ANY(texts)))"
    )
    yield pool
    pool.terminate()


@pytest.fixture
async def producer(broker: str) -> AsyncIterator[Producer]:
    producer = Producer(broker, "test")
    yield producer
    await producer.stop()


@pytest.fixture
def name() -> str:
    return f"tally.{uuid4().hex[:8]}"
