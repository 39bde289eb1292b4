"""The next batch is fetched and decoded while one is saved: whatever happens then, none is lost, none taken twice."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import panier_common.runner as runner_module
import pytest
from panier_common.contracts import inbound as m
from panier_common.contracts.events import Customer, MessageReceived
from panier_common.event import cloud_headers, encode, inbound_id
from panier_common.kafka import Outgoing, partition_of
from panier_common.postgres import Connection
from panier_common.runner import BATCH_RECORDS, Runner
from panier_common.topics import INBOUND

from .tally import NUMBER, START, Tally, conversation, eventually, heard_about, running, say, texts_of

MANY = 2 * BATCH_RECORDS + 100


class Held(Tally):
    """A tally whose first large batch with somebody in it is held while it is saved, until it is let go.

    Then it is saved, or fails once more.
    With `fails`, it fails again and again till then.
    """

    def __init__(self, who: str, *, fails: bool = False, fails_at_last: bool = False) -> None:
        super().__init__()
        self.who = who
        self.holding = asyncio.Event()
        self.let_go = asyncio.Event()
        self.fails = fails
        self.fails_at_last = fails_at_last

    async def save(self, db: Connection, world: dict[str, list[str]]) -> None:
        if self.batches[-1] == BATCH_RECORDS and self.who in world and not self.let_go.is_set():
            self.holding.set()
            if self.fails:
                raise OSError("the disk is full")
            await self.let_go.wait()
            if self.fails_at_last:
                raise OSError("the disk is full")
        await super().save(db, world)


@pytest.fixture
async def who(producer) -> str:
    """Somebody who has sent more than two batches."""
    who = conversation()
    home = partition_of(who, 12)
    await producer.send_in_order(INBOUND.name, home, [_message(who, n) for n in range(MANY)])
    return who


def _message(who: str, n: int) -> Outgoing:
    at = START + timedelta(seconds=n)
    message = MessageReceived(who, NUMBER, Customer("FR.1"), f"wamid.{n}", at, m.Text(TEXTS[n]), shop="shop")
    headers = cloud_headers(message, inbound_id(who, f"{n}"), "ingest", at)
    return Outgoing(0, n, INBOUND.name, who, headers, encode(message))


TEXTS = [f"text {n}" for n in range(MANY)]


async def a_batch_ahead(runner: Runner[Any], tally: Held) -> None:
    """One batch is being saved, and the one after it is there."""
    await asyncio.wait_for(tally.holding.wait(), 60)

    async def there() -> bool:
        return runner._ahead is not None and runner._ahead.done() and bool(runner._ahead.result())

    await eventually("the batch ahead", there)


async def rebalanced(runner: Runner[Any]) -> None:
    """The group takes every partition away and gives the same ones back."""
    assignment = sorted(runner._reader().assignment())
    await runner.on_partitions_revoked(assignment)
    assert not runner._homes
    await runner.on_partitions_assigned(assignment)


async def test_homes_lost_and_taken_again_between_two_batches(pool, broker, producer, name, who):
    tally = Held(who)
    async with running(tally.loop(name), pool, broker) as runner:
        await a_batch_ahead(runner, tally)
        lost = asyncio.create_task(rebalanced(runner))
        await eventually("the homes to be given up", given_up(runner))
        tally.let_go.set()  # the batch under way is still ours: its transaction was begun before
        await lost
        assert await eventually("all", texts_of(pool, who, MANY), 40) == TEXTS
    assert await said_about(broker, who) == TEXTS


async def test_homes_lost_and_taken_again_while_a_batch_cannot_be_saved(pool, broker, producer, name, who):
    """The failing batch is dropped, and with it what was read after it: both are read again."""
    tally = Held(who, fails=True)
    async with running(tally.loop(name), pool, broker) as runner:
        await a_batch_ahead(runner, tally)
        await rebalanced(runner)
        tally.let_go.set()
        assert await eventually("all", texts_of(pool, who, MANY), 40) == TEXTS
    assert await said_about(broker, who) == TEXTS


async def test_homes_taken_again_before_the_batch_ends_that_could_not_be_waited_for(
    pool, broker, producer, name, who, monkeypatch
):
    """Giving homes up did not wait for the batch; it then fails, and what was read after it must not be taken."""
    monkeypatch.setattr(runner_module, "RELEASE_SECONDS", 0.1)
    tally = Held(who, fails_at_last=True)
    async with running(tally.loop(name), pool, broker) as runner:
        await a_batch_ahead(runner, tally)
        await rebalanced(runner)
        tally.let_go.set()
        assert await eventually("all", texts_of(pool, who, MANY), 40) == TEXTS
    assert await said_about(broker, who) == TEXTS


async def test_another_process_takes_homes_over_while_a_batch_is_ahead(pool, broker, producer, name, who):
    tally, other = Held(who), Tally()
    async with running(tally.loop(name), pool, broker) as runner:
        await a_batch_ahead(runner, tally)
        async with running(other.loop(name), pool, broker) as second:
            await eventually("the homes to be given up", given_up(runner))
            tally.let_go.set()

            async def shared() -> bool:
                return 0 < len(second._homes) < 12 and len(runner._homes) + len(second._homes) == 12

            await eventually("both to have homes", shared, 40)
        assert await eventually("all", texts_of(pool, who, MANY), 40) == TEXTS
    assert await said_about(broker, who) == TEXTS


async def test_a_poisonous_record_in_the_batch_ahead_is_the_only_dead_letter(pool, broker, producer, name, who):
    neighbour = conversation_beside(who)
    texts = ["poison" if n == BATCH_RECORDS + 20 else text for n, text in enumerate(TEXTS)]
    records = [_message(neighbour, n) for n in range(MANY)]
    await producer.send_in_order(INBOUND.name, partition_of(who, 12), records[: BATCH_RECORDS + 20])
    await say(producer, neighbour, "poison", at=START + timedelta(seconds=BATCH_RECORDS + 20))
    await producer.send_in_order(INBOUND.name, partition_of(who, 12), records[BATCH_RECORDS + 21 :])
    tally = Held(who)
    async with running(tally.loop(name), pool, broker) as runner:
        await a_batch_ahead(runner, tally)
        tally.let_go.set()
        good = [text for text in texts if text != "poison"]
        assert await eventually("the neighbour", texts_of(pool, neighbour, MANY - 1), 40) == good
        assert await eventually("the others", texts_of(pool, who, MANY), 40) == TEXTS
    # The topic is shared with other tests, whose poison is met here too.
    assert await pool.fetchval("SELECT count(*) FROM dead_letter WHERE key = ANY($1)", [who, neighbour]) == 1


async def test_a_batch_ahead_is_left_to_the_next_when_told_to_stop(pool, broker, producer, name, who):
    tally = Held(who)
    async with running(tally.loop(name), pool, broker) as runner:
        await a_batch_ahead(runner, tally)
        runner.stop()
        tally.let_go.set()
    taken = await pool.fetchval("SELECT cardinality(texts) FROM tally WHERE conversation = $1", who)
    assert (taken or 0) < MANY
    async with running(Tally().loop(name), pool, broker):
        assert await eventually("all", texts_of(pool, who, MANY), 40) == TEXTS
    assert await said_about(broker, who) == TEXTS


async def test_a_batch_ahead_waits_with_the_one_that_cannot_be_saved(pool, broker, producer, name, who):
    tally = Held(who, fails=True)
    async with running(tally.loop(name), pool, broker) as runner:
        await a_batch_ahead(runner, tally)
        assert "database" in await eventually("a reason", waiting(runner))
        tally.let_go.set()
        assert await eventually("all", texts_of(pool, who, MANY), 40) == TEXTS
    assert await said_about(broker, who) == TEXTS


async def test_told_to_stop_while_halving_saves_nothing_behind_what_could_not_be_saved(
    pool, broker, producer, name, who
):
    """The first half cannot be saved, the second could: its position would leave the first one out for ever."""

    class Halved(Tally):
        async def save(self, db: Connection, world: dict[str, list[str]]) -> None:
            if self.batches[-1] == BATCH_RECORDS and who in world:
                raise ValueError("one of these is to blame")
            if self.batches[-1] == BATCH_RECORDS // 2 and who in world:
                runner.stop()
                halves.append(len(world))
                if len(halves) <= FAILURES:
                    raise OSError("the disk is full")
            await super().save(db, world)

    halves: list[int] = []
    tally = Halved()
    async with running(tally.loop(name), pool, broker) as runner:
        await eventually("the runner to give up", lambda: _soon(len(halves) >= FAILURES))
    assert len(halves) == FAILURES
    async with running(Tally().loop(name), pool, broker):
        assert await eventually("all", texts_of(pool, who, MANY), 40) == TEXTS


FAILURES = 4  # as often as a runner that is told to stop tries


def given_up(runner: Runner[Any]) -> Callable[[], Any]:
    return lambda: _soon(not runner._homes)


def waiting(runner: Runner[Any]) -> Callable[[], Any]:
    return lambda: _soon(runner.why_not_ready())


async def _soon(value: Any) -> Any:
    return value


def conversation_beside(who: str) -> str:
    """Another conversation of the same partition."""
    return next(other for other in iter(conversation, "") if partition_of(other, 12) == partition_of(who, 12))


async def said_about(broker: str, who: str) -> Sequence[str]:
    """What was published about somebody, repeats by number left out as every reader does."""
    said: dict[int, str] = {}
    for text, sequence in await heard_about(broker, who):
        number = int(sequence.rpartition("/")[2])
        if number > max(said, default=0):
            said[number] = text.removeprefix("-:")
    return list(said.values())
