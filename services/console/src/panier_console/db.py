"""Every SQL statement of the console, as functions that take a connection. No rules."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from panier_common.postgres import Connection

from panier_console.inbox import Inbox

# The loop whose merges are asked for.
CONVERSATIONS = "console.conversations"
# More than people of a shop can answer, or read, at once.
WAITING = 1000
FAILED_SHOWN = 500


class Inbound(NamedTuple):
    """A row of `inbound_message`."""

    id: UUID
    conversation: str
    place: int
    wamid: str
    kind: str
    text: str
    at: datetime


class Outgoing(NamedTuple):
    """A row of `outgoing_message`."""

    id: UUID
    conversation: str
    place: int
    kind: str
    text: str
    at: datetime


class Sent(NamedTuple):
    """A row of `sent_message`: what the sender told of one of our messages; `said` is why it failed, for people."""

    id: UUID
    wamid: str
    reached: int
    said: str = ""


class Delivery(NamedTuple):
    """A row of `delivery`: what Meta told of one of our messages, whose own id is kept nowhere."""

    phone_number_id: str
    wamid: str
    reached: int
    message_id: UUID | None = None


async def load_inboxes(db: Connection, conversations: Iterable[str]) -> dict[str, Inbox]:
    rows = await db.fetch("SELECT * FROM inbox WHERE conversation = ANY($1::text[])", list(conversations))
    return {row["conversation"]: Inbox(**dict(row)) for row in rows}


async def save_inboxes(db: Connection, inboxes: Sequence[Inbox]) -> None:
    """Insert or replace these rows, in one statement."""
    await db.execute(
        """
        INSERT INTO inbox (conversation, phone_number_id, shop, user_id, wa_id, person, version,
                           unanswered_since, told_at, last_at, coming_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
                             $7::bigint[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[],
                             $11::timestamptz[])
        ON CONFLICT (conversation) DO UPDATE SET
            shop = excluded.shop, user_id = excluded.user_id, wa_id = excluded.wa_id,
            person = excluded.person, version = excluded.version,
            unanswered_since = excluded.unanswered_since, told_at = excluded.told_at,
            last_at = excluded.last_at, coming_at = excluded.coming_at
        """,
        [row.conversation for row in inboxes],
        [row.phone_number_id for row in inboxes],
        [row.shop for row in inboxes],
        [row.user_id for row in inboxes],
        [row.wa_id for row in inboxes],
        [row.person for row in inboxes],
        [row.version for row in inboxes],
        [row.unanswered_since for row in inboxes],
        [row.told_at for row in inboxes],
        [row.last_at for row in inboxes],
        [row.coming_at for row in inboxes],
    )


async def insert_inbound(db: Connection, messages: Collection[Inbound]) -> None:
    await db.execute(
        "INSERT INTO inbound_message (id, conversation, place, wamid, kind, text, at) "
        "SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], "
        "$7::timestamptz[]) ON CONFLICT (id) DO NOTHING",
        *_columns(messages, len(Inbound._fields)),
    )


async def insert_outgoing(db: Connection, messages: Collection[Outgoing]) -> None:
    await db.execute(
        "INSERT INTO outgoing_message (id, conversation, place, kind, text, at) "
        "SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[]) "
        "ON CONFLICT (id) DO NOTHING",
        *_columns(messages, len(Outgoing._fields)),
    )


async def save_sent(db: Connection, messages: Collection[Sent]) -> None:
    """Keep these, each id once, where they say more than what is known."""
    await db.execute(
        "INSERT INTO sent_message (id, wamid, reached, said) "
        "SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::text[]) AS told (id, wamid, reached, said) "
        "WHERE NOT EXISTS (SELECT FROM erased_message WHERE erased_message.id = told.id) "
        "ON CONFLICT (id) DO UPDATE SET reached = excluded.reached, said = excluded.said, "
        "wamid = CASE WHEN excluded.wamid = '' THEN sent_message.wamid ELSE excluded.wamid END "
        "WHERE sent_message.reached < excluded.reached",
        *_columns(messages, len(Sent._fields)),
    )


async def save_deliveries(db: Connection, deliveries: Collection[Delivery]) -> None:
    """Keep these, each message once, where they say more than what is known."""
    await db.execute(
        "INSERT INTO delivery (phone_number_id, wamid, reached) "
        "SELECT number, wamid, reached "
        "FROM unnest($1::text[], $2::text[], $3::smallint[], $4::uuid[]) AS told (number, wamid, reached, id) "
        "WHERE NOT EXISTS (SELECT FROM erased_message WHERE erased_message.id = told.id) "
        "ON CONFLICT (phone_number_id, wamid) DO UPDATE SET reached = excluded.reached "
        "WHERE delivery.reached < excluded.reached",
        *_columns(deliveries, len(Delivery._fields)),
    )


async def find_conversations(db: Connection, phone_number_id: str, customer: str) -> list[str]:
    """The conversations of a customer by any id: the present one that moved last first, then merged ones."""
    rows = await db.fetch(
        """
        WITH own AS (
            SELECT conversation FROM inbox
            WHERE phone_number_id = $1 AND (user_id = $2 OR wa_id = $2 OR conversation = $1::text || ':' || $2::text)
        ), present AS (
            SELECT coalesce(m."into", own.conversation) AS conversation FROM own
            LEFT JOIN merged m ON m.loop = $3 AND m.conversation = own.conversation
        ), every AS (
            SELECT conversation, false AS ended FROM present
            UNION SELECT m.conversation, true FROM merged m JOIN present p ON m."into" = p.conversation
            WHERE m.loop = $3
        )
        SELECT conversation FROM every LEFT JOIN inbox USING (conversation)
        ORDER BY ended, last_at DESC NULLS LAST
        """,
        phone_number_id,
        customer,
        CONVERSATIONS,
    )
    return [row["conversation"] for row in rows]


async def load_messages(db: Connection, phone_number_id: str, conversations: Sequence[str]) -> list[dict[str, Any]]:
    """Both directions, oldest first, with everything that was told about the outgoing ones."""
    rows = await db.fetch(
        """
        SELECT wamid AS id, 'in' AS direction, kind, text, at, place,
               NULL::smallint AS sent, NULL::smallint AS delivered, NULL::text AS said
        FROM inbound_message WHERE conversation = ANY($2::text[])
        UNION ALL
        SELECT o.id::text, 'out', o.kind, o.text, o.at, o.place, s.reached, d.reached, s.said
        FROM outgoing_message o
        LEFT JOIN sent_message s ON s.id = o.id
        LEFT JOIN delivery d ON d.phone_number_id = $1 AND d.wamid = s.wamid
        WHERE o.conversation = ANY($2::text[])
        ORDER BY at, direction, place
        """,
        phone_number_id,
        list(conversations),
    )
    return [dict(row) for row in rows]


async def load_failed(db: Connection, phone_number_id: str) -> list[dict[str, Any]]:
    """Our messages of a number that did not reach their customers and why, the newest first; at most FAILED_SHOWN."""
    rows = await db.fetch(
        """
        SELECT o.id::text, o.conversation, o.kind, o.text, s.at, s.said
        FROM sent_message s JOIN outgoing_message o ON o.id = s.id
        LEFT JOIN delivery d ON d.phone_number_id = $1 AND d.wamid = s.wamid
        WHERE s.reached = 2 AND starts_with(o.conversation, $1 || ':') AND coalesce(d.reached, 0) <= 2
        ORDER BY s.at DESC LIMIT $2
        """,
        phone_number_id,
        FAILED_SHOWN,
    )
    return [dict(row) for row in rows]


async def load_inbox_of(db: Connection, shop: str) -> list[Inbox]:
    """The conversations of a shop in which a person has the floor, the longest waiting first; at most WAITING."""
    rows = await db.fetch(
        "SELECT * FROM inbox WHERE person AND shop = $1 ORDER BY unanswered_since LIMIT $2", shop, WAITING
    )
    return [Inbox(**dict(row)) for row in rows]


def _columns(rows: Collection[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """The rows as the arrays of one `unnest`."""
    return [[row[n] for row in rows] for n in range(width)]
