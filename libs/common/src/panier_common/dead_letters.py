"""Records that nobody could digest, kept as rows until a person replays or drops them.

Every statement about them is here. How many are kept, and what happens beyond that: ADR 26.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

import msgspec
from asyncpg import Record

from panier_common.postgres import Connection
from panier_common.redaction import redacted

_NAMESPACE = UUID("0c9a5f6e-26b1-5b44-8f3e-7d0a9c2f1b61")
REASON_LIMIT = 500
# Of one loop: beyond so many bytes, what its topic still has is not kept twice; beyond so many letters it waits.
WHOLE_BYTES = 256 * 1024 * 1024
MOST_LETTERS = 1_000_000


class TooManyDeadLettersError(RuntimeError):
    """A loop that can digest next to nothing: it waits for a person, and loses nothing meanwhile."""


class DeadLetter(msgspec.Struct):
    """A record with why it failed. `home` is the partition whose owner replays it.

    `known` is its id when it was a dead letter before; `offset` is -1 for what comes from no topic.
    """

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
    known: UUID | None = None

    @property
    def id(self) -> UUID:
        """The same for the same record of the same loop, however often it fails."""
        if self.known is not None:
            return self.known
        name = f"{self.loop}\n{self.topic}\n{self.partition}\n{self.offset}\n{self.key}"
        if self.offset < 0:  # two timers of one conversation are two letters
            name += f"\n{sha256(self.headers + (self.value or b'')).hexdigest()}"
        return uuid5(_NAMESPACE, name)


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
    """Insert them; one that failed before keeps its row, with the new reason and no more replay.

    Beyond WHOLE_BYTES a letter's value is left where it is, in its topic. Raises TooManyDeadLettersError.
    """
    new = list({letter.id: letter for letter in letters}.values())
    whole = await _room(db, new)
    await db.execute(
        'INSERT INTO dead_letter (id, loop, home, topic, partition, "offset", key, headers, value, reason,'
        " trace_id, bytes, is_whole) SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::int[],"
        " $6::bigint[], $7::text[], $8::bytea[], $9::bytea[], $10::text[], $11::text[], $12::int[], $13::bool[])"
        " ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, at = now(), replay_at = NULL,"
        " failures = dead_letter.failures + 1",
        [letter.id for letter in new],
        *([getattr(letter, name) for letter in new] for name in _PLACE),
        [letter.headers for letter in new],
        [letter.value if is_whole else None for letter, is_whole in zip(new, whole, strict=True)],
        [letter.reason for letter in new],
        [letter.trace_id for letter in new],
        [len(letter.value or b"") for letter in new],
        whole,
    )


_PLACE = ("loop", "home", "topic", "partition", "offset", "key")


async def _room(db: Connection, letters: Sequence[DeadLetter]) -> list[bool]:
    """Which of them are kept whole: all, until there are too many bytes."""
    row = await db.fetchrow(
        "SELECT coalesce(sum(letters), 0)::bigint AS letters, coalesce(sum(bytes), 0)::bigint AS bytes "
        "FROM dead_letter_total WHERE loop = $1",
        letters[0].loop,
    )
    if row is None or row["letters"] + len(letters) > MOST_LETTERS:
        raise TooManyDeadLettersError(f"{letters[0].loop} has {MOST_LETTERS} dead letters")
    left = WHOLE_BYTES - row["bytes"]
    whole = []
    for letter in letters:
        left -= len(letter.value or b"")
        whole.append(letter.offset < 0 or left >= 0)
    return whole


# What people ask.

_COLUMNS = 'id, topic, partition, "offset", reason, at, trace_id'


def _document(service: str, row: Record) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "service": service,
        "topic": row["topic"],
        "partition": row["partition"],
        "offset": row["offset"],
        "reason": row["reason"],
        "at": _time(row["at"]),
        "trace_id": row["trace_id"],
    }


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def listed(db: Connection, service: str, limit: int = 1000) -> list[dict[str, Any]]:
    """The newest of them."""
    rows = await db.fetch(f"SELECT {_COLUMNS} FROM dead_letter ORDER BY at DESC, id LIMIT $1", limit)  # noqa: S608
    return [_document(service, row) for row in rows]


async def counted(db: Connection, service: str) -> list[dict[str, Any]]:
    """How many there are for each reason: what to look at first when there are thousands."""
    rows = await db.fetch(
        "SELECT loop, topic, reason, count(*) AS letters, sum(bytes)::bigint AS bytes, min(at) AS oldest, "
        "max(at) AS newest FROM dead_letter GROUP BY loop, topic, reason ORDER BY letters DESC, loop, topic, reason"
    )
    return [
        {"service": service, **dict(row), "oldest": _time(row["oldest"]), "newest": _time(row["newest"])}
        for row in rows
    ]


async def shown(db: Connection, service: str, letter: UUID, read_by: str | None = None) -> dict[str, Any] | None:
    """One of them, its words hidden. With `read_by` all of it is shown, and that is written down."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS}, loop, key, headers, value, edited, bytes, failures, is_whole, replay_at "  # noqa: S608
        "FROM dead_letter WHERE id = $1",
        letter,
    )
    if row is None:
        return None
    document = {
        **_document(service, row),
        "loop": row["loop"],
        "headers": msgspec.json.decode(row["headers"]),
        "bytes": row["bytes"],
        "failures": row["failures"],
        "is_whole": row["is_whole"],
        "replay_requested": row["replay_at"] is not None,
        "value": redacted(row["value"]),
        "edited": redacted(row["edited"]),
        "acts": await acts(db, service, letter),
    }
    if read_by is not None:
        await _note(db, [letter], "read", read_by)
        document |= {"key": row["key"], "value": _read(row["value"]), "edited": _read(row["edited"])}
    return document


def _read(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return msgspec.json.decode(value)
    except ValueError:
        return value.decode("utf-8", "replace")


async def acts(db: Connection, service: str, letter: UUID | None = None, limit: int = 1000) -> list[dict[str, Any]]:
    """Who did what and when, the newest first: to one letter, or to all."""
    rows = await db.fetch(
        'SELECT letter, act, by, at, loop, topic, partition, "offset", reason, trace_id FROM dead_letter_act '
        "WHERE $1::uuid IS NULL OR letter = $1 ORDER BY n DESC LIMIT $2",
        letter,
        limit,
    )
    return [{"service": service, **dict(row), "letter": str(row["letter"]), "at": _time(row["at"])} for row in rows]


# What people do.


async def _note(db: Connection, letters: Sequence[UUID], act: str, by: str) -> None:
    await db.execute(
        'INSERT INTO dead_letter_act (letter, act, by, loop, topic, partition, "offset", reason, trace_id) '
        'SELECT id, $2, $3, loop, topic, partition, "offset", reason, trace_id FROM dead_letter '
        "WHERE id = ANY($1::uuid[]) ORDER BY at, id",
        letters,
        act,
        by,
    )


async def find(db: Connection, letter: UUID) -> Record | None:
    """What its replay needs, locked until the transaction ends."""
    return await db.fetchrow(
        'SELECT loop, topic, partition, "offset", key, headers, edited, is_whole, replay_at FROM dead_letter '
        "WHERE id = $1 FOR UPDATE",
        letter,
    )


async def edit(db: Connection, letter: UUID, value: bytes, by: str) -> None:
    """Have its next replay take this instead; what came stays beside it."""
    await db.execute("UPDATE dead_letter SET edited = $2 WHERE id = $1", letter, value)
    await _note(db, [letter], "edited", by)


async def bring_back(db: Connection, letter: UUID, value: bytes | None) -> None:
    """The value of a letter that was left in its topic, read from there."""
    await db.execute("UPDATE dead_letter SET edited = $2 WHERE id = $1 AND edited IS NULL", letter, value)


async def ask_replay(db: Connection, letter: UUID, by: str = "") -> bool:
    """Have the owner of its home try it again, as a late event; False when there is no such letter."""
    done = await db.execute("UPDATE dead_letter SET replay_at = coalesce(replay_at, now()) WHERE id = $1", letter)
    await _note(db, [letter], "replayed", by)
    return done == "UPDATE 1"


async def drop(db: Connection, letter: UUID, by: str = "") -> bool:
    """Forget it for good, but for who did so; False when there is no such letter."""
    await _note(db, [letter], "dropped", by)
    return await db.execute("DELETE FROM dead_letter WHERE id = $1", letter) == "DELETE 1"


async def alike(db: Connection, loop: str, reason: str, limit: int, droppable: bool) -> list[UUID]:
    """Those that failed for one reason and do not wait for their replay, the oldest first, locked.

    A value that is in its topic alone is replayed by its own id: it has to be read from there first.
    """
    rows = await db.fetch(
        "SELECT id FROM dead_letter WHERE loop = $1 AND reason = $2 AND replay_at IS NULL "
        "AND ($4 OR is_whole OR edited IS NOT NULL) ORDER BY at, id LIMIT $3 FOR UPDATE SKIP LOCKED",
        loop,
        reason,
        limit,
        droppable,
    )
    return [row["id"] for row in rows]


async def replay_all(db: Connection, letters: Sequence[UUID], by: str) -> None:
    await db.execute("UPDATE dead_letter SET replay_at = now() WHERE id = ANY($1::uuid[])", letters)
    await _note(db, letters, "replayed", by)


async def drop_all(db: Connection, letters: Sequence[UUID], by: str) -> None:
    await _note(db, letters, "dropped", by)
    await db.execute("DELETE FROM dead_letter WHERE id = ANY($1::uuid[])", letters)


# What the runner does.


async def to_replay(db: Connection, loop: str, partitions: Sequence[int]) -> list[Record]:
    """Letters of these homes that somebody wants tried again, as they are to be tried."""
    rows: list[Record] = await db.fetch(
        'SELECT id, home, topic, partition, "offset", key, headers, coalesce(edited, value) AS value, at '
        "FROM dead_letter WHERE loop = $1 AND home = ANY($2::int[]) AND replay_at IS NOT NULL "
        'ORDER BY replay_at, at, topic, partition, "offset", id LIMIT 100',  # as they came: many are asked for at once
        loop,
        list(partitions),
    )
    return rows


async def still_there(db: Connection, letters: Sequence[UUID]) -> set[UUID]:
    """Those nobody has dropped since they were read, locked: what is replayed is dropped by nobody."""
    rows = await db.fetch(
        "SELECT id FROM dead_letter WHERE id = ANY($1::uuid[]) AND replay_at IS NOT NULL ORDER BY id FOR UPDATE",
        letters,
    )
    return {row["id"] for row in rows}


async def forget(db: Connection, letters: Sequence[UUID]) -> None:
    """Their replay had its effect, in this transaction."""
    await db.execute("DELETE FROM dead_letter WHERE id = ANY($1::uuid[])", letters)


def headers_of(row: Record) -> dict[str, str]:
    headers: dict[str, str] = msgspec.json.decode(row["headers"], type=dict[str, str])
    return headers
