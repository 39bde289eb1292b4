"""Around a loop: a conversation is forgotten once all that was written before the request is decided on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from panier_common.batch import Loop
from panier_common.contracts.events import CustomerErased, OrderExpired
from panier_common.effects import Effect, Publish, SetTimer
from panier_common.erasing import SETTLE_SECONDS, Eraser, Erasing, ErasureDue, forget
from panier_common.event import Gone, Received
from panier_common.postgres import Connection, create_pool
from panier_common.read_progress import Progress
from panier_common.topics import COMMAND, INBOUND

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE, OTHER, USER = "100:FR.7", "100:FR.8", "FR.7"
LATER = NOW + timedelta(seconds=SETTLE_SECONDS)


def eraser(**given: Any) -> Eraser[list[str]]:
    async def unused(*_: Any) -> Any:
        raise AssertionError

    def decide(said: list[str], received: Received) -> list[Effect]:
        said.append(received.id)
        return []

    inner = Loop("toy.conversations", (INBOUND,), lambda topic, _: topic == INBOUND.name, unused, decide, unused)
    return Eraser(inner, **given)


def record(event: Any, at: datetime = NOW, topic: str = COMMAND.name) -> Received:
    return Received(topic, 3, 0, "id", at, event, {})


def test_it_reads_the_topic_of_commands_and_of_it_only_its_own() -> None:
    loop = eraser().loop()
    assert loop.topics == (INBOUND, COMMAND)
    assert loop.wants(COMMAND.name, {"ce_type": CustomerErased.ce_type})
    assert not loop.wants(COMMAND.name, {"ce_type": OrderExpired.ce_type})
    assert loop.wants(INBOUND.name, {})


def test_it_waits_for_what_was_written_before() -> None:
    places = {(INBOUND.name, 3): Progress(NOW), (COMMAND.name, 3): Progress(LATER)}
    toy = eraser(also=lambda one: (Publish(Gone(one)),))
    world = Erasing[list[str]]([], places)
    [timer] = toy.loop().decide(world, record(CustomerErased(ONE, "100", (USER,), NOW)))
    assert isinstance(timer, SetTimer)
    assert timer.after_seconds == SETTLE_SECONDS

    [again] = toy.loop().decide(world, record(timer.event, LATER, "timer"))
    assert again == SetTimer(timer.key, 1.0, timer.event)
    places[INBOUND.name, 3] = Progress(NOW, at_end=True)
    assert toy.loop().decide(world, record(timer.event, NOW, "timer"))[0] == again, "not before it has settled"
    assert world.due == []
    assert toy.loop().decide(world, record(timer.event, LATER, "timer")) == (Publish(Gone(ONE)),)
    assert (world.due, world.homes, world.inner) == ([timer.event], {3}, [])


@pytest.fixture
async def pool(database: Any) -> Any:
    pool = await create_pool(await database("panier_common"))
    yield pool
    pool.terminate()


async def test_what_the_runner_keeps_of_a_customer_goes_and_nothing_else(pool: Any) -> None:
    async with pool.acquire() as db:
        for one in (ONE, OTHER):
            await db.execute("INSERT INTO conversation (loop, conversation) VALUES ('a.b', $1), ('a.c', $1)", one)
            await db.execute("INSERT INTO merged (loop, conversation, \"into\") VALUES ('a.b', $1, 'x')", one)
            value = f'{{"conversation":"{one}"}}'.encode()
            await db.execute("INSERT INTO timer VALUES ('a.b', 3, $1, now(), 't', $2, NULL)", one, value)
        letters = {"key": (ONE, b""), "word": ("100", b'{"user_id":"FR.7"}'), "longer": ("100", b'{"user_id":"FR.77"}')}
        for n, (key, value) in enumerate(letters.values()):
            await db.execute(
                'INSERT INTO dead_letter (id, loop, home, topic, partition, "offset", key, headers, value, reason) '
                "VALUES (gen_random_uuid(), 'a.c', 3, 't', 0, $1, $2, '{}', $3, '')",
                n, key, value,
            )  # fmt: skip
        await db.execute(
            'INSERT INTO dead_letter (id, loop, home, topic, partition, "offset", key, headers, value, edited, reason) '
            "VALUES (gen_random_uuid(), 'a.c', 3, 't', 0, 9, '100', '{}', NULL, $1, '')", letters["word"][1]
        )  # fmt: skip
        await forget(db, "a.b", [3], [ErasureDue(ONE, (USER,), NOW)])
        left = "SELECT conversation, loop FROM conversation ORDER BY 1, 2"
        assert [tuple(row) for row in await db.fetch(left)] == [(ONE, "a.c"), (OTHER, "a.b"), (OTHER, "a.c")]
        assert await db.fetchval("SELECT array_agg(conversation) FROM merged") == [OTHER]
        assert await db.fetchval("SELECT array_agg(key) FROM timer") == [OTHER]
        assert await db.fetchval("SELECT array_agg(value) FROM dead_letter") == [letters["longer"][1]]


async def test_what_a_service_leaves_alone_the_runner_keeps(pool: Any) -> None:
    async def erase(_: Connection, conversations: Sequence[str]) -> set[str]:
        assert conversations == [ONE, OTHER]
        return {ONE}

    async def save(_: Connection, said: list[str]) -> None:
        assert said == ["said"]

    toy = eraser(erase=erase)
    toy.inner = replace(toy.inner, name="a.b", save=save)
    async with pool.acquire() as db:
        for one in (ONE, OTHER):
            await db.execute("INSERT INTO conversation (loop, conversation) VALUES ('a.b', $1)", one)
            value = f'{{"conversation":"{one}"}}'.encode()
            await db.execute("INSERT INTO timer VALUES ('a.b', 3, $1, now(), 't', $2, NULL)", one, value)
        due = [ErasureDue(OTHER, ("FR.8",), NOW), ErasureDue(ONE, (USER,), NOW)]
        await toy.loop().save(db, Erasing(["said"], due=due, homes={3}))
        assert await db.fetchval("SELECT array_agg(key) FROM timer") == [ONE]
        assert await db.fetchval("SELECT array_agg(conversation) FROM conversation") == [ONE]
