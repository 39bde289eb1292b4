"""Whether what customers wrote before this process began is in the windows, whichever process reads it.

A number's conversations lie on all partitions, and each process reads its share of them: how far all have come stands
in the database that they share.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from panier_common.engines import Store
from panier_common.kafka import follower
from panier_common.postgres import AWAY
from panier_common.topics import Topic

from panier_sender import db

LOOK_SECONDS = 1.0

Ends = Callable[[], Awaitable[Mapping[tuple[str, int], int]]]
"""(topic, partition) → where what is written by now ends, for all that there is to be read. Raises KafkaError."""


class WindowsRead:
    """True once all that was written before `run` is read; asked for until then, and never again.

    What cannot be asked, because an engine is away, counts as not read.
    """

    def __init__(self, store: Store, ends: Ends) -> None:
        self._store = store
        self._ends_now = ends
        self._ends: Mapping[tuple[str, int], int] | None = None
        self._is_read = False

    def __call__(self) -> bool:
        return self._is_read

    async def run(self) -> None:
        """Look until it is so. Does not return: the end of a task would be that of the process."""
        while not self._is_read:
            with suppress(KafkaError, *AWAY):
                self._is_read = await self._look()
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.Event().wait()

    async def _look(self) -> bool:
        if self._ends is None:
            self._ends = await self._ends_now()
        async with self._store.acquire(timeout=5) as connection:
            read = await db.load_windows_positions(connection)
        return all(read.get(place, -1) >= end for place, end in self._ends.items())


async def ends_of(bootstrap_servers: str, topics: Sequence[Topic]) -> Mapping[tuple[str, int], int]:
    """Where these topics end, as the broker tells it now, without partitions that are empty: nobody's place is there.

    Raises KafkaError, also while one of the topics is not there.
    """
    reader = follower(bootstrap_servers)
    try:
        await reader.start()
        await reader._client.force_metadata_update()  # names all topics: asked for by its name, one would be made
        places = [TopicPartition(topic.name, n) for topic in topics for n in _partitions(reader, topic)]
        first, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
    finally:
        await reader.stop()
    return {(place.topic, place.partition): end for place, end in ends.items() if end > first[place]}


def _partitions(reader: AIOKafkaConsumer, topic: Topic) -> set[int]:
    found: set[int] | None = reader.partitions_for_topic(topic.name)
    if not found:
        raise UnknownTopicOrPartitionError(topic.name)
    return found
