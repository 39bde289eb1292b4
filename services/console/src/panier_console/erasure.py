"""What the console holds of a customer, and how it forgets it: the SQL of both, and the end of the floor's key."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from panier_common.customers import Row, rows
from panier_common.effects import Effect, Tombstone
from panier_common.erasing import SETTLE_SECONDS, ErasureDue
from panier_common.postgres import Connection
from panier_common.topics import FLOOR

# WhatsApp keeps a message for 30 days for a phone that is off, and tells when it is read.
STILL_TOLD_OF = timedelta(days=60)


async def known(db: Connection, phone_number_id: str, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Conversations that show one of these ids."""
    return rows(
        await db.fetch(
            "SELECT conversation, user_id, wa_id FROM inbox WHERE phone_number_id = $1 AND user_id = ANY($2::text[]) "
            "UNION "
            "SELECT conversation, user_id, wa_id FROM inbox WHERE phone_number_id = $1 AND wa_id = ANY($2::text[])",
            phone_number_id,
            ids,
        )
    )


async def held(db: Connection, conversations: Sequence[str]) -> dict[str, list[Row]]:
    inbox = "SELECT * FROM inbox WHERE conversation = ANY($1::text[]) ORDER BY 1"
    inbound = "SELECT * FROM inbound_message WHERE conversation = ANY($1::text[]) ORDER BY at, place"
    outgoing = """
        SELECT o.*, s.wamid, s.reached AS sent, d.reached AS delivered FROM outgoing_message o
        LEFT JOIN sent_message s ON s.id = o.id
        LEFT JOIN delivery d ON d.phone_number_id = split_part(o.conversation, ':', 1) AND d.wamid = s.wamid
        WHERE o.conversation = ANY($1::text[]) ORDER BY o.at, o.place
    """
    return {
        "inbox": rows(await db.fetch(inbox, conversations)),
        "inbound_message": rows(await db.fetch(inbound, conversations)),
        "outgoing_message": rows(await db.fetch(outgoing, conversations)),
    }


async def erase(db: Connection, conversations: Sequence[str]) -> None:
    """By the home of conversations. What we said is forgotten by the number's, which may still have to read it."""
    await db.execute("DELETE FROM inbound_message WHERE conversation = ANY($1::text[])", conversations)
    await db.execute("DELETE FROM inbox WHERE conversation = ANY($1::text[])", conversations)


def settled_at(due: ErasureDue) -> datetime:
    """What was said until then goes, with what followed from it: a message of ours bears the time of its cause."""
    return due.at + timedelta(seconds=SETTLE_SECONDS)


async def erase_outgoing(db: Connection, due: Sequence[ErasureDue]) -> None:
    """By the home of a number, which alone knows that it has read what was still to come. Also what homes of
    conversations were told of these messages: nobody loads those rows to change them.

    This home may have been far behind, and have read by now what was said to a customer who came back: that stays.
    """
    await db.execute(
        """
        WITH ours AS (
            DELETE FROM outgoing_message USING unnest($1::text[], $2::timestamptz[]) AS due (conversation, settled_at)
            WHERE outgoing_message.conversation = due.conversation AND at < settled_at
            RETURNING id, at, split_part(due.conversation, ':', 1) AS number
        ), known AS (
            INSERT INTO erased_message (id) SELECT id FROM ours WHERE at > now() - $3::interval
            ON CONFLICT (id) DO UPDATE SET erased_at = now()
        ), told AS (
            DELETE FROM sent_message USING ours WHERE sent_message.id = ours.id RETURNING number, wamid
        )
        DELETE FROM delivery USING told WHERE delivery.phone_number_id = told.number AND delivery.wamid = told.wamid
        """,
        [one.conversation for one in due],
        [settled_at(one) for one in due],
        STILL_TOLD_OF,
    )
    await db.execute("DELETE FROM erased_message WHERE erased_at < now() - $1::interval", STILL_TOLD_OF)


def also(conversation: str) -> Sequence[Effect]:
    """The compacted topic forgets who has the floor."""
    return (Tombstone(FLOOR, conversation),)
