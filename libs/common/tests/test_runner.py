"""The runner on a real broker and a real database: what it promises, one story a test."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from asyncpg.transaction import Transaction
from panier_common import homes
from panier_common.contracts import inbound as m
from panier_common.contracts.events import Customer, EnquiryRaised, MessageReceived
from panier_common.event import Received, inbound_id
from panier_common.homes import HomeLostError
from panier_common.kafka import Kafka, partition_of
from panier_common.memory import NEWEST
from panier_common.outbox import append
from panier_common.postgres import Connection
from panier_common.read_progress import Progress
from panier_common.runner import Runner
from panier_common.topics import INBOUND

from .tally import NUMBER, START, Tally, conversation, eventually, heard_about, running, say, texts_of


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


async def test_a_language_is_kept_though_nothing_follows_it(pool, broker, producer, name):
    who = conversation()
    loop = replace(Tally().loop(name), wants=lambda _, headers: headers.get("panier_owner") is None)
    async with running(loop, pool, broker):
        for text, language in (("hello", "en"), ("salut", "fr")):
            await say(producer, who, text, headers={"panier_language": language, "panier_owner": "other"})
        await eventually("French", language_of(pool, name, who, "fr"))


async def test_a_language_is_kept_for_as_long_as_a_message_would_be(pool, broker, producer, name):
    """Told by a message that another service answers: what is older than 400 days is forgotten every day."""
    who = conversation()
    await say(producer, who, "hello", headers={"panier_language": "en", "panier_owner": "other"})
    loop = replace(Tally().loop(name), wants=lambda _, headers: False)
    async with running(loop, pool, broker):
        await eventually("the language", language_of(pool, name, who, "en"))
    assert await pool.fetchval(f"SELECT {NEWEST} FROM conversation WHERE conversation = $1", who) == START


async def test_a_language_put_off_by_who_goes_is_kept_by_who_follows(pool, broker, producer, name, monkeypatch):
    who = conversation()
    loop = replace(Tally().loop(name), wants=lambda _, headers: headers.get("panier_owner") is None)
    home = partition_of(who, 12)
    async with running(loop, pool, broker) as runner:  # past what others left on the topic
        await eventually("the present", lambda: _is(runner.caught_up_since_start()))
    with monkeypatch.context() as patch:
        patch.setattr("panier_common.runner.TICK_SECONDS", 600)
        async with running(loop, pool, broker) as runner:
            await say(producer, who, "hello", headers={"panier_language": "en", "panier_owner": "other"})
            await say(producer, who, "another's", headers={"panier_owner": "other"})
            await eventually("both to be read", lambda: _is(len(runner._put_off) == 2))
        assert not await language_of(pool, name, who, "en")()
    async with running(loop, pool, broker) as runner:
        await eventually("English", language_of(pool, name, who, "en"))
        await eventually("the end", lambda: _is_at_end(runner, home))


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


async def test_what_others_write_between_a_look_and_the_lock_is_published(pool, broker, name, monkeypatch):
    """The owner sees news in one home and locks all of them: news of another home came meanwhile."""
    homes_of = {partition_of(who, 12): who for who in (conversation() for _ in range(200))}
    early, late, look, looks = homes_of[3], homes_of[7], homes.sequences, itertools.count()

    async def write(who: str) -> None:
        event = EnquiryRaised(who, NUMBER, "shop", Customer("FR.1"), "catalog", "news", "", START)
        async with pool.acquire() as db, db.transaction():
            await append(db, loop=name, partitions=12, events=[event], cause=who, at=START, source="tally")

    async def between(db: Connection, loop: str, partitions: Sequence[int]) -> dict[int, int]:
        if len(partitions) < 12 or next(looks):
            return await look(db, loop, partitions)
        await write(early)
        seen = await look(db, loop, partitions)
        await write(late)
        return seen

    async def told() -> bool:
        said = [await heard_about(broker, early), await heard_about(broker, late)]
        return all([text for text, _ in of_one] == ["news"] for of_one in said)

    monkeypatch.setattr(homes, "sequences", between)
    async with running(Tally().loop(name), pool, broker):
        await eventually("the news of both", told)


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


class Rung(Tally):
    """A tally that knows whether the bell of one conversation rang; others' records stand in the same topic."""

    def __init__(self, who: str) -> None:
        super().__init__()
        self.who, self.rang = who, False

    async def save(self, db: Connection, world: dict[str, list[str]]) -> None:
        await super().save(db, world)
        self.rang = self.rang or "rang" in world.get(self.who, [])


async def test_a_batch_whose_commit_nobody_answered_is_not_decided_again(pool, broker, producer, name, monkeypatch):
    """The bell rang, that was committed, and the connection went before the answer came: who takes over knows."""
    who, commit, unanswered = conversation(), Transaction._Transaction__commit, 0
    tally = Rung(who)

    async def lose_the_answer(transaction: Transaction) -> None:
        nonlocal unanswered
        await commit(transaction)
        if tally.rang and not unanswered:
            unanswered += 1
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    monkeypatch.setattr(Transaction, "_Transaction__commit", lose_the_answer)
    await say(producer, who, "alarm")
    with pytest.raises(HomeLostError, match="is not known"):
        await asyncio.wait_for(Runner(tally.loop(name), pool, Kafka(broker)).run(), 60)
    async with running(tally.loop(name), pool, broker):
        await say(producer, who, "after")
        assert await eventually("what came after", texts_of(pool, who, 2)) == ["rang", "after"]
    assert [text for text, _ in await heard_about(broker, who)] == ["-:rang", "-:after"]
    assert unanswered == 1


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


async def test_what_was_read_and_given_up_unworked_does_not_count_as_read(pool, broker, producer, name, monkeypatch):
    """The sender ends a doubt by how far `delivery` was read: a status that was only fetched is not seen."""
    monkeypatch.setattr("panier_common.runner.RELEASE_SECONDS", 0.3)
    who = conversation()
    home = partition_of(who, 12)
    async with running(Tally().loop(name), pool, broker) as runner:
        await eventually("the present", lambda: _is(runner.caught_up_since_start()))
        await pool.execute("ALTER TABLE tally RENAME TO away")
        sent_at = datetime.now(UTC)
        await say(producer, who, "one")
        await eventually("it to be read", lambda: _has_read_to(runner, home, sent_at - timedelta(seconds=1)))
        await runner.on_partitions_revoked([TopicPartition(INBOUND.name, n) for n in range(12)])
        assert await _progress(runner, home) == Progress(None, at_end=False)
        await pool.execute("ALTER TABLE away RENAME TO tally")
        await runner.on_partitions_assigned([TopicPartition(INBOUND.name, n) for n in range(12)])
        await eventually("one", texts_of(pool, who, 1))
        assert await _has_read_to(runner, home, sent_at - timedelta(seconds=1))


async def test_where_the_log_ends_is_asked_anew(pool, broker, producer, name, monkeypatch):
    """What the last fetch told is as old as that fetch: a record that came since is not read."""
    who = conversation()
    home = partition_of(who, 12)
    async with running(Tally().loop(name), pool, broker) as runner:
        await say(producer, who, "one")
        await eventually("one", texts_of(pool, who, 1))
        await eventually("the end", lambda: _is_at_end(runner, home))
        reader = runner._reader()
        fetched = asyncio.Event()

        async def nothing(*partitions: TopicPartition, **_: Any) -> dict[TopicPartition, list[Any]]:
            await fetched.wait()
            return {}

        with monkeypatch.context() as patch:
            patch.setattr(reader, "getmany", nothing)
            await asyncio.sleep(1)  # until what is on its way is in
            before = (await _progress(runner, home)).at_end
            await say(producer, who, "two")
            assert (before, (await _progress(runner, home)).at_end) == (True, False)
        fetched.set()
        await eventually("two", texts_of(pool, who, 2))


async def test_a_quiet_partition_is_behind_by_its_new_record_only(pool, broker, producer, name):
    """However long nothing came there: an alert of what is nearly lost unread goes by this."""
    who, other = conversation(), conversation()
    while partition_of(other, 12) == partition_of(who, 12):
        other = conversation()
    at = INBOUND.name, partition_of(who, 12)
    async with running(Tally().loop(name), pool, broker) as runner:
        await say(producer, who, "one")
        await eventually("one", texts_of(pool, who, 1))
        runner._read_at[at] -= 5 * 24 * 3600
        await eventually("nothing to be missing", lambda: _is(runner.lag()[INBOUND.name] == (0, 0.0)))
        await pool.execute("ALTER TABLE tally RENAME TO away")
        await say(producer, other, "what no database takes")
        await eventually("the batch to stand still", lambda: _is(runner.why_not_ready() is not None))
        await say(producer, who, "two")
        await eventually("both to be missing", lambda: _is(runner.lag()[INBOUND.name][0] == 2))
        assert runner._read_at[at] < time.time() - 5 * 24 * 3600 + 60
        assert runner.lag()[INBOUND.name][1] < 120
        await pool.execute("ALTER TABLE away RENAME TO tally")
        await eventually("two", texts_of(pool, who, 2))


async def test_without_an_answer_nothing_is_the_end(pool, broker, producer, name, monkeypatch):
    async with running(Tally().loop(name), pool, broker) as runner:
        await eventually("the present", lambda: _is(runner.caught_up_since_start()))

        async def silent(places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
            raise KafkaConnectionError

        monkeypatch.setattr(runner._reader(), "end_offsets", silent)
        assert not (await _progress(runner, 0)).at_end


async def _progress(runner: Runner[Any], home: int) -> Progress:
    return (await runner.progress([INBOUND.name], [home]))[INBOUND.name, home]


async def _is_at_end(runner: Runner[Any], home: int) -> bool:
    return (await _progress(runner, home)).at_end


async def _has_read_to(runner: Runner[Any], home: int, moment: datetime) -> bool:
    read_to = (await _progress(runner, home)).read_to
    return read_to is not None and read_to >= moment


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
    from panier_common.batch import Batch
    from panier_common.homes import take_over
    from panier_common.item import Item

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


async def test_records_deleted_before_they_were_read_are_told_for_as_long_as_it_is_so(pool, broker, producer, name):
    who, other = (next(c for c in iter(conversation, "") if partition_of(c, 12) == home) for home in (3, 7))
    await say(producer, who, "one")
    async with running(Tally().loop(name), pool, broker):
        await eventually("one", texts_of(pool, who, 1))
    await pool.execute("UPDATE position SET next_offset = 1000000000 WHERE partition = 3")
    async with running(Tally().loop(name), pool, broker) as runner:

        async def told() -> bool:
            return "deleted" in (runner.why_not_ready() or "")

        await eventually("a reason", told)
        await say(producer, other, "goes on")
        await eventually("the others", texts_of(pool, other, 1))
        assert await told()


def language_of(pool, loop, who, language):
    async def look() -> bool:
        asked = "SELECT language FROM conversation WHERE loop = $1 AND conversation = $2"
        return await pool.fetchval(asked, loop, who) == language

    return look


async def _is(true: bool) -> bool:
    return true
