"""Messages are kept for a time and not for good: a little at a time, so that nobody waits for it."""

import asyncio
from datetime import timedelta

import structlog
from panier_common.postgres import AWAY, Connection, Pool

LOOK_SECONDS = 600.0
AT_ONCE = 5000

log = structlog.get_logger()


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
