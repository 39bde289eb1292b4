"""Timers that wait cost nothing until they are due."""

import json
from typing import Any

from panier_common import timers
from panier_common.postgres import Pool


class Asked:
    """A connection that notes what it is asked."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.last: tuple[Any, ...] = ()

    async def fetch(self, *asked: Any) -> Any:
        self.last = asked
        return await self._db.fetch(*asked)


async def test_who_looks_for_due_timers_reads_none_that_waits(pool: Pool, name: str) -> None:
    """Twice a second, in every loop of every process; a shop's customers may have a hundred thousand."""
    async with pool.acquire() as db:
        await db.execute(
            "INSERT INTO timer (loop, home, key, due_at, ce_type, value) SELECT $1, n % 12, n::text, "
            "now() + make_interval(secs => n - 3), 'x', '' FROM generate_series(1, 3000) AS n WHERE n < 3 OR n > 99",
            name,
        )
        asked: Any = Asked(db)
        assert [due.key for due in await timers.due(asked, name, range(12), 500)] == ["1", "2"]
        await db.execute("ANALYZE timer")
        text, *arguments = asked.last
        [[said]] = await db.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", *arguments)
        assert _passed_over(json.loads(said)[0]["Plan"]) == 0


def _passed_over(plan: dict[str, Any]) -> int:
    own = int(plan.get("Rows Removed by Filter", 0))
    return own + sum(_passed_over(one) for one in plan.get("Plans", []))
