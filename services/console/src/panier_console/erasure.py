"""What the console holds of a customer, and how it forgets it: the SQL of both, and the end of the floor's key."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from panier_common.customers import Row, rows
from panier_common.effects import Effect, Tombstone
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
    """By the home of conversations, also what a number's home wrote: nobody loads those rows to change them."""
    await db.execute(
        """
        WITH ours AS (
            DELETE FROM outgoing_message WHERE conversation = ANY($1::text[])
            RETURNING id, at, split_part(conversation, ':', 1) AS number
        ), known AS (
            INSERT INTO erased_message (id) SELECT id FROM ours WHERE at > now() - $2::interval
            ON CONFLICT (id) DO UPDATE SET erased_at = now()
        ), told AS (
            DELETE FROM sent_message USING ours WHERE sent_message.id = ours.id RETURNING number, wamid
        ), delivered AS (
            DELETE FROM delivery USING told
            WHERE delivery.phone_number_id = told.number AND delivery.wamid = told.wamid
        ), theirs AS (
            DELETE FROM inbound_message WHERE conversation = ANY($1::text[])
        )
        DELETE FROM inbox WHERE conversation = ANY($1::text[])
        """,
        conversations,
        STILL_TOLD_OF,
    )
    await db.execute("DELETE FROM erased_message WHERE erased_at < now() - $1::interval", STILL_TOLD_OF)


def also(conversation: str) -> Sequence[Effect]:
    """The compacted topic forgets who has the floor."""
    return (Tombstone(FLOOR, conversation),)
