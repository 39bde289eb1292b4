"""Whether the counting moves: committed offsets beside the ends of the source topics, asked of the broker.

Faust has stood still before while it looked alive; so this looks from outside, readiness and lag follow what it sees,
and a process whose counting stands still for good ends, to be started anew.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from panier_common.brokers import brokers

LOOK_EVERY_SECONDS = 2.0
ANSWER_SECONDS = 5.0

log = structlog.get_logger()

Offsets = Mapping[TopicPartition, int]


class StandsStillError(RuntimeError):
    """Records wait, everything is assigned and recovered, and nothing is counted."""


@dataclass
class Progress:
    """What was seen: pure but for being remembered; the clock's reading comes in with each look."""

    patience_seconds: float
    committed: Offsets = field(default_factory=dict)
    ends: Offsets = field(default_factory=dict)
    level_at: dict[str, float] = field(default_factory=dict)
    moved_at: float | None = None
    looked_at: float = 0.0
    still: int = 0  # looks in a row: a process that was stopped must not count its sleep
    unreachable: bool = False
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self, committed: Offsets, ends: Offsets, now: float) -> None:
        """Take in one look at the broker."""
        self.still += 1
        if self.moved_at is None or committed != self.committed or not _waiting(committed, ends):
            self.moved_at, self.still = now, 0
        self.committed, self.ends, self.looked_at = committed, ends, now
        self.unreachable = False
        self.answered.set()
        for topic in {tp.topic for tp in ends}:
            if topic not in self.level_at or not self.records(topic):
                self.level_at[topic] = now

    def why_stalled(self) -> str | None:
        """Why the figures must be doubted; None when they move or nothing waits."""
        if self.unreachable:
            return "the broker does not answer"
        if self.moved_at is None or self.looked_at - self.moved_at < self.patience_seconds:
            return None
        return f"no offset committed for {self.looked_at - self.moved_at:.0f} s while records wait"

    def end_if_still(self, is_counting: bool) -> None:
        """Raises StandsStillError after twice the time of a stall; what is not counting yet has its time."""
        if not is_counting:
            self.still = 0
        elif self.still * LOOK_EVERY_SECONDS >= 2 * self.patience_seconds:
            raise StandsStillError(f"no offset committed in {self.still} looks while records wait")

    def records(self, topic: str) -> int:
        """How many records of the topic were not committed yet."""
        return sum(max(0, end - self.committed.get(tp, 0)) for tp, end in self.ends.items() if tp.topic == topic)

    def lag(self) -> dict[str, tuple[int, float]]:
        """Topic → (records behind, seconds since it was level with the end)."""
        return {topic: (self.records(topic), self.looked_at - level) for topic, level in sorted(self.level_at.items())}


def _waiting(committed: Offsets, ends: Offsets) -> bool:
    return any(end > committed.get(tp, 0) for tp, end in ends.items())


async def watch(
    progress: Progress, bootstrap_servers: str, group: str, topics: Sequence[str], is_counting: Callable[[], bool]
) -> None:
    """Look at the broker until cancelled; one that cannot be asked is asked again. Raises StandsStillError."""
    while True:
        try:
            await _look_on(progress, bootstrap_servers, group, topics, is_counting)
        except (KafkaError, OSError, TimeoutError) as error:
            if not progress.unreachable:
                log.warning("the broker cannot be asked for offsets", error=type(error).__name__)
            progress.unreachable = True
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _look_on(
    progress: Progress, bootstrap_servers: str, group: str, topics: Sequence[str], is_counting: Callable[[], bool]
) -> None:
    """Look again and again; raises when the broker does not answer in time."""
    admin = AIOKafkaAdminClient(**brokers(bootstrap_servers))
    reader = AIOKafkaConsumer(**brokers(bootstrap_servers), enable_auto_commit=False)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await admin.start()
            await reader.start()
        while True:
            async with asyncio.timeout(ANSWER_SECONDS):
                await _look(progress, admin, reader, group, topics)
            progress.end_if_still(is_counting())
            await asyncio.sleep(LOOK_EVERY_SECONDS)
    finally:
        await reader.stop()
        await admin.close()


async def _look(
    progress: Progress,
    admin: AIOKafkaAdminClient,
    reader: AIOKafkaConsumer,
    group: str,
    topics: Sequence[str],
) -> None:
    tps = [
        TopicPartition(description["topic"], partition["partition"])
        for description in await admin.describe_topics(list(topics))
        for partition in description["partitions"]
    ]
    found = await admin.list_consumer_group_offsets(group, partitions=tps)
    if not tps or not found.keys() >= set(tps):
        raise KafkaError("the broker is not ready to tell")  # just back: its answers have holes
    ends = await reader.end_offsets(tps)
    begins = await reader.beginning_offsets(tps)
    # Nothing committed yet: the counting begins at the beginning, which retention may have moved.
    committed = {tp: found[tp].offset if found[tp].offset >= 0 else begins[tp] for tp in tps}
    progress.look(committed, ends, time.monotonic())
