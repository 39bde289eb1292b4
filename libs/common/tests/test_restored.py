"""A database that is what it was some time ago reads on and publishes nothing twice, on real engines."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from panier_common.batch import Loop
from panier_common.contracts import inbound as m
from panier_common.contracts.events import MessageReceived
from panier_common.effects import Effect, SetTimer
from panier_common.event import Received
from panier_common.homes import is_replaying
from panier_common.kafka import partition_of
from panier_common.postgres import create_pool
from panier_common.restored import MARGIN, lift, why_in_use

from .tally import Rang, Tally, conversation, eventually, heard_about, running, say, texts_of


class Service:
    """A tally whose name is a service's: the topic `enquiry` is checkout's."""

    def __init__(self, url: str, pool: Any) -> None:
        self.url, self.pool = url, pool
        self.name = f"checkout.{uuid4().hex[:8]}"

    def loop(self) -> Loop[dict[str, list[str]]]:
        return Slow().loop(self.name)


class Slow(Tally):
    """Its bell rings after a moment, so that it rings after the backup."""

    def decide(self, world: dict[str, list[str]], got: Received) -> Sequence[Effect]:
        match got.event:
            case MessageReceived(content=m.Text(body="alarm")) as message:
                return [SetTimer(f"bell:{message.conversation}", 0.5, Rang(message.conversation))]
        return super().decide(world, got)


async def columns(pool: Any, table: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in await pool.fetch(f"SELECT * FROM {table}")]


TABLES = ("home", "position", "heard", "timer", "conversation", "tally", "outbox")


async def snapshot(pool: Any) -> dict[str, list[tuple[Any, ...]]]:
    return {table: await columns(pool, table) for table in TABLES}


async def go_back(pool: Any, then: dict[str, list[tuple[Any, ...]]]) -> None:
    async with pool.acquire() as db, db.transaction():
        for table, rows in then.items():
            await db.execute(f"DELETE FROM {table}")
            await db.copy_records_to_table(table, records=rows)


@pytest.fixture
async def service(database: Any, broker: str) -> AsyncIterator[Service]:
    url = await database("panier_common")
    pool = await create_pool(url)
    await pool.execute("CREATE TABLE tally (conversation text PRIMARY KEY, texts text[] NOT NULL)")
    yield Service(url, pool)
    pool.terminate()


async def test_reads_on_from_its_backup_without_loss_or_doubles(service, broker, producer):
    who, pool = conversation(), service.pool
    await say(producer, who, "before")
    async with running(service.loop(), pool, broker):
        await eventually("what was before", texts_of(pool, who, 1))
    then = await snapshot(pool)
    for text in ("one", "alarm", "two"):
        await say(producer, who, text)
    async with running(service.loop(), pool, broker):
        await eventually("what came after, and the bell", texts_of(pool, who, 4))
    said = [text for text, _ in await heard_about(broker, who)]
    assert sorted(said) == sorted(["-:before", "-:one", "-:two", "-:rang"])
    highest = {(row["loop"], row["partition"]): row["seq"] for row in await pool.fetch("SELECT * FROM home")}

    await go_back(pool, then)
    lifted = await lift(service.url, "checkout", broker)
    assert lifted.published >= 3  # other tests have published under names of this service too
    assert await pool.fetchval("SELECT count(*) FROM already WHERE loop = $1", service.name) >= 3
    assert lifted.gaps == []
    rows = await pool.fetch("SELECT loop, partition, epoch, seq FROM home")
    assert all(row["seq"] >= highest.get((row["loop"], row["partition"]), 0) + MARGIN for row in rows)
    assert all(row["epoch"] > 1_700_000_000 for row in rows)
    async with pool.acquire() as db:
        assert await is_replaying(db, service.name)

    await say(producer, who, "new")
    async with running(service.loop(), pool, broker):
        again = await eventually("all of it again", texts_of(pool, who, 5))
        assert [text for text in again if text != "rang"] == ["before", "one", "two", "new"]
        assert again.count("rang") == 1

        async def heard() -> list[str] | None:
            told = [text for text, _ in await heard_about(broker, who)]
            return told if "-:new" in told else None

        assert await eventually("the new one on its topic", heard) == [*said, "-:new"]
        async with pool.acquire() as db:
            assert not await is_replaying(db, service.name)


async def test_of_a_long_way_back_no_record_is_left_out(service, broker, producer):
    """Several full batches: whoever reads in the order of time has the reader for himself."""
    pool, people = service.pool, [conversation() for _ in range(1200)]
    async with running(service.loop(), pool, broker):
        await say(producer, people[0], "before")
        await eventually("what was before", texts_of(pool, people[0], 1))
    then = await snapshot(pool)
    await asyncio.gather(*(say(producer, who, "said") for who in people))

    async def counted() -> bool:
        texts = await pool.fetchval(
            "SELECT count(*) FROM tally WHERE 'said' = ANY(texts) AND conversation = ANY($1)", people
        )
        return texts == len(people)

    async with running(service.loop(), pool, broker):
        await eventually("all of it", counted)
    await go_back(pool, then)
    await lift(service.url, "checkout", broker)
    async with running(service.loop(), pool, broker):
        await eventually("all of it again", counted)


async def test_a_place_that_its_topic_does_not_have_is_told_and_changes_nothing(service, broker, producer):
    who, pool = conversation(), service.pool
    at = partition_of(who, 12)
    await say(producer, who, "before")
    async with running(service.loop(), pool, broker):
        await eventually("what was before", texts_of(pool, who, 1))
    await pool.execute("UPDATE position SET next_offset = next_offset + 1000000 WHERE partition = $1", at)
    before = await columns(pool, "home")
    lifted = await lift(service.url, "checkout", broker)
    [gap] = lifted.gaps
    assert (gap.loop, gap.partition, gap.first) == (service.name, at, 0)
    assert await columns(pool, "home") == before
    await lift(service.url, "checkout", broker, accept_gaps=True)
    assert await pool.fetchval("SELECT next_offset FROM position WHERE partition = $1", at) == 0


async def test_a_running_service_is_seen(service, broker, database):
    async with service.pool.acquire() as db:
        await db.fetchval("SELECT 1")
    import asyncpg

    other = await asyncpg.connect(service.url)
    try:
        assert "connections" in (await why_in_use(other, "panier_checkout") or "")
        service.pool.terminate()

        async def alone() -> bool:
            return await why_in_use(other, "panier_checkout") is None

        await eventually("its end", alone)
    finally:
        await other.close()
