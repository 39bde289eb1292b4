"""Records that no door should have let through: each is one dead letter at most, and stops no other."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace
from panier_cart import db
from panier_cart.loops import Conversations, conversations
from panier_cart.merges import CART, merging_conversations
from panier_common.contracts.events import MessageReceived, StateMoved
from panier_common.event import Received
from panier_common.postgres import Pool, create_pool, is_caused_by_a_record

from .story import CONVERSATION, CUSTOMER, HELLO, NOON, NUMBER, SHOP, Shops, new_cart


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("panier_cart"))
    yield pool
    pool.terminate()


def to_the_shop(shop: str | None) -> Received:
    message = MessageReceived(CONVERSATION, NUMBER, CUSTOMER, "wamid.1", NOON, HELLO, shop)
    return Received("test", 0, 0, "", NOON, message, {})


def test_a_number_of_no_shop_is_answered_by_nobody() -> None:
    assert conversations(Shops()).decide(Conversations({}), to_the_shop(None)) == []


def test_a_shop_nobody_configured_is_the_record_s_fault() -> None:
    with pytest.raises(LookupError, match="nowhere"):
        conversations(Shops()).decide(Conversations({}), to_the_shop("nowhere"))


async def test_a_moved_cart_that_cannot_be_read_is_the_record_s_fault(pool: Pool) -> None:
    loop = merging_conversations(Shops())
    moved, said = to_the_shop(None), to_the_shop(SHOP)
    moved.event = StateMoved(CONVERSATION, f"{NUMBER}:FR.9", loop.name, CART, msgspec.Raw(b'{"lines": 3}'), NOON)
    async with pool.acquire() as connection:
        world = await loop.load(connection, [moved, said])
    with pytest.raises(msgspec.DecodeError):
        loop.decide(world, moved)
    assert len(loop.decide(world, said)) == 1


async def test_what_postgresql_refuses_is_the_record_s_fault(pool: Pool) -> None:
    async with pool.acquire() as connection:
        for note in ("a\0b", "a\ud83d"):
            with pytest.raises(asyncpg.PostgresError) as refused:
                await db.save_carts(connection, [replace(new_cart(), note=note)])
            assert is_caused_by_a_record(refused.value)
        await db.save_carts(connection, [replace(new_cart(), note="شكرا 🥐")])
        assert (await db.load_carts(connection, [CONVERSATION]))[CONVERSATION].note == "شكرا 🥐"
