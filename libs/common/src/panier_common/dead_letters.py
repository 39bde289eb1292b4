"""Records that nobody could digest, kept whole as rows until a person replays or drops them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import msgspec
from asyncpg import Record

from panier_common.postgres import Connection

_NAMESPACE = UUID("0c9a5f6e-26b1-5b44-8f3e-7d0a9c2f1b61")
REASON_LIMIT = 500


class DeadLetter(msgspec.Struct):
    """A record with why it failed. `home` is the partition whose owner replays it."""

    loop: str
    home: int
    topic: str
    partition: int
    offset: int
    key: str
    headers: bytes
    value: bytes | None
    reason: str
    trace_id: str | None

    @property
    def id(self) -> UUID:
        """The same for the same record of the same loop, however often it fails."""
        return uuid5(_NAMESPACE, f"{self.loop}\n{self.topic}\n{self.partition}\n{self.offset}\n{self.key}")


def reason_of(error: BaseException) -> str:
    """What went wrong, without the words of customers that an error's text may quote.

    Only the kind of error and where it was raised: a value that could not be decoded is a customer's.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else ""
    code = getattr(error, "sqlstate", None)
    return f"{type(error).__name__}{f' {code}' if code else ''}{place}"[:REASON_LIMIT]


async def keep(db: Connection, letters: Sequence[DeadLetter]) -> None:
    """Insert them; one that failed before keeps its row, with the new reason and no more replay."""
    await db.execute(
        'INSERT INTO dead_letter (id, loop, home, topic, partition, "offset", key, headers, value, reason,'
        " trace_id) SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::int[], $6::bigint[],"
        " $7::text[], $8::bytea[], $9::bytea[], $10::text[], $11::text[])"
        " ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, at = now(), replay_at = NULL",
        [letter.id for letter in letters],
        *(
            [getattr(letter, name) for letter in letters]
            for name in (
                "loop",
                "home",
                "topic",
                "partition",
                "offset",
                "key",
                "headers",
                "value",
                "reason",
                "trace_id",
            )
        ),
    )


def _document(service: str, row: Record) -> dict[str, Any]:
    at: datetime = row["at"]
    return {
        "id": str(row["id"]),
        "service": service,
        "topic": row["topic"],
        "partition": row["partition"],
        "offset": row["offset"],
        "reason": row["reason"],
        "at": at.isoformat().replace("+00:00", "Z"),
        "trace_id": row["trace_id"],
    }


_COLUMNS = 'id, topic, partition, "offset", reason, at, trace_id'


async def listed(db: Connection, service: str, limit: int = 1000) -> list[dict[str, Any]]:
    rows = await db.fetch(f"SELECT {_COLUMNS} FROM dead_letter ORDER BY at DESC, id LIMIT $1", limit)  # noqa: S608
    return [_document(service, row) for row in rows]


async def shown(db: Connection, service: str, letter: UUID) -> dict[str, Any] | None:
    """One of them with its CloudEvents headers and size; its words stay in the database."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS}, headers, length(value) AS bytes, replay_at FROM dead_letter WHERE id = $1",  # noqa: S608
        letter,
    )
    if row is None:
        return None
    return {
        **_document(service, row),
        "headers": msgspec.json.decode(row["headers"]),
        "bytes": row["bytes"],
        "replay_requested": row["replay_at"] is not None,
    }


async def ask_replay(db: Connection, letter: UUID) -> bool:
    """Have the owner of its home try it again, as a late event; False when there is no such letter."""
    return await db.execute("UPDATE dead_letter SET replay_at = now() WHERE id = $1", letter) == "UPDATE 1"


async def drop(db: Connection, letter: UUID) -> bool:
    return await db.execute("DELETE FROM dead_letter WHERE id = $1", letter) == "DELETE 1"
