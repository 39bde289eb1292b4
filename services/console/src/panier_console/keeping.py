"""How long conversations are kept. Messages go a little at a time, with what was told of them. ADR 32."""

import asyncio
from datetime import timedelta

import structlog
from panier_common.keeping import SILENT, Kept, merged
from panier_common.postgres import AWAY, Connection, Pool

from panier_console.erasure import STILL_TOLD_OF

LOOK_SECONDS = 600.0
AT_ONCE = 5000

log = structlog.get_logger()


def kept(messages: timedelta) -> tuple[Kept, ...]:
    """What goes by its own time: conversations with their last message, and what was told of messages that were
    another's, or are gone. Messages of a merged conversation are found by its link.
    """
    told = messages + STILL_TOLD_OF
    return (
        Kept("inbox", "coalesce(greatest(last_at, told_at, coming_at), '-infinity')", messages, "NOT person"),
        Kept("sent_message", "at", told),
        Kept("delivery", "at", told),
        Kept("erased_message", "erased_at", STILL_TOLD_OF),
        merged(max(SILENT, told)),
    )


async def forget_old(pool: Pool, keep: timedelta) -> None:
    """Never returns."""
    while True:
        try:
            async with pool.acquire(timeout=5) as db:
                forgotten = await forget(db, keep)
        except AWAY as error:
            log.warning("old messages wait for the database", error=type(error).__name__)
            forgotten = 0
        await asyncio.sleep(1.0 if forgotten else LOOK_SECONDS)


async def forget(db: Connection, keep: timedelta) -> int:
    """Delete some messages that are older, both directions, with what was told of ours; how many."""
    inbound: int = await db.fetchval(
        """
        WITH gone AS (
            DELETE FROM inbound_message
            WHERE id IN (SELECT id FROM inbound_message WHERE at < now() - $1::interval LIMIT $2) RETURNING id
        ) SELECT count(*) FROM gone
        """,
        keep,
        AT_ONCE,
    )
    outgoing: int = await db.fetchval(
        """
        WITH ours AS (
            DELETE FROM outgoing_message
            WHERE id IN (SELECT id FROM outgoing_message WHERE at < now() - $1::interval LIMIT $2)
            RETURNING id, split_part(conversation, ':', 1) AS number
        ), told AS (
            DELETE FROM sent_message USING ours WHERE sent_message.id = ours.id RETURNING number, wamid
        ), delivered AS (
            DELETE FROM delivery USING told
            WHERE delivery.phone_number_id = told.number AND delivery.wamid = told.wamid
        ) SELECT count(*) FROM ours
        """,
        keep,
        AT_ONCE,
    )
    return inbound + outgoing
