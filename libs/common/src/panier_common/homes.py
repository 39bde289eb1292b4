"""Who works a partition: the rows that a process takes over, and the lock that refuses a former owner.

Every transaction of a loop locks its home rows with the epoch it took them over with. One row too few means
that somebody else works that home now: the transaction rolls back and the process ends.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from panier_common import already
from panier_common.postgres import Connection


class HomeLostError(RuntimeError):
    """Another process has taken a home over; whatever this one still holds must not be written."""


@dataclass
class Home:
    """A home as its owner knows it. `seq` is the last number given, `published` the last acknowledged.

    `is_restored`: it may decide again what is on the topics already.
    """

    partition: int
    epoch: int
    seq: int
    published: int = 0
    deleted: int = 0
    is_restored: bool = False


@dataclass
class Reading:
    """How far a loop has read one topic-partition, and the last number heard from each source on it."""

    next_offset: int
    heard: dict[str, int] = field(default_factory=dict)


async def take_over(db: Connection, loop: str, partitions: Sequence[int]) -> dict[int, Home]:
    """Become the owner: waits for the former owner's open transaction, then fences it out."""
    await db.execute(
        "INSERT INTO home (loop, partition) SELECT $1, unnest($2::int[]) ON CONFLICT DO NOTHING",
        loop,
        sorted(partitions),
    )
    await db.execute(
        "SELECT 1 FROM home WHERE loop = $1 AND partition = ANY($2::int[]) ORDER BY partition FOR UPDATE",
        loop,
        list(partitions),
    )
    rows = await db.fetch(
        "UPDATE home SET epoch = epoch + 1 WHERE loop = $1 AND partition = ANY($2::int[]) "
        "RETURNING partition, epoch, seq, replays",
        loop,
        list(partitions),
    )
    restored = await already.restored_homes(db, loop, partitions)
    restored |= {row["partition"] for row in rows if row["replays"]}
    return {
        row["partition"]: Home(row["partition"], row["epoch"], row["seq"], is_restored=row["partition"] in restored)
        for row in rows
    }


async def replayed(db: Connection, loop: str, partitions: Sequence[int]) -> None:
    """These restored homes are where they were before."""
    await db.execute(
        "UPDATE home SET replays = false WHERE loop = $1 AND partition = ANY($2::int[])", loop, list(partitions)
    )


async def is_replaying(db: Connection, loop: str) -> bool:
    """Whether a restored home of the loop may still write again what it had written before."""
    found: bool = await db.fetchval("SELECT EXISTS (SELECT FROM home WHERE loop = $1 AND replays)", loop)
    return found


async def lock(db: Connection, loop: str, homes: Iterable[Home]) -> dict[int, int]:
    """Lock these homes, in order, as their owner; each one's `seq`. Raises HomeLostError."""
    mine = {home.partition: home.epoch for home in homes}
    rows = await db.fetch(
        "SELECT home.partition, home.seq FROM home "
        "JOIN unnest($2::int[], $3::bigint[]) AS mine (partition, epoch) USING (partition) "
        "WHERE home.loop = $1 AND home.epoch = mine.epoch ORDER BY home.partition FOR UPDATE OF home",
        loop,
        list(mine),
        list(mine.values()),
    )
    if len(rows) < len(mine):
        lost = sorted(mine.keys() - {row["partition"] for row in rows})
        raise HomeLostError(f"homes {lost} of {loop} have another owner")
    return {row["partition"]: row["seq"] for row in rows}


async def sequences(db: Connection, loop: str, partitions: Sequence[int]) -> dict[int, int]:
    """Each home's last number, without a lock: shows whether others have written to its outbox."""
    rows = await db.fetch(
        "SELECT partition, seq FROM home WHERE loop = $1 AND partition = ANY($2::int[])",
        loop,
        list(partitions),
    )
    return {row["partition"]: row["seq"] for row in rows}


async def load_readings(db: Connection, loop: str, partitions: Sequence[int]) -> Mapping[tuple[str, int], Reading]:
    """(topic, partition) → how far it was read."""
    readings = {
        (row["topic"], row["partition"]): Reading(row["next_offset"])
        for row in await db.fetch(
            "SELECT topic, partition, next_offset FROM position WHERE loop = $1 AND partition = ANY($2::int[])",
            loop,
            list(partitions),
        )
    }
    for row in await db.fetch(
        "SELECT topic, partition, source, n FROM heard WHERE loop = $1 AND partition = ANY($2::int[])",
        loop,
        list(partitions),
    ):
        reading = readings.setdefault((row["topic"], row["partition"]), Reading(-1))
        reading.heard[row["source"]] = row["n"]
    return readings
