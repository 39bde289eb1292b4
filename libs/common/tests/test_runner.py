"""The runner on a real broker and a real database: what it promises, one story a test."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from panier_common.contracts import inbound as m
from panier_common.contracts.events import Customer, EnquiryRaised, MessageReceived
from panier_common.dead_letters import ask_replay, listed
from panier_common.event import Received, inbound_id
from panier_common.homes import HomeLostError
from panier_common.kafka import Kafka
from panier_common.outbox import append
from panier_common.runner import Effect, Runner
from panier_common.topics import INBOUND

from .tally import NUMBER, START, Rang, Tally, conversation, eventually, heard_about, running, say, texts_of


async def test_keeps_a_conversations_order_and_publishes_each_answer_once(pool, broker, producer, name):
    who = conversation()
    for i in range(20):
        await say(producer, who, f"text {i}")
    async with running(Tally().loop(name), pool, broker):
        assert await eventually("20 texts", texts_of(pool, who, 20)) == [f"text {i}" for i in range(20)]
    assert [text for text, _ in await heard_about(broker, who)] == [f"-:text {i}" for i in range(20)]


async def test_takes_a_repeated_webhook_once(pool, broker, producer, name):
    who = conversation()
    for _ in range(3):
        await say(producer, who, "two croissants", wamid="wamid.same")
    await say(producer, who, "the end")
    async with running(Tally().loop(name), pool, broker):
        assert await eventually("both", texts_of(pool, who, 2)) == ["two croissants", "the end"]


async def test_keeps_the_language_even_of_messages_it_does_not_want(pool, broker, producer, name):
    who = conversation()
    await say(producer, who, "hello", headers={"panier_language": "en", "panier_owner": "other"})
    await say(producer, who, "an enquiry")
    loop = replace(Tally().loop(name), wants=lambda _, headers: headers.get("panier_owner") is None)
    async with running(loop, pool, broker):
        await eventually("the enquiry", texts_of(pool, who, 1))
    assert [text for text, _ in await heard_about(broker, who)] == ["en:an enquiry"]


@pytest.mark.parametrize("poison", ["poison", "breaks the rule"])
async def test_one_poisonous_record_becomes_a_dead_letter_and_its_neighbours_go_on(
    pool, broker, producer, name, poison
):
    who, neighbour = conversation(), conversation()
    for i in range(8):
        await say(producer, who, poison if i == 3 else f"good {i}")
        await say(producer, neighbour, f"fine {i}")
    async with running(Tally().loop(name), pool, broker):
        good = [f"good {i}" for i in range(8) if i != 3]
        assert await eventually("the good ones", texts_of(pool, who, 7)) == good
        assert len(await eventually("the neighbour", texts_of(pool, neighbour, 8))) == 8
    # The topic is shared with the other tests, whose poison is met here too: only this key counts.
    [reason] = await pool.fetch("SELECT reason FROM dead_letter WHERE key = ANY($1)", [who, neighbour])
    assert reason["reason"].startswith("ZeroDivisionError" if poison == "poison" else "CheckViolationError")
    assert all(letter["topic"] == INBOUND.name for letter in await listed(pool, "tally"))


async def test_a_record_of_an_unknown_kind_becomes_a_dead_letter(pool, broker, producer, name):
    who = conversation()
    aio = await producer.get()
    await aio.send_and_wait(INBOUND.name, b"{", key=who.encode(), headers=[("ce_type", b"panier.message.received.v1")])
    await say(producer, who, "after it")
    async with running(Tally().loop(name), pool, broker):
        await eventually("what came after", texts_of(pool, who, 1))
    # Other conversations of this broker may have had theirs; this one's key is in exactly one.
    assert await pool.fetchval("SELECT count(*) FROM dead_letter WHERE key = $1", who) == 1


async def test_a_replayed_dead_letter_is_decided_on_again(pool, broker, producer, name):
    who = conversation()
    await say(producer, who, "breaks the rule")
    await say(producer, who, "next")
    async with running(Tally().loop(name), pool, broker):
        await eventually("the next one", texts_of(pool, who, 1))
        [letter] = await pool.fetch("SELECT id FROM dead_letter WHERE key = $1", who)
        await pool.execute("ALTER TABLE tally DROP CONSTRAINT tally_texts_check")
        assert await ask_replay(pool, letter["id"])
        assert await eventually("the replay", texts_of(pool, who, 2)) == ["next", "breaks the rule"]

        async def gone() -> bool:
            return await pool.fetchval("SELECT count(*) FROM dead_letter WHERE key = $1", who) == 0

        await eventually("the letter to be gone", gone)


async def test_a_timer_rings_once_and_a_dropped_one_never(pool, broker, producer, name):
    who, other = conversation(), conversation()
    await say(producer, who, "alarm")
    await say(producer, other, "alarm")
    await say(producer, other, "never mind")
    async with running(Tally().loop(name), pool, broker):
        assert await eventually("the bell", texts_of(pool, who, 1)) == ["rang"]
        await say(producer, other, "quiet")
        assert await eventually("quiet", texts_of(pool, other, 1)) == ["quiet"]
    assert await pool.fetchval("SELECT count(*) FROM timer WHERE key LIKE '%' || $1", other) == 0


async def test_reads_on_where_it_stood_and_tidies_its_outbox(pool, broker, producer, name):
    who = conversation()
    await say(producer, who, "before")
    async with running(Tally().loop(name), pool, broker):
        await eventually("before", texts_of(pool, who, 1))
    await say(producer, who, "after")
    async with running(Tally().loop(name), pool, broker):
        assert await eventually("after", texts_of(pool, who, 2)) == ["before", "after"]

        async def empty() -> bool:
            return await pool.fetchval("SELECT count(*) FROM outbox") == 0

        await eventually("an empty outbox", empty)
    numbers = [seq.rpartition("/")[2] for _, seq in await heard_about(broker, who)]
    assert len(numbers) == len(set(numbers)) == 2


async def test_a_former_owner_writes_nothing_and_ends(pool, broker, producer, name):
    who = conversation()
    tally = Tally()
    runner = Runner(tally.loop(name), pool, Kafka(broker))
    task = asyncio.create_task(runner.run())
    await say(producer, who, "mine")
    await eventually("the first", texts_of(pool, who, 1))
    await pool.execute("UPDATE home SET epoch = epoch + 1")  # somebody else took every home over
    await say(producer, who, "not mine any more")
    with pytest.raises(HomeLostError):
        await asyncio.wait_for(task, 20)
    assert await texts_of(pool, who, 1)() == ["mine"]


async def test_what_was_published_twice_is_taken_once(pool, broker, producer, name):
    """A zombie's late publish, or a publish again after a crash: the header's number gives it away."""
    who = conversation()
    for n in (1, 2, 2, 1, 3):
        await say(producer, who, f"number {n}", headers={"panier_seq": f"ingest.x/0/{n}"})
    async with running(Tally().loop(name), pool, broker):
        assert await eventually("three", texts_of(pool, who, 3)) == ["number 1", "number 2", "number 3"]


async def test_publishes_what_others_wrote_into_the_outbox(pool, broker, producer, name):
    who = conversation()
    await say(producer, who, "own")
    async with running(Tally().loop(name), pool, broker):
        await eventually("own", texts_of(pool, who, 1))
        event = EnquiryRaised(who, NUMBER, "shop", Customer("FR.1"), "catalog", "imported", "", START)
        async with pool.acquire() as db, db.transaction():
            await append(db, loop=name, partitions=12, events=[event] * 3, cause="import 1", at=START, source="tally")

        async def published() -> bool:
            return [text for text, _ in await heard_about(broker, who)] == ["-:own", *["imported"] * 3]

        await eventually("the imported ones", published)


async def test_a_lost_outbox_is_published_by_the_next_owner(pool, broker, producer, name):
    """Committed and not published: as after a kill between the two."""
    who = conversation()
    event = EnquiryRaised(who, NUMBER, "shop", Customer("FR.1"), "catalog", "left behind", "", START)
    async with pool.acquire() as db, db.transaction():
        await append(db, loop=name, partitions=12, events=[event], cause="c", at=START, source="tally")
    async with running(Tally().loop(name), pool, broker):

        async def published() -> bool:
            return [text for text, _ in await heard_about(broker, who)] == ["left behind"]

        await eventually("what was left", published)


async def test_waits_for_a_database_that_is_away_and_says_so(pool, broker, producer, name):
    who = conversation()
    async with running(Tally().loop(name), pool, broker) as runner:
        await say(producer, who, "one")
        await eventually("one", texts_of(pool, who, 1))
        await pool.execute("ALTER TABLE tally RENAME TO away")
        await say(producer, who, "two")

        async def waiting() -> str | None:
            return runner.why_not_ready()

        assert "database" in await eventually("a reason", waiting)
        await pool.execute("ALTER TABLE away RENAME TO tally")
        assert await eventually("two", texts_of(pool, who, 2)) == ["one", "two"]
        assert await pool.fetchval("SELECT count(*) FROM dead_letter WHERE key = $1", who) == 0


async def test_two_processes_share_the_partitions_and_take_everything_once(pool, broker, producer, name):
    people = [conversation() for _ in range(24)]
    async with running(Tally().loop(name), pool, broker):
        for who in people:
            await say(producer, who, "first")
        for who in people:
            await eventually("first", texts_of(pool, who, 1))
        async with running(Tally().loop(name), pool, broker) as second:

            async def shares() -> bool:
                return 0 < len(second._homes) < 12

            await eventually("a share of the homes", shares)
            for i in range(5):
                for who in people:
                    await say(producer, who, f"text {i}")
            for who in people:
                assert await eventually("all", texts_of(pool, who, 6)) == ["first", *[f"text {i}" for i in range(5)]]
        for who in people:
            await say(producer, who, "last")
        for who in people:
            assert (await eventually("last", texts_of(pool, who, 7)))[-1] == "last"


class Counting:
    """Counts the statements that reach PostgreSQL inside batches."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    def __call__(self, record: Any) -> None:
        self.queries.append(record.query)


@pytest.mark.parametrize("size", [1, 50, 500])
async def test_a_batch_costs_the_same_statements_however_many_records(pool, name, size):
    from panier_common.batch import Batch, Item
    from panier_common.homes import take_over

    def items(first: int) -> list[Item]:
        made = []
        for i in range(first, first + size):
            message = MessageReceived(f"c{i}", NUMBER, Customer("FR.1"), f"w{i}", START, m.Text("hi"), shop="shop")
            got = Received(INBOUND.name, i % 12, i, inbound_id(NUMBER, f"w{i}"), START, message, {})
            made.append(Item(i % 12, INBOUND.name, i % 12, i, f"c{i}", {"panier_seq": f"x/0/{i + 1}"}, b"", got))
        return made

    counting = Counting()
    async with pool.acquire() as db:
        async with db.transaction():
            owned = await take_over(db, name, list(range(12)))
        async with db.transaction():  # the first on a connection also asks what types there are
            first = await Batch(Tally().loop(name), owned, {}, items(0)).run(db)
        for home in owned.values():
            home.seq = first.seqs.get(home.partition, 0)
        with db.query_logger(counting):
            async with db.transaction():
                outcome = await Batch(Tally().loop(name), owned, first.readings, items(size)).run(db)
    assert len(outcome.publish) == size
    assert len(counting.queries) == 8, counting.queries


async def test_a_message_older_than_a_full_memory_goes_to_a_person(pool, broker, producer, name):
    who = conversation()
    for i in range(3 * 256 + 1):
        await say(producer, who, f"{i}", at=START + timedelta(seconds=i))
    await say(producer, who, "from long ago", at=START)
    async with running(Tally().loop(name), pool, broker):
        await eventually("all the others", texts_of(pool, who, 3 * 256 + 1), 40)

        async def kept() -> Any:
            return await pool.fetchval("SELECT reason FROM dead_letter WHERE key = $1", who)

        assert "older than" in await eventually("the dead letter", kept)


def test_asyncpg_is_what_we_think_it_is():
    """An argument that cannot be encoded is the record's fault, and asyncpg says so with a ValueError."""
    assert issubclass(asyncpg.exceptions.DataError, asyncpg.PostgresError | ValueError)


class Dumb(Tally):
    """A tally that cannot say what rang until it is mended."""

    is_mended = False

    def decide(self, world: dict[str, list[str]], got: Received) -> Sequence[Effect]:
        if isinstance(got.event, Rang) and not self.is_mended:
            raise KeyError("the bell")
        return super().decide(world, got)


async def test_a_timer_that_became_a_dead_letter_is_replayed_as_that_timer(pool, broker, producer, name):
    who, tally = conversation(), Dumb()
    await say(producer, who, "alarm")
    async with running(tally.loop(name), pool, broker):
        [letter] = await eventually("a dead letter", lambda: _letters(pool, who))
        assert letter["topic"] == "timer"
        tally.is_mended = True
        assert await ask_replay(pool, letter["id"])
        assert await eventually("the replay", texts_of(pool, who, 1)) == ["rang"]


async def test_a_letter_whose_kind_is_unknown_stays_one_and_ends_nobody(pool, broker, producer, name):
    """As the timers were kept whose letters did not say what they are."""
    who, tally = conversation(), Dumb()
    await say(producer, who, "alarm")
    async with running(tally.loop(name), pool, broker):
        [letter] = await eventually("a dead letter", lambda: _letters(pool, who))
        await pool.execute("UPDATE dead_letter SET headers = '{}' WHERE key = $1", who)
        assert await ask_replay(pool, letter["id"])
        await eventually("it was tried", lambda: _tried(pool, who))
        await say(producer, who, "still here")
        assert await eventually("the next", texts_of(pool, who, 1)) == ["still here"]


async def _letters(pool, who):
    return await pool.fetch("SELECT id, topic FROM dead_letter WHERE key = $1", who)


async def _tried(pool, who):
    return await pool.fetchval("SELECT replay_at IS NULL FROM dead_letter WHERE key = $1", who)
