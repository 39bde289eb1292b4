"""Every table of every service's migrated database is in ADR 32, with the settings and times that the code has."""

import pathlib
import re
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from panier_cart.keeping import kept as kept_carts
from panier_cart.settings import CartSettings
from panier_checkout.keeping import KEPT as CHECKOUT
from panier_common.keeping import COMMON, SILENT, Kept
from panier_console.keeping import kept as kept_conversations
from panier_console.settings import ConsoleSettings
from panier_sender.keeping import KEPT as SENDER

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adr" / "0032-what-is-kept-how-long.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.M)
SERVICES = ("catalog", "cart", "checkout", "sender", "console")

Database = Callable[[str], Awaitable[str]]


def listed(service: str) -> set[str]:
    return {table for table, where, _, _ in ROWS if where == "all" or service in where.split(", ")}


async def test_every_table_has_its_line(database: Database) -> None:
    for service in SERVICES:
        connection = await asyncpg.connect(await database(f"panier_{service}"))
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        await connection.close()
        assert {row["tablename"] for row in tables} == listed(service), service


def test_every_rule_is_told_of_and_nothing_that_stays_has_one() -> None:
    carts = kept_carts(SILENT)
    rules: tuple[Kept, ...] = (*COMMON, *carts, *CHECKOUT, *SENDER, *kept_conversations(SILENT))
    goes = {table: how for table, _, _, how in ROWS}
    assert all(not goes[rule.table].startswith("never") for rule in rules)
    for rule in (*COMMON, *CHECKOUT, *SENDER):
        assert re.search(rf"\b{rule.keep.days} days", goes[rule.table]), rule.table


@pytest.mark.parametrize(("settings", "prefix"), [(CartSettings, "CART"), (ConsoleSettings, "CONSOLE")])
def test_the_settings_have_the_days_that_are_told(
    settings: type[CartSettings] | type[ConsoleSettings], prefix: str
) -> None:
    assert f"`PANIER_{prefix}_KEEP_DAYS` ({settings.model_fields['keep_days'].default})" in PAGE
