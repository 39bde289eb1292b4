"""Waits that end by themselves: rows due by the database's clock, decided on like any other event.

A timer belongs to its home and is deleted in the transaction that decides on it. There are no sleeping tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from panier_common.postgres import Connection

TIMER_TOPIC = "timer"


@dataclass(frozen=True)
class DueTimer:
    """A timer whose time has come."""

    home: int
    key: str
    due_at: datetime
    ce_type: str
    value: bytes
    traceparent: str | None
    cause: str | None


@dataclass(frozen=True)
class NewTimer:
    """`cause`: what set it, when that is the same should it be decided again."""

    home: int
    key: str
    after_seconds: float
    ce_type: str
    value: bytes
    traceparent: str | None
    cause: str | None = None


async def due(db: Connection, loop: str, homes: Sequence[int], limit: int) -> list[DueTimer]:
    """Those whose time has come, the longest due first. By the index: what changes within a statement, as
    clock_timestamp() does, could only be compared with every timer that waits.
    """
    rows = await db.fetch(
        "SELECT home, key, due_at, ce_type, value, traceparent, cause FROM timer "
        "WHERE loop = $1 AND home = ANY($2::int[]) AND due_at <= statement_timestamp() ORDER BY due_at, key LIMIT $3",
        loop,
        list(homes),
        limit,
    )
    return [DueTimer(**dict(row)) for row in rows]


async def change(db: Connection, loop: str, changes: Mapping[tuple[int, str], NewTimer | None]) -> None:
    """Set (again) or drop timers, by (home, key): None drops. Two statements, none when there is nothing."""
    dropped = [key for key, timer in changes.items() if timer is None]
    if dropped:
        await db.execute(
            "DELETE FROM timer USING unnest($2::int[], $3::text[]) AS gone (home, key) "
            "WHERE timer.loop = $1 AND timer.home = gone.home AND timer.key = gone.key",
            loop,
            [home for home, _ in dropped],
            [key for _, key in dropped],
        )
    new = [timer for timer in changes.values() if timer is not None]
    if new:
        await db.execute(
            "INSERT INTO timer (loop, home, key, due_at, ce_type, value, traceparent, cause) "
            "SELECT $1, home, key, clock_timestamp() + make_interval(secs => seconds), ce_type, value, traceparent, "
            "cause "
            "FROM unnest($2::int[], $3::text[], $4::float8[], $5::text[], $6::bytea[], $7::text[], $8::text[]) "
            "AS new (home, key, seconds, ce_type, value, traceparent, cause) "
            "ON CONFLICT (loop, home, key) DO UPDATE SET due_at = excluded.due_at, ce_type = excluded.ce_type, "
            "value = excluded.value, traceparent = excluded.traceparent, cause = excluded.cause",
            loop,
            [t.home for t in new],
            [t.key for t in new],
            [t.after_seconds for t in new],
            [t.ce_type for t in new],
            [t.value for t in new],
            [t.traceparent for t in new],
            [t.cause for t in new],
        )
