"""What a restored database finds on the topics of what it will decide again: not to be published or done twice.

A restored loop reads on from where its backup stood. Its decisions have the ids they had before, and those
that are on the topics already are published no second time. Two statements a batch, in restored homes alone.
"""

from collections.abc import Iterable, Sequence

from panier_common.kafka import Outgoing
from panier_common.postgres import Connection

# As long as conversations remember their messages, and longer than topics keep records.
KEPT_DAYS = 8


async def restored_homes(db: Connection, loop: str, partitions: Sequence[int]) -> set[int]:
    """Those of these homes that still may meet what was there before their restore."""
    rows = await db.fetch(
        "SELECT DISTINCT home FROM already WHERE loop = $1 AND home = ANY($2::int[]) "
        "AND restored_at > now() - make_interval(days => $3)",
        loop,
        list(partitions),
        KEPT_DAYS,
    )
    return {row["home"] for row in rows}


async def known(db: Connection, loop: str, kind: str, ids: Iterable[str]) -> set[str]:
    """Which of these were published, or done, before the restore."""
    rows = await db.fetch(
        "SELECT id FROM already WHERE loop = $1 AND kind = $2 AND id = ANY($3::text[])", loop, kind, list(ids)
    )
    return {row["id"] for row in rows}


async def unpublished(db: Connection, loop: str, records: Sequence[Outgoing]) -> list[Outgoing]:
    """Without what was published after the backup that their home was restored from."""
    there = await known(db, loop, "published", [r.headers["ce_id"] for r in records if "ce_id" in r.headers])
    return [record for record in records if record.headers.get("ce_id") not in there]
