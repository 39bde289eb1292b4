"""What a restored home has before it, in the order in which it was written.

Elsewhere an answer cannot be read before its question was asked. A home that was put back finds both on its
topics: read as they come, answers would be met by a service that has not asked yet.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypeAlias

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from panier_common.engines import Reader
from panier_common.topics import Topic

KafkaRecord: TypeAlias = "ConsumerRecord[bytes, bytes]"
_FETCH = 500
_PATIENCE = 10  # empty answers, of a second each


async def in_order_of_time(
    reader: Reader, stretches: Mapping[TopicPartition, tuple[int, int]], topics: Sequence[Topic], batch: int
) -> AsyncIterator[list[tuple[TopicPartition, KafkaRecord]]]:
    """Batches of all records of these stretches (first, end) of topics, by the time of their writing.

    The reader stands at their first ones. Of two of the same millisecond that of the earlier one of `topics` comes
    first. Raises KafkaError, also where one of them gives nothing for a while: without it the others are in no order.
    """
    names = [topic.name for topic in topics]
    compacted = {topic.name for topic in topics if topic.cleanup == "compact"}
    position = {tp: first for tp, (first, _) in stretches.items()}
    empty = dict.fromkeys(stretches, 0)
    waiting: dict[TopicPartition, deque[KafkaRecord]] = {tp: deque() for tp in stretches}
    made: list[tuple[TopicPartition, KafkaRecord]] = []
    while waiting:
        for tp in [tp for tp, records in waiting.items() if not records]:
            end = stretches[tp][1]
            if position[tp] < end and empty[tp] >= _PATIENCE:
                if tp.topic not in compacted:
                    raise KafkaTimeoutError(f"{tp} does not give what it has")
                await reader.end_offsets([tp])  # a broker that answers: what was last was taken by compaction
                position[tp] = end
            if position[tp] >= end:
                del waiting[tp]
                continue
            fetched = (await reader.getmany(tp, timeout_ms=1000, max_records=_FETCH)).get(tp, ())
            empty[tp] = 0 if fetched else empty[tp] + 1
            position[tp] = fetched[-1].offset + 1 if fetched else position[tp]
            waiting[tp].extend(record for record in fetched if record.offset < end)
        if not waiting or not all(waiting.values()):
            continue
        tp = min(waiting, key=lambda tp: (waiting[tp][0].timestamp, names.index(tp.topic), tp.partition))
        made.append((tp, waiting[tp].popleft()))
        if len(made) >= batch:
            yield made
            made = []
    if made:
        yield made
