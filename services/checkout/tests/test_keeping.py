"""On a real PostgreSQL: what silent customers were asked and shown is forgotten, nothing that is under way."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from panier_checkout import db
from panier_checkout.decision import Result
from panier_checkout.dialogue import Dialogue
from panier_checkout.draft import Draft, Stage
from panier_checkout.keeping import KEPT
from panier_checkout.order import Order
from panier_common.contracts.events import Address, Customer, Fulfilment
from panier_common.keeping import SILENT, forget

NOW = datetime.now(UTC)
OLD, YOUNG = NOW - SILENT - timedelta(days=1), NOW - SILENT + timedelta(days=1)


@pytest.fixture
async def connection(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[asyncpg.Connection]:
    connected = await asyncpg.connect(await database("panier_checkout"))
    yield connected
    await connected.close()


def order(name: str, state: str) -> Order:
    return Order(
        name, name, "shop", "100", name, Customer("FR.1"), state, "none", "EUR", (), Fulfilment("collect"), 0, 220, 0,
        OLD, "wamid.1", "simulated",
    )  # fmt: skip


async def test_only_what_is_idle_is_forgotten(connection: asyncpg.Connection) -> None:
    last = {"buttons_at": OLD, "last_order": "order"}
    dialogues = {
        "silent": Dialogue("silent", **last),
        "nothing yet": Dialogue("nothing yet", floor_version=3),
        "young": Dialogue("young", buttons_at=YOUNG),
        "person": Dialogue("person", person=True, **last),
        "never answered": Dialogue("never answered", last_order="order"),
        "unpaid": Dialogue("unpaid", **last),
        "ended": Dialogue("ended", **last),
    }
    await db.save_dialogues(connection, list(dialogues.values()))
    await db.save_orders(connection, [order("unpaid", "awaiting_payment"), order("ended", "completed")])
    for rule in KEPT:
        await forget(connection, rule)
    left = await db.load_dialogues(connection, list(dialogues))
    assert left == {name: dialogues[name] for name in ("young", "person", "never answered", "unpaid")}
    assert await connection.fetchval("SELECT count(*) FROM orders") == 2


def draft(stage: Stage, asked_at: datetime) -> Draft:
    return Draft("cart", 1, "shop", "100", Customer("FR.1"), (), "EUR", "Bien cuits", asked_at, stage, "draft",
                 "deliver", 450, Address("12 rue des Lilas"))  # fmt: skip


async def test_an_address_that_was_given_and_never_used_is_forgotten(connection: asyncpg.Connection) -> None:
    """Only a draft that waits for the answer about its stock is under way: a timer ends that."""
    dialogues = {
        "at the way": Dialogue("at the way", draft("way", OLD), buttons_at=OLD),
        "at the address": Dialogue("at the address", draft("address", OLD), buttons_at=OLD),
        "at the summary": Dialogue("at the summary", draft("summary", OLD), buttons_at=OLD),
        "never shown": Dialogue("never shown", draft("summary", OLD), last_order="order"),
        "frozen": Dialogue("frozen", draft("frozen", OLD), buttons_at=OLD),
        "back after long": Dialogue("back after long", draft("way", YOUNG), buttons_at=OLD),
        "not answered yet": Dialogue("not answered yet", draft("way", YOUNG)),
    }
    await db.save_dialogues(connection, list(dialogues.values()))
    for rule in KEPT:
        await forget(connection, rule)
    left = await db.load_dialogues(connection, list(dialogues))
    assert left == {name: dialogues[name] for name in ("frozen", "back after long", "not answered yet")}


async def test_results_of_commands_are_kept_longer_than_their_commands(connection: asyncpg.Connection) -> None:
    results = [Result(f"{days} days", "order", NOW - timedelta(days=days), "", "", "") for days in (9, 89, 91)]
    await db.add_results(connection, results)
    for rule in KEPT:
        await forget(connection, rule)
    assert await db.load_answered(connection, [result.key for result in results]) == {"9 days", "89 days"}
