"""On a real database: ended orders stay without their person, what is under way stays whole, the rest goes."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from panier_checkout import db, forgetting
from panier_checkout.desk import Desk, Trade
from panier_checkout.dialogue import Dialogue
from panier_checkout.draft import Draft
from panier_checkout.loops import conversations_loop
from panier_checkout.order import Order
from panier_checkout.provider_calls import ProviderCalls
from panier_common.contracts.events import Address, Customer, Fulfilment, Line
from panier_common.erasing import Eraser, Erasing, ErasureDue
from panier_common.postgres import Pool, create_pool

from .stage import WORDS, FixedShops

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
THEIRS, OTHERS, PLACING = "100:FR.77", "100:FR.88", "100:FR.99"


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]):  # type: ignore[no-untyped-def]
    pool = await create_pool(await database("panier_checkout"))
    yield pool
    pool.terminate()


def order(number: str, state: str, conversation: str = THEIRS) -> Order:
    line = Line("croissant", "Croissant", 2, 110)
    where = Fulfilment("deliver", Address("7 ruelle"))
    who = Customer(conversation[4:], "33600000077", "Ana")
    return Order(
        f"id-{number}", number, "shop", "100", conversation, who, state, "none", "EUR", (line,), where, 0, 220, 0, NOW,
        "wamid.1", "simulated", note="vite",
    )  # fmt: skip


async def test_what_ended_stays_without_the_person(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await db.save_orders(connection, [order("A1", "completed"), order("A2", "completed", OTHERS)])
        await db.save_dialogues(connection, [Dialogue(THEIRS), Dialogue(OTHERS)])
        async with connection.transaction():
            await forgetting.erase(connection, [THEIRS])
        assert {t: r for t, r in (await forgetting.held(connection, [THEIRS])).items() if r} == {}
        [kept] = await db.orders_named(connection, "A1")
        [other] = await db.orders_named(connection, "A2")
        assert (kept.conversation, kept.customer, kept.total_minor) == ("100:erased", Customer(), 220)
        assert other == order("A2", "completed", OTHERS)
        assert (await db.load_dialogues(connection, [THEIRS, OTHERS])).keys() == {OTHERS}


async def test_what_was_begun_meanwhile_stays_whole(pool: Pool) -> None:
    under_way = order("B1", "paid")
    async with pool.acquire() as connection:
        await db.save_orders(connection, [under_way, replace(order("B2", "expired"), note="")])
        await db.save_dialogues(connection, [Dialogue(THEIRS, last_order="id-B1")])
        assert await forgetting.erase(connection, [THEIRS]) == {THEIRS}
        assert await db.load_all_orders(connection, [THEIRS]) == [under_way]
        assert (await db.load_dialogues(connection, [THEIRS])).keys() == {THEIRS}


async def test_what_was_confirmed_meanwhile_keeps_its_timer_and_is_not_left_to_a_person(pool: Pool) -> None:
    """An order that is to expire, and a draft whose stock may be held, each in a conversation that was to be erased."""
    frozen = Draft("cart", 1, "shop", "100", Customer("FR.99"), (), "EUR", "", NOW, stage="frozen", draft_id="d")
    begun = [Dialogue(THEIRS, last_order="id-B1", person=True), Dialogue(PLACING, draft=frozen, person=True)]
    ended = Dialogue(OTHERS, person=True)
    trade = Trade(FixedShops({}), WORDS, {})
    eraser = Eraser(conversations_loop(trade, ProviderCalls(pool, {}, 1.0)), forgetting.erase)
    due = [ErasureDue(one, (one[4:],), NOW) for one in (THEIRS, OTHERS, PLACING)]
    async with pool.acquire() as connection:
        await db.save_orders(connection, [order("B1", "awaiting_payment"), order("B2", "expired", OTHERS)])
        await db.save_dialogues(connection, [*begun, ended])
        for one in due:
            await connection.execute(
                "INSERT INTO timer (loop, home, key, due_at, ce_type, value) "
                "VALUES ('checkout.conversations', 3, $1, now(), 't', $2)",
                one.conversation,
                f'{{"conversation":"{one.conversation}"}}'.encode(),
            )
        async with connection.transaction():
            await eraser.loop().save(connection, Erasing(Desk(), due=due, homes={3}))
        assert {row["key"] for row in await connection.fetch("SELECT key FROM timer")} == {THEIRS, PLACING}
        left = await db.load_dialogues(connection, [THEIRS, OTHERS, PLACING])
        assert left == {one.conversation: replace(one, person=False) for one in begun}
