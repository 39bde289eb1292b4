"""Events on their way out: rows written with the state they follow from, published in order afterwards.

A record's number counts within its home (loop and partition) and travels as the header `panier_seq`, so that
whoever reads it knows a repeat. What a transaction publishes is one row a home, under the number of its last
record; rows are deleted once the broker has acknowledged them.
"""

import asyncio
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
import structlog
from aiokafka.errors import KafkaError

from panier_common import telemetry
from panier_common.contracts.events import Event
from panier_common.engines import Writer
from panier_common.event import SEQUENCE, TRACEPARENT, Headers, caused_id, cloud_headers, encode
from panier_common.kafka import Outgoing, partition_of
from panier_common.postgres import Connection
from panier_common.topics import TOPIC_OF, key_of

RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0)

log = structlog.get_logger()


# One transaction's events are much alike: a tenth is left, for a tenth of what writing the rest would take.
COMPRESS_FROM = 4096

_Packed = tuple[int, str, str, Headers, msgspec.Raw]
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(list[_Packed])
_TOMBSTONE = b"null"


def pack(records: Sequence[Outgoing]) -> bytes:
    """Records of one home as its row keeps them: JSON, each value in it byte for byte; compressed when long."""
    packed = _ENCODER.encode([(r.n, r.topic, r.key, r.headers, msgspec.Raw(r.value or _TOMBSTONE)) for r in records])
    return packed if len(packed) < COMPRESS_FROM else zlib.compress(packed, 1)


def unpack(home: int, packed: bytes) -> list[Outgoing]:
    """The records of a row."""
    plain = packed if packed.startswith(b"[") else zlib.decompress(packed)
    return [
        Outgoing(home, n, topic, key, headers, None if bytes(value) == _TOMBSTONE else bytes(value))
        for n, topic, key, headers, value in _DECODER.decode(plain)
    ]


def sequence_header(loop: str, home: int, n: int) -> str:
    return f"{loop}/{home}/{n}"


async def load(db: Connection, loop: str, after: Mapping[int, int]) -> list[Outgoing]:
    """What these homes (partition → last number published) still hold, in order."""
    rows = await db.fetch(
        "SELECT home, records FROM outbox "
        "JOIN unnest($2::int[], $3::bigint[]) AS done (home, upto) USING (home) "
        "WHERE loop = $1 AND n > upto ORDER BY home, n",
        loop,
        list(after),
        list(after.values()),
    )
    return [record for row in rows for record in unpack(row["home"], row["records"]) if record.n > after[row["home"]]]


async def ends(db: Connection, loop: str) -> dict[int, int]:
    """Home → number of the last record that waits in this loop's outbox."""
    rows = await db.fetch("SELECT home, max(n) AS n FROM outbox WHERE loop = $1 GROUP BY home", loop)
    return {row["home"]: row["n"] for row in rows}


async def waits(db: Connection, loop: str, upto: Mapping[int, int]) -> bool:
    """Whether anything up to these numbers (home → number) is still to be published, or known to have been."""
    found: bool = await db.fetchval(
        "SELECT EXISTS (SELECT FROM outbox JOIN unnest($2::int[], $3::bigint[]) AS wanted (home, upto) USING (home) "
        "WHERE loop = $1 AND n <= upto)",
        loop,
        list(upto),
        list(upto.values()),
    )
    return found


async def append(
    db: Connection,
    *,
    loop: str,
    partitions: int,
    events: Sequence[Event],
    cause: str,
    at: datetime,
    source: str,
) -> None:
    """Write events into a loop's outbox without being its owner, who then publishes them.

    `partitions` is how many homes the loop has; each event goes to the home of its key. `cause` names what
    they follow from: the same cause makes the same ids. Four statements, however many events.
    """
    by_home: defaultdict[int, list[tuple[int, Event]]] = defaultdict(list)
    for ordinal, event in enumerate(events):
        by_home[partition_of(key_of(event), partitions)].append((ordinal, event))
    homes = sorted(by_home)
    await db.execute(
        "INSERT INTO home (loop, partition) SELECT $1, unnest($2::int[]) ON CONFLICT DO NOTHING", loop, homes
    )
    rows = await db.fetch(
        "SELECT partition, seq FROM home WHERE loop = $1 AND partition = ANY($2::int[]) ORDER BY partition FOR UPDATE",
        loop,
        homes,
    )
    records = []
    for row in rows:
        for n, (ordinal, event) in enumerate(by_home[row["partition"]], row["seq"] + 1):
            event_id = caused_id(source, cause, event.ce_type, ordinal)
            headers = cloud_headers(event, event_id, source, at)
            headers[SEQUENCE] = sequence_header(loop, row["partition"], n)
            records.append(
                Outgoing(row["partition"], n, TOPIC_OF[type(event)].name, key_of(event), headers, encode(event))
            )
    await insert(db, loop, records)
    await db.execute(
        "UPDATE home SET seq = seq + added FROM unnest($2::int[], $3::int[]) AS new (home, added) "
        "WHERE loop = $1 AND partition = home",
        loop,
        homes,
        [len(by_home[home]) for home in homes],
    )


async def insert(db: Connection, loop: str, records: Sequence[Outgoing]) -> None:
    await db.execute(
        "INSERT INTO outbox (loop, home, n, records) SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::bytea[])",
        loop,
        *columns(records),
    )


def columns(records: Iterable[Outgoing]) -> tuple[list[int], list[int], list[bytes]]:
    """The records as the arrays of one `unnest`: homes, last numbers, rows."""
    by_home: defaultdict[int, list[Outgoing]] = defaultdict(list)
    for record in records:
        by_home[record.home].append(record)
    return list(by_home), [rows[-1].n for rows in by_home.values()], [pack(rows) for rows in by_home.values()]


class Publisher:
    """Publishes one loop's outbox: per destination one batch in flight, and all again in order after a failure."""

    def __init__(self, loop: str, producer: Writer) -> None:
        self._loop = loop
        self._producer = producer
        self.failing: str | None = None

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Returns when the broker has acknowledged them all, however long that takes."""
        pending, attempt, started = list(records), 0, time.monotonic()
        while pending:
            pending = await self._attempt(pending)
            if pending:
                await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
                attempt += 1
        self.failing = None
        for record in records:
            if record.span is not None:
                record.span.end()
        trace = next((record.headers[TRACEPARENT] for record in records if record.span is not None), None)
        telemetry.PUBLISH_SECONDS.record(time.monotonic() - started, {"loop": self._loop}, telemetry.during(trace))

    async def _attempt(self, records: Sequence[Outgoing]) -> list[Outgoing]:
        """What could not be published, still in order."""
        producer = None
        try:
            producer = await self._producer.get()
            by_destination: defaultdict[tuple[str, int], list[Outgoing]] = defaultdict(list)
            partitions = {topic: await self._producer.partitions(topic) for topic in {r.topic for r in records}}
            for record in records:
                by_destination[record.topic, partition_of(record.key, partitions[record.topic])].append(record)
            destinations = list(by_destination.items())
            results = await asyncio.gather(
                *(self._producer.send_in_order(topic, p, rows) for (topic, p), rows in destinations),
                return_exceptions=True,
            )
        except (KafkaError, OSError) as error:
            results, destinations = [error], [(("", 0), list(records))]
        failed = [rows for (_, rows), result in zip(destinations, results, strict=True) if result is not None]
        for result in results:
            if result is not None and not isinstance(result, KafkaError | OSError):
                raise result
        for ((topic, _), rows), result in zip(destinations, results, strict=True):
            if result is None:
                telemetry.PUBLISHED.add(len(rows), {"topic": topic})
        if failed:
            self.failing = "the broker does not take what is to be published"
            log.warning("publishing failed, again in order", loop=self._loop, records=sum(map(len, failed)))
            if producer is not None:
                await self._producer.throw_away(producer)
        return _in_order(failed)


def _in_order(groups: Iterable[list[Outgoing]]) -> list[Outgoing]:
    return sorted((record for group in groups for record in group), key=lambda r: (r.home, r.n))
