"""What a conversation, a message and an order leave behind, in bytes: rows of real databases, records of real topics.

`python -m panier_bench.growth` starts the whole local stack with its simulator and lets customers say hello, chat and
buy. After each part, once everything is quiet, every table is packed and every topic's log is counted.
"""

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import asyncpg
import typer
from panier_cli.backups.databases import chosen, databases
from panier_cli.output import console_for_people, table
from panier_cli.play.phone import Phone, pick_up
from panier_cli.play.story import Step
from panier_cli.stack.screen import Screen

from panier_bench.stack import started

HELLO = [Step({"text": "Bonjour"})]
CHAT = [Step({"text": "croissant"}), Step({"text": "menu"})]
BUY = [
    # Of these there is no end, however many customers buy.
    Step({"cart": [{"sku": "tradition", "quantity": 4}, {"sku": "brioche-sucre", "quantity": 2}]}),
    Step({"press": "checkout:start"}),
    Step({"press": "checkout:collect"}),
    Step({"press": "checkout:confirm"}),
    Step({"pay": True}),
]
ANSWER_SECONDS = 60.0
QUIET_SECONDS = 120.0
AT_ONCE = 20
# Rows that come and go with the work, or that there are only so many of: they do not grow.
_PASSING = ("outbox", "home", "position", "heard", "timer", "migration")
_SIZES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> ALL($1::text[])
"""

Sizes = Counter[str]
"""`cart.conversation` or `panier.cart.v1` → bytes."""


@dataclass(frozen=True)
class Look:
    """How large everything is at a quiet moment, and how many messages there were, in and out."""

    tables: Sizes
    topics: Sizes
    messages: int


@dataclass(frozen=True)
class Cost:
    """Bytes that one of something leaves, by table and topic."""

    tables: dict[str, float]
    topics: dict[str, float]

    def document(self) -> dict[str, Any]:
        def rounded(part: Mapping[str, float]) -> dict[str, Any]:
            own = {name: round(size) for name, size in sorted(part.items(), key=lambda one: -one[1]) if abs(size) >= 1}
            return {"bytes": round(sum(part.values())), "by": own}

        return {"databases": rounded(self.tables), "topics": rounded(self.topics)}


def costs(looks: Sequence[Look], customers: int) -> dict[str, Cost]:
    """Out of looks at the beginning, after everybody's hello, after their chat, and after each bought once.

    A message's cost is the chat's; what hello and the purchase left beyond their messages is the conversation's and
    the order's. Times and counters that are rewritten cost nothing, so a small part may come out below zero.
    """
    parts = {}
    for part in ("tables", "topics"):
        sizes: list[Sizes] = [getattr(look, part) for look in looks]
        said = [after.messages - before.messages for before, after in itertools.pairwise(looks)]
        grown = [{name: after[name] - before[name] for name in after} for before, after in itertools.pairwise(sizes)]
        message = {name: size / said[1] for name, size in grown[1].items()}
        beyond = [
            {name: (size - message.get(name, 0.0) * count) / customers for name, size in growth.items()}
            for growth, count in ((grown[0], said[0]), (grown[2], said[2]))
        ]
        parts[part] = {"conversation": beyond[0], "message": message, "order": beyond[1]}
    return {what: Cost(parts["tables"][what], parts["topics"][what]) for what in ("conversation", "message", "order")}


class Growing:
    """A stack with its customers, and how large it is."""

    def __init__(self, env: dict[str, str], urls: Mapping[str, str], phones: Sequence[Phone]) -> None:
        self._data = Path(env["PANIER_DATA"])
        self._urls = urls
        self._phones = phones

    async def play(self, steps: Sequence[Step]) -> None:
        """Every customer does this, some at once."""
        room = asyncio.Semaphore(AT_ONCE)

        async def one(phone: Phone) -> None:
            async with room:
                for step in steps:
                    await phone.play(step)

        async with asyncio.TaskGroup() as group:
            for phone in self._phones:
                group.create_task(one(phone))

    async def look(self) -> Look:
        await self._until_quiet()
        tables: Sizes = Counter()
        for service, url in self._urls.items():
            connection = await asyncpg.connect(url)
            try:
                await connection.execute("VACUUM FULL")
                for name, size in await connection.fetch(_SIZES, list(_PASSING)):
                    tables[f"{service}.{name}"] = size
            finally:
                await connection.close()
        return Look(tables, self._topics(), sum(len(phone.messages) for phone in self._phones))

    def _topics(self) -> Sizes:
        """Bytes of segments, without their indexes, which are made in advance."""
        found: Sizes = Counter()
        for path in self._data.glob("**/panier.*-*/*.log"):
            with contextlib.suppress(FileNotFoundError):
                found[path.parent.name.rpartition("-")[0]] += path.stat().st_size
        return found

    async def _until_quiet(self) -> None:
        """Until nothing waits to be published and no topic has grown for a second."""
        before: Sizes | None = None
        async with asyncio.timeout(QUIET_SECONDS):
            while True:
                now = self._topics()
                if now == before and not await self._waiting():
                    return
                before = now
                await asyncio.sleep(1)

    async def _waiting(self) -> int:
        rows = 0
        for url in self._urls.values():
            connection = await asyncpg.connect(url)
            try:
                rows += int(await connection.fetchval("SELECT count(*) FROM outbox"))
            finally:
                await connection.close()
        return rows


async def measure(customers: int, chats: int) -> dict[str, Any]:
    """The command's document."""
    async with started({}) as (_, env):
        screen = Screen(sys.stderr)
        timeout = aiohttp.ClientTimeout(ANSWER_SECONDS + 10)
        url = f"http://127.0.0.1:{env['PANIER_SIMULATOR_PORT']}"
        services = chosen(None)
        async with (
            databases(services, screen, env, at_rest=False) as found,
            aiohttp.ClientSession(timeout=timeout) as session,
        ):
            phones = [
                (await pick_up(session, url, f"Client {n}", None, None, lambda message: None, ANSWER_SECONDS))[0]
                for n in range(customers)
            ]
            growing = Growing(env, found.urls, phones)
            looks = [await growing.look()]
            for steps in (HELLO, CHAT * chats, BUY):
                await growing.play(steps)
                looks.append(await growing.look())
    return {
        "customers": customers,
        "messages": [look.messages for look in looks],
        **{what: cost.document() for what, cost in costs(looks, customers).items()},
    }


def rows(found: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    for what in ("conversation", "message", "order"):
        for where in ("databases", "topics"):
            each = found[what][where]
            most = ", ".join(f"{name} {size}" for name, size in list(each["by"].items())[:4])
            yield f"one {what}", where, each["bytes"], most


def main(
    customers: Annotated[int, typer.Option(min=2, max=2000, help="Customers of the simulator.")] = 200,
    chats: Annotated[int, typer.Option(min=1, help="How often each asks and is answered, twice over.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure how databases and topics grow."""
    os.environ.pop("PANIER_POSTGRES_URL", None)  # the sizes are those of the stack's own engines
    found = asyncio.run(measure(customers, chats))
    if as_json:
        print(json.dumps(found))
        return
    console = console_for_people()
    console.print(table(("of", "in", "#bytes", "most of it"), rows(found)))


if __name__ == "__main__":
    typer.run(main)
