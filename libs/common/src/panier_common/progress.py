"""How far a loop is, in one statement: positions, numbers heard, new rows of the outbox and the end of old ones."""

from collections.abc import Mapping, Sequence

from panier_common import outbox
from panier_common.homes import Home
from panier_common.kafka import Outgoing
from panier_common.postgres import Connection

_PROGRESS = """
WITH moved AS (
    INSERT INTO position (loop, topic, partition, next_offset)
    SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[])
    ON CONFLICT (loop, topic, partition) DO UPDATE SET next_offset = excluded.next_offset
), listened AS (
    INSERT INTO heard (loop, topic, partition, source, n)
    SELECT $1, * FROM unnest($5::text[], $6::int[], $7::text[], $8::bigint[])
    ON CONFLICT (loop, topic, partition, source) DO UPDATE SET n = excluded.n
), added AS (
    INSERT INTO outbox (loop, home, n, records) SELECT $1, * FROM unnest($9::int[], $10::bigint[], $11::bytea[])
), gone AS (
    DELETE FROM outbox USING unnest($12::int[], $13::bigint[], $14::bigint[]) AS done (home, beyond, upto)
    WHERE outbox.loop = $1 AND outbox.home = done.home AND outbox.n > done.beyond AND outbox.n <= done.upto
)
UPDATE home SET seq = new.seq FROM unnest($15::int[], $16::bigint[]) AS new (partition, seq)
WHERE home.loop = $1 AND home.partition = new.partition AND home.seq < new.seq
"""


async def write_progress(
    db: Connection,
    loop: str,
    positions: dict[tuple[str, int], int],
    heard: dict[tuple[str, int, str], int],
    out: Sequence[Outgoing],
    seqs: dict[int, int],
    owned: Mapping[int, Home],
) -> dict[int, int]:
    """Positions, repeat memory, new outbox rows, and the end of published ones: one statement.

    Returns home → the number up to which its rows are gone once this is committed. Each deletion begins where
    the last one ended, or it would walk over the dead rows of all of them.
    """
    done = {p: (owned[p].deleted, owned[p].published) for p in seqs if owned[p].published > owned[p].deleted}
    await db.execute(
        _PROGRESS,
        loop,
        [topic for topic, _ in positions],
        [partition for _, partition in positions],
        list(positions.values()),
        [topic for topic, _, _ in heard],
        [partition for _, partition, _ in heard],
        [source for _, _, source in heard],
        list(heard.values()),
        *outbox.columns(out),
        list(done),
        [beyond for beyond, _ in done.values()],
        [upto for _, upto in done.values()],
        list(seqs),
        list(seqs.values()),
    )
    return {partition: upto for partition, (_, upto) in done.items()}
