"""Records of several topics, merged by the time of their writing."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from panier_common.replaying import in_order_of_time
from panier_common.topics import INBOUND

QUESTIONS, ANSWERS = TopicPartition("questions", 0), TopicPartition("answers", 0)
TOPICS = [replace(INBOUND, name="questions"), replace(INBOUND, name="answers", cleanup="compact")]


class Log:
    """What a reader gives of records known by (offset, time): two at a time."""

    def __init__(self, records: dict[TopicPartition, list[tuple[int, int]]]) -> None:
        self._left = {tp: [SimpleNamespace(offset=o, timestamp=t) for o, t in found] for tp, found in records.items()}

    async def getmany(self, tp: TopicPartition, **_: Any) -> dict[TopicPartition, list[Any]]:
        taken, self._left[tp] = self._left[tp][:2], self._left[tp][2:]
        return {tp: taken} if taken else {}

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 9)


async def merged(
    log: Log, stretches: dict[TopicPartition, tuple[int, int]], batch: int = 3
) -> list[list[tuple[str, int]]]:
    return [
        [(tp.topic, record.offset) for tp, record in records]
        async for records in in_order_of_time(log, stretches, TOPICS, batch)  # type: ignore[arg-type]
    ]


async def test_an_answer_comes_after_its_question_whatever_its_topic() -> None:
    log = Log({QUESTIONS: [(5, 10), (6, 30), (7, 50)], ANSWERS: [(1, 20), (2, 30), (3, 40)]})
    found = await merged(log, {ANSWERS: (1, 4), QUESTIONS: (5, 8)})
    assert found == [
        [("questions", 5), ("answers", 1), ("questions", 6)],
        [("answers", 2), ("answers", 3), ("questions", 7)],
    ]


async def test_ends_where_it_is_told_and_where_compaction_took_the_last() -> None:
    log = Log({QUESTIONS: [(5, 10), (6, 30), (7, 50)], ANSWERS: [(1, 20)]})
    found = await merged(log, {QUESTIONS: (5, 6), ANSWERS: (1, 9)})
    assert found == [[("questions", 5), ("answers", 1)]]
    assert await merged(Log({}), {}) == []


async def test_without_what_a_partition_has_nothing_goes_on() -> None:
    """A slow broker gives nothing for seconds, and the answers would be met by who has not asked yet."""
    log = Log({QUESTIONS: [], ANSWERS: [(1, 20), (2, 30)]})
    with pytest.raises(KafkaTimeoutError, match="questions"):
        await merged(log, {QUESTIONS: (5, 6), ANSWERS: (1, 3)}, batch=1)
