"""Rows that only history makes go after a time, a few pages at a time: what every service keeps, and how it ends.

A table is walked once a day in the order of its pages, without an index on time: such an index would be written
with each message, for rows that are deleted once. How long what is kept, and why: ADR 32.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from panier_common import already, memory
from panier_common.postgres import AWAY, Connection, Pool

LOOK_SECONDS = 24 * 3600.0
PAUSE_SECONDS = 1.0
AWAY_SECONDS = 60.0
# 2 MB: a hundredth of a second, and at most some ten thousand rows.
PAGES = 256

# What is remembered of a customer who says nothing more; whoever orders for every Christmas is still known.
SILENT = timedelta(days=400)

log = structlog.get_logger()


@dataclass(frozen=True)
class Kept:
    """Rows of `table` go `keep` after the time `since`, where `when` holds: both SQL, of this code alone.

    `since` null: the row stays. `left` is what an old row becomes (SQL of UPDATE … SET) instead of being deleted.
    """

    table: str
    since: str
    keep: timedelta
    when: str = "true"
    left: str = ""

    @property
    def name(self) -> str:
        return f"{self.table}: {self.left or 'deleted'}"

    @property
    def statement(self) -> str:
        """Constant, for pages from $1 to before $2. A row that changes meanwhile is not old, and waits for nobody."""
        act = f"UPDATE {self.table} SET {self.left}" if self.left else f"DELETE FROM {self.table}"  # noqa: S608
        return f"""
            WITH old AS (
                SELECT ctid FROM {self.table} WHERE ctid >= $1::tid AND ctid < $2::tid
                AND ({self.when}) AND ({self.since}) < now() - $3::interval FOR UPDATE SKIP LOCKED
            ), gone AS ({act} WHERE ctid = ANY(ARRAY(SELECT ctid FROM old)) RETURNING 1)
            SELECT (SELECT count(*) FROM gone) AS gone,
                   pg_relation_size('{self.table}') / current_setting('block_size')::bigint AS pages
        """  # noqa: S608 - constants of this code


def merged(keep: timedelta) -> Kept:
    """Links of conversations that go on as others: as long as anything is kept under their old ids."""
    return Kept("merged", "at", keep)


COMMON = (
    # Its memory of ids is needed for 8 days, its language for as long as the customer may come back.
    Kept("conversation", memory.NEWEST, SILENT),
    merged(SILENT),
    Kept(
        "dead_letter_act",
        "at",
        SILENT,
        "NOT EXISTS (SELECT FROM dead_letter WHERE dead_letter.id = dead_letter_act.letter)",
    ),
    Kept("already", "restored_at", timedelta(days=already.KEPT_DAYS)),
)


async def forget_old(pool: Callable[[], Pool], kept: Callable[[], Iterable[Kept]]) -> None:
    """Walk every table once a day. Never returns."""
    while True:
        for one in kept():
            await _walk(pool(), one)
        await asyncio.sleep(LOOK_SECONDS)


async def _walk(pool: Pool, kept: Kept) -> None:
    page: int | None = 0
    rows = 0
    while page is not None:
        try:
            async with pool.acquire(timeout=5) as db:
                gone, page = await forget(db, kept, page)
        except AWAY as error:
            log.warning("old rows wait for the database", table=kept.table, error=type(error).__name__)
            await asyncio.sleep(AWAY_SECONDS)
            continue
        rows += gone
        if page is not None:
            await asyncio.sleep(PAUSE_SECONDS)
    if rows:
        log.info("old rows are gone", table=kept.table, rows=rows)


async def forget(db: Connection, kept: Kept, page: int = 0) -> tuple[int, int | None]:
    """Forget what is old on PAGES pages; how many rows, and the page to go on with, None after the last one."""
    row = await db.fetchrow(kept.statement, (page, 0), (page + PAGES, 0), kept.keep)
    assert row is not None
    following = page + PAGES
    return row["gone"], following if following < row["pages"] else None
