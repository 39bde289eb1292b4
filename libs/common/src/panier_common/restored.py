"""The step between a restored database and its services: what the topics know and the database does not.

It numbers on above all that was published, makes every former owner a stranger, and writes down what was
published and done since the backup, so that it is not published or done twice. It changes no topic.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import TypeAlias

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from panier_common import already
from panier_common.brokers import brokers
from panier_common.contracts.events import DeliveryChanged, MessageFailed, MessageSent
from panier_common.event import SEQUENCE, decode, from_wire
from panier_common.postgres import Connection, connect
from panier_common.topics import DELIVERY, SENT, TOPICS

# Above the highest number found: what compaction took away was numbered as well.
MARGIN = 1_000_000
_SENDING = "sender.numbers"
_BATCH = 5_000

Home = tuple[str, int]
KafkaRecord: TypeAlias = "ConsumerRecord[bytes, bytes]"


class Gap(msgspec.Struct, frozen=True):
    """A place to read on from that its topic does not have: it has `first` to `end`."""

    loop: str
    topic: str
    partition: int
    position: int
    first: int
    end: int


class Lifted(msgspec.Struct):
    """What was found on the topics and changed in the database."""

    homes: int
    records: int
    published: int
    done: int
    gaps: list[Gap]


class Found:
    """What the topics tell of one service: per home the highest number, and what is new to the database."""

    def __init__(self, service: str, known: Mapping[Home, int]) -> None:
        self._prefix = f"{service}."
        self._known = known
        self.records = 0
        self.highest: dict[Home, int] = {}
        self.published: defaultdict[Home, set[str]] = defaultdict(set)
        self.done: defaultdict[Home, set[str]] = defaultdict(set)

    def take(self, record: KafkaRecord) -> None:
        self.records += 1
        headers = from_wire(record.headers)
        if record.topic == DELIVERY.name:
            self._take_status(record, headers.get("ce_type", ""))
            return
        source, _, number = headers.get(SEQUENCE, "").rpartition("/")
        loop, _, partition = source.rpartition("/")
        if not (loop.startswith(self._prefix) and partition.isdecimal() and number.isdecimal()):
            return
        home = loop, int(partition)
        self.highest[home] = max(int(number), self.highest.get(home, 0))
        if int(number) <= self._known.get(home, 0):
            return
        if "ce_id" in headers:
            self.published[home].add(headers["ce_id"])
        if record.topic == SENT.name and record.value is not None:
            event = decode(headers.get("ce_type", ""), record.value)
            if isinstance(event, (MessageSent, MessageFailed)) and event.message_id:
                self.done[home].add(event.message_id)

    def _take_status(self, record: KafkaRecord, ce_type: str) -> None:
        """Meta reports on a message: it was sent, whatever the journal says."""
        if ce_type != DeliveryChanged.ce_type or record.value is None:
            return
        event = decode(ce_type, record.value)
        if isinstance(event, DeliveryChanged) and event.message_id:
            self.done[_SENDING, record.partition].add(event.message_id)


async def why_in_use(db: Connection, role: str) -> str | None:
    """Whether the service is connected to its database; None when it is not."""
    count = await db.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND (usename = $1 AND usename <> current_user OR application_name = 'panier')",
        role,
    )
    return f"{count} connections of its service are open" if count else None


async def lift(
    database_url: str,
    service: str,
    bootstrap_servers: str,
    *,
    since: datetime | None = None,
    accept_gaps: bool = False,
    tell: Callable[[int], None] = lambda records: None,
) -> Lifted:
    """Make a restored database fit to be worked on; run again, it does no harm.

    `since`: the backup is no older than that, topics are read from there; from their beginnings without it.
    With gaps nothing is changed unless they are accepted: those places go to the beginning of what there is.
    `tell` is called with how many records were read. Raises what asyncpg and aiokafka raise.
    """
    db = await connect(database_url, timeout=10)
    try:
        rows = await db.fetch("SELECT loop, partition, seq FROM home")
        known = {(row["loop"], row["partition"]): row["seq"] for row in rows}
        reader = AIOKafkaConsumer(
            **brokers(bootstrap_servers), auto_offset_reset="none", enable_auto_commit=False, check_crcs=False
        )
        try:
            await reader.start()
            written = await _partitions(bootstrap_servers, _topics_of(service))
            found = await _read(reader, Found(service, known), written, since, tell)
            gaps = await _gaps(reader, db, bootstrap_servers)
        finally:
            await reader.stop()
        lifted = Lifted(
            len(known | found.highest),
            found.records,
            sum(map(len, found.published.values())),
            sum(map(len, found.done.values())),
            gaps,
        )
        if gaps and not accept_gaps:
            return lifted
        async with db.transaction():
            await _write(db, service, known, found, gaps)
        return lifted
    finally:
        await db.close()


def _topics_of(service: str) -> list[str]:
    names = [topic.name for topic in TOPICS if service in topic.producers]
    return [*names, DELIVERY.name] if service == "sender" else names


async def _partitions(bootstrap_servers: str, names: Iterable[str]) -> list[TopicPartition]:
    """The partitions of those of these topics that are there."""
    admin = AIOKafkaAdminClient(**brokers(bootstrap_servers))
    await admin.start()
    try:
        there = sorted(set(names) & set(await admin.list_topics()))
        told = await admin.describe_topics(there) if there else []
    finally:
        await admin.close()
    return [TopicPartition(one["topic"], part["partition"]) for one in told for part in one["partitions"]]


async def _read(
    reader: AIOKafkaConsumer,
    found: Found,
    partitions: Sequence[TopicPartition],
    since: datetime | None,
    tell: Callable[[int], None],
) -> Found:
    if not partitions:
        return found
    reader.assign(partitions)
    ends = await reader.end_offsets(partitions)
    starts = await reader.beginning_offsets(partitions)
    if since is not None:
        moment = int(since.timestamp() * 1000)
        by_time = await reader.offsets_for_times(dict.fromkeys(partitions, moment))
        starts = {tp: at.offset if (at := by_time.get(tp)) is not None else ends[tp] for tp in partitions}
    for tp in partitions:
        reader.seek(tp, starts[tp])
    left = {tp for tp in partitions if starts[tp] < ends[tp]}
    while left:
        for records in (await reader.getmany(*left, timeout_ms=500, max_records=_BATCH)).values():
            for record in records:
                found.take(record)
        left = {tp for tp in left if await reader.position(tp) < ends[tp]}
        tell(found.records)
    return found


async def _gaps(reader: AIOKafkaConsumer, db: Connection, bootstrap_servers: str) -> list[Gap]:
    """Positions that the topics do not have: their records were deleted, or the topics made anew."""
    rows = await db.fetch("SELECT loop, topic, partition, next_offset FROM position ORDER BY loop, topic, partition")
    wanted = {TopicPartition(row["topic"], row["partition"]) for row in rows}
    places = [tp for tp in await _partitions(bootstrap_servers, {tp.topic for tp in wanted}) if tp in wanted]
    first = await reader.beginning_offsets(places) if places else {}
    ends = await reader.end_offsets(places) if places else {}
    gaps = []
    for row in rows:
        tp = TopicPartition(row["topic"], row["partition"])
        low, high = first.get(tp, 0), ends.get(tp, 0)
        if not low <= row["next_offset"] <= high:
            gaps.append(Gap(row["loop"], tp.topic, tp.partition, row["next_offset"], low, high))
    return gaps


async def _write(db: Connection, service: str, known: Mapping[Home, int], found: Found, gaps: Sequence[Gap]) -> None:
    homes = sorted(known.keys() | found.highest.keys())
    # Owners count up from 1: the time as an epoch is above all that there ever were, and grows faster than they do.
    await db.execute(
        "INSERT INTO home AS old (loop, partition, epoch, seq) SELECT loop, partition, "
        "extract(epoch FROM clock_timestamp())::bigint, seq FROM unnest($1::text[], $2::int[], $3::bigint[]) "
        "AS new (loop, partition, seq) ON CONFLICT (loop, partition) DO UPDATE "
        "SET epoch = greatest(old.epoch + 1, excluded.epoch), seq = excluded.seq",
        [loop for loop, _ in homes],
        [partition for _, partition in homes],
        [max(known.get(home, 0), found.highest.get(home, 0)) + MARGIN for home in homes],
    )
    await db.execute("DELETE FROM already WHERE restored_at < now() - make_interval(days => $1)", already.KEPT_DAYS)
    await db.execute(
        "CREATE TEMPORARY TABLE found_already (loop text, home integer, kind text, id text) ON COMMIT DROP"
    )
    for kind, by_home in (("published", found.published), ("done", found.done)):
        records = [(loop, home, kind, id) for (loop, home), ids in by_home.items() for id in ids]
        await db.copy_records_to_table("found_already", records=records)
    await db.execute("INSERT INTO already (loop, home, kind, id) SELECT * FROM found_already ON CONFLICT DO NOTHING")
    await db.execute("UPDATE home SET replays = (loop, partition) IN (SELECT loop, home FROM already)")
    for gap in gaps:
        await db.execute(
            "UPDATE position SET next_offset = $4 WHERE loop = $1 AND topic = $2 AND partition = $3",
            gap.loop,
            gap.topic,
            gap.partition,
            gap.first,
        )
    hook = resources.files(f"panier_{service}") / "restored.sql"
    if hook.is_file():
        await db.execute(hook.read_text(encoding="utf-8"))
