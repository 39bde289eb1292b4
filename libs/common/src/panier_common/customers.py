"""What a service holds of one customer, for who asks to see it or to have it erased: two look-ups of people's tools.

A service says which conversations an id belongs to and which rows those have; what the runner keeps is added here.
It changes nothing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from asyncpg import Record
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from panier_common.erasing import quoted
from panier_common.postgres import Connection, Pool

Row = dict[str, Any]
Known = Callable[[Connection, str, Sequence[str]], Awaitable[Sequence[Mapping[str, Any]]]]
"""(number, ids) → rows of conversation, user_id, wa_id that show one of the ids."""
Held = Callable[[Connection, Sequence[str]], Awaitable[dict[str, list[Row]]]]
"""conversations → table → rows, as people can read them."""

_ID = Field(min_length=1, max_length=200)


class Person(BaseModel):
    """A customer at one number of a shop, as far as is known by now."""

    model_config = ConfigDict(extra="forbid")

    phone_number_id: str = _ID
    ids: list[str] = Field(default_factory=list, max_length=100)
    conversations: list[str] = Field(default_factory=list, max_length=100)


async def nobody(connection: Connection, phone_number_id: str, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """A service that knows conversations by their key alone."""
    return ()


async def nothing(connection: Connection, conversations: Sequence[str]) -> dict[str, list[Row]]:
    """A service that keeps no rows of conversations."""
    return {}


def router(pool: Pool, known: Known = nobody, held: Held = nothing) -> APIRouter:
    routes = APIRouter(prefix="/customers")

    @routes.post("/known")
    async def conversations(person: Person) -> dict[str, list[Row]]:
        """Conversations that show one of the ids, and into which conversations these went on."""
        async with pool.acquire() as db:
            found = await known(db, person.phone_number_id, person.ids) if person.ids else ()
            merged = await db.fetch(
                'SELECT DISTINCT conversation, "into" FROM merged '
                'WHERE conversation = ANY($1::text[]) OR "into" = ANY($1::text[])',
                person.conversations,
            )
        return {"shown": [dict(row) for row in found], "merged": rows(merged)}

    @routes.post("/held")
    async def everything(person: Person) -> dict[str, list[Row]]:
        """All rows about these conversations by table; tables without one are left out."""
        async with pool.acquire() as db, db.transaction(isolation="repeatable_read", readonly=True):
            found = {**await held(db, person.conversations), **await _kept_by_runner(db, person)}
        return {table: rows for table, rows in found.items() if rows}

    return routes


def rows(records: Sequence[Record], json: Sequence[str] = ()) -> list[Row]:
    """Rows as documents; `json` columns are JSON that the database gave as text."""
    return [{**row, **{name: msgspec.json.decode(row[name]) for name in json}} for row in map(dict, records)]


async def _kept_by_runner(db: Connection, person: Person) -> dict[str, list[Row]]:
    words = quoted({*person.conversations, *person.ids})
    letters = await db.fetch(
        "SELECT id, loop, topic, at, reason, value FROM dead_letter WHERE key = ANY($2::text[]) "
        "OR EXISTS (SELECT FROM unnest($1::bytea[]) AS word WHERE position(word IN value) > 0) ORDER BY at",
        words,
        person.conversations,
    )
    timers = await db.fetch(
        "SELECT loop, key, due_at, ce_type, value FROM timer "
        "WHERE EXISTS (SELECT FROM unnest($1::bytea[]) AS word WHERE position(word IN value) > 0) ORDER BY due_at",
        quoted(person.conversations),
    )
    return {
        "conversation": rows(
            await db.fetch(
                "SELECT loop, conversation, language, length(memory) / 8 AS messages_remembered FROM conversation "
                "WHERE conversation = ANY($1::text[]) ORDER BY loop, conversation",
                person.conversations,
            )
        ),
        "merged": rows(
            await db.fetch(
                'SELECT loop, conversation, "into" FROM merged WHERE conversation = ANY($1::text[]) ORDER BY 1, 2',
                person.conversations,
            )
        ),
        "timer": [_readable(row) for row in timers],
        "dead_letter": [_readable(row) for row in letters],
    }


def _readable(record: Record) -> Row:
    """With its value as JSON, or as what text there is in it."""
    row = dict(record)
    value = bytes(row["value"] or b"")
    try:
        row["value"] = msgspec.json.decode(value)
    except msgspec.DecodeError:
        row["value"] = value.decode("utf-8", "replace")
    return row
