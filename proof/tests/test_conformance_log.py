"""The simulated Kafka does what the real one does: the same stories, told to both."""

import asyncio
import secrets
import threading
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError
from panier_common.engines import Log, Reader
from panier_common.kafka import Kafka, Outgoing, apply_topics
from panier_common.topics import Topic
from panier_proof.simulated.log import Broker, SimulatedLog
from panier_proof.simulated.scheduler import Actor, SimulatedLoop

PARTITIONS = 2
SECOND = ".second"  # a topic with the same partitions
Story = Callable[[Log, str], Awaitable[None]]
Play = Callable[[Story], Awaitable[None]]


@pytest.fixture(params=["kafka", "simulated"])
def log(request: pytest.FixtureRequest) -> Play:
    """Tells a story to one of the two logs, with a topic of its own."""
    servers = request.getfixturevalue("kafka") if request.param == "kafka" else ""

    async def play(story: Story) -> None:
        name = f"conformance.{secrets.token_hex(4)}"
        if servers:
            topics = [Topic(one, "conversation", (), (), ()) for one in (name, name + SECOND)]
            await apply_topics(servers, partitions=PARTITIONS, topics=topics)
            await asyncio.wait_for(story(Kafka(servers), name), 60)
        else:
            await asyncio.to_thread(_simulated, story, name)

    return play


def _simulated(story: Story, name: str) -> None:
    loop = SimulatedLoop(Random(7))
    try:
        loop.run_until_complete(story(SimulatedLog(Broker(loop, [name, name + SECOND], PARTITIONS)), name))
    finally:
        loop.bury()
        loop.close()


class _Told(ConsumerRebalanceListener):
    """Keeps what a member is told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[TopicPartition]]] = []

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self.told.append(("revoked", sorted(revoked)))

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self.told.append(("assigned", sorted(assigned)))

    def has(self, count: int) -> bool:
        """Whether the last word is that it has so many."""
        return bool(self.told) and self.told[-1][0] == "assigned" and len(self.told[-1][1]) == count


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - a simulated loop has no threads that could tell
        await asyncio.sleep(0.02)


async def _joined(log: Log, *topics: str) -> tuple[Reader, _Told]:
    reader, listener = log.reader(f"group.{topics[0]}", "conformance"), _Told()
    reader.subscribe(topics, listener=listener)
    await reader.start()
    return reader, listener


async def _member(log: Log, topic: str) -> Reader:
    reader, listener = await _joined(log, topic)
    await _until(lambda: listener.has(PARTITIONS))
    return reader


class _Elsewhere:
    """A member of the group in a process of its own, which can be stopped and woken up."""

    def __init__(self, log: Log, topic: str) -> None:
        self.listener = _Told()
        self._wake = threading.Event()
        self._over: asyncio.Event | None = None
        self._simulated = asyncio.get_running_loop() if isinstance(log, SimulatedLog) else None
        if isinstance(self._simulated, SimulatedLoop):
            self._actor = Actor("elsewhere")
            self._simulated.start(self._actor, self._live(log, topic))
        else:
            self._thread = threading.Thread(target=lambda: asyncio.run(self._live(log, topic)))
            self._thread.start()

    async def _live(self, log: Log, topic: str) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        reader = log.reader(f"group.{topic}", "conformance")
        reader.subscribe([topic], listener=self.listener)
        await reader.start()
        await self._over.wait()
        await reader.stop()

    def stop(self) -> None:
        """As SIGSTOP does: nothing of it runs, heartbeats neither."""
        if isinstance(self._simulated, SimulatedLoop):
            self._simulated.stop_process(self._actor)
        else:
            self._loop.call_soon_threadsafe(self._wake.wait)

    def wake(self) -> None:
        if isinstance(self._simulated, SimulatedLoop):
            self._simulated.wake_process(self._actor)
        self._wake.set()

    async def end(self) -> None:
        self.wake()
        assert self._over is not None
        self._loop.call_soon_threadsafe(self._over.set)
        if self._simulated is None:
            await asyncio.to_thread(self._thread.join)


async def _send(log: Log, topic: str, partition: int, values: Sequence[bytes | None]) -> None:
    writer = log.writer("conformance")
    rows = [Outgoing(0, n, topic, f"key {n}", {"ce_type": "é", "n": str(n)}, v) for n, v in enumerate(values)]
    await writer.send_in_order(topic, partition, rows)
    await writer.stop()


async def _read(reader: Reader, at: TopicPartition, count: int) -> list[Any]:
    found: list[Any] = []
    while len(found) < count:
        found += (await reader.getmany(at, timeout_ms=250)).get(at, ())
    return found


async def _keeps_bytes_and_order(log: Log, topic: str) -> None:
    zero, one = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await _send(log, topic, 0, [b"a", None, b"", bytes(range(256))])
    await _send(log, topic, 0, [b"after"])
    reader = await _member(log, topic)
    reader.seek(zero, 0)
    reader.seek(one, 0)

    records = await _read(reader, zero, 5)

    assert [r.offset for r in records] == [0, 1, 2, 3, 4]
    assert [r.value for r in records] == [b"a", None, b"", bytes(range(256)), b"after"]
    assert [r.key for r in records] == [b"key 0", b"key 1", b"key 2", b"key 3", b"key 0"]
    assert list(records[1].headers) == [("ce_type", "é".encode()), ("n", b"1")]
    assert await reader.end_offsets([zero, one]) == {zero: 5, one: 0}
    assert await reader.beginning_offsets([zero, one]) == {zero: 0, one: 0}
    assert reader.partitions_for_topic(topic) == {0, 1}
    reader.seek(zero, 3)
    assert [r.offset for r in await _read(reader, zero, 2)] == [3, 4]
    await reader.stop()


async def _needs_a_position(log: Log, topic: str) -> None:
    await _send(log, topic, 0, [b"a"])
    reader = await _member(log, topic)
    with pytest.raises(NoOffsetForPartitionError):
        await _read(reader, TopicPartition(topic, 0), 1)
    await reader.stop()


async def _refuses_a_position_that_is_not_there(log: Log, topic: str) -> None:
    zero = TopicPartition(topic, 0)
    await _send(log, topic, 0, [b"a"])
    reader = await _member(log, topic)
    reader.seek(zero, 7)
    reader.seek(TopicPartition(topic, 1), 0)
    with pytest.raises(OffsetOutOfRangeError):
        await _read(reader, zero, 1)
    await reader.stop()


async def _shares_by_ranges(log: Log, topic: str) -> None:
    both = (topic, topic + SECOND)
    every = sorted(TopicPartition(one, p) for one in both for p in range(PARTITIONS))
    one, ones = await _joined(log, *both)
    await _until(lambda: ones.has(4))
    assert ones.told[-1] == ("assigned", every)

    other, others = await _joined(log, *both)
    await _until(lambda: ones.has(2) and others.has(2))

    # All is given up before anything is given; whoever has a partition has it of both topics.
    assert ones.told[-2] == ("revoked", every)
    assert sorted([*one.assignment(), *other.assignment()]) == every
    assert [p.partition for p in sorted(one.assignment())] in ([0, 0], [1, 1])
    await other.stop()
    await _until(lambda: ones.has(4))
    await one.stop()


async def _puts_out_whoever_is_silent(log: Log, topic: str) -> None:
    other = _Elsewhere(log, topic)
    await _until(lambda: other.listener.has(2))
    reader, mine = await _joined(log, topic)
    await _until(lambda: mine.has(1) and other.listener.has(1))

    other.stop()
    await _until(lambda: mine.has(2))
    before = list(other.listener.told)
    other.wake()
    await _until(lambda: mine.has(1) and other.listener.has(1) and other.listener.told != before)

    # It learns of it when it wakes: what it thought to have is taken, and it joins anew.
    assert other.listener.told[len(before)][0] == "revoked"
    await reader.stop()
    await other.end()


async def _moves_only_what_it_has(log: Log, topic: str) -> None:
    one, ones = await _joined(log, topic)
    await _until(lambda: ones.has(2))
    other, others = await _joined(log, topic)
    await _until(lambda: ones.has(1) and others.has(1))
    [theirs] = other.assignment()

    with pytest.raises(IllegalStateError):
        one.seek(theirs, 0)
    with pytest.raises(IllegalStateError):
        await one.commit({theirs: 0})
    [mine] = one.assignment()
    await one.commit({mine: 0})
    await one.stop()
    await other.stop()


async def _fetches_what_comes(log: Log, topic: str) -> None:
    zero = TopicPartition(topic, 0)
    reader = await _member(log, topic)
    reader.seek(zero, 0)
    reader.seek(TopicPartition(topic, 1), 0)
    assert await reader.getmany(zero, timeout_ms=100) == {}

    waiting = asyncio.ensure_future(_read(reader, zero, 1))
    await _send(log, topic, 0, [b"a", b"b", b"c"])
    found = await waiting
    while len(found) < 3:  # what was fetched is not fetched again, and no more than was asked for
        more = (await reader.getmany(zero, timeout_ms=250, max_records=1)).get(zero, ())
        assert len(more) <= 1
        found += more
    assert [record.value for record in found] == [b"a", b"b", b"c"]
    assert await reader.getmany(zero, timeout_ms=100) == {}
    assert reader.highwater(zero) == 3
    await _send(log, topic, 0, [b"d"])
    # What is acknowledged is there for who asks; what a fetch told may be older.
    assert (await reader.end_offsets([zero]))[zero] == 4
    assert reader.highwater(zero) in {3, 4}
    assert len(await _read(reader, zero, 1)) == 1
    assert reader.highwater(zero) == 4
    await reader.stop()


async def test_co_partitioned_topics_are_shared_by_ranges_and_given_up_first(log: Play):
    await log(_shares_by_ranges)


async def test_a_member_silent_for_its_session_is_put_out_and_joins_anew(log: Play):
    await log(_puts_out_whoever_is_silent)


async def test_positions_of_others_cannot_be_moved(log: Play):
    await log(_moves_only_what_it_has)


async def test_what_comes_is_fetched_once_and_in_order(log: Play):
    await log(_fetches_what_comes)


async def test_bytes_order_and_offsets_are_kept(log: Play):
    await log(_keeps_bytes_and_order)


async def test_without_a_position_nothing_is_read(log: Play):
    await log(_needs_a_position)


async def test_a_position_beyond_the_end_is_refused(log: Play):
    await log(_refuses_a_position_that_is_not_there)
