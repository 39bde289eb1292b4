"""No product that a batch looks at is missing from its shelves, however the cart that holds it came there."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from itertools import count

import msgspec
import pytest
from msgspec.structs import replace
from panier_cart.cart import Cart, CatalogueAwaited
from panier_cart.db import load_carts, save_products
from panier_cart.merges import merging_conversations
from panier_common.contracts.events import (
    ConversationMerged,
    Customer,
    Event,
    EventForwarded,
    MessageReceived,
    ProductChanged,
    StateMoved,
)
from panier_common.contracts.inbound import Content
from panier_common.effects import Publish
from panier_common.event import OWNER, Received, inbound_id
from panier_common.postgres import Pool, create_pool
from panier_common.timers import TIMER_TOPIC
from panier_common.topics import TOPIC_OF

from .story import BAKERY, HELLO, NOON, NUMBER, SHOP, Shops, messages, order, quantities

ENDED, INTO = f"{NUMBER}:FR.900000079", f"{NUMBER}:FR.100000079"
WHO = Customer(user_id="FR.900000079", wa_id="33600000079")
MERGED = ConversationMerged(ENDED, INTO, NUMBER, WHO, NOON)
HEIR = "fournil"
_numbers = count()


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("panier_cart"))
    await catalogue_tells(pool, "croissant", "tradition")
    yield pool
    pool.terminate()


async def catalogue_tells(pool: Pool, *skus: str) -> None:
    """Of these products, which both shops sell; the heir's are dearer."""
    products = [
        ProductChanged(shop, sku, 1, sku, minor, "EUR", False)
        for shop, minor in ((SHOP, 140), (HEIR, 150))
        for sku in skus
    ]
    async with pool.acquire() as connection:
        await save_products(connection, products)


def says(conversation: str, content: Content, shop: str = SHOP) -> MessageReceived:
    n = next(_numbers)
    at = NOON + timedelta(seconds=n)
    return MessageReceived(conversation, NUMBER, WHO, f"wamid.shelves.{n}", at, content, shop=shop)


async def one_batch(pool: Pool, *events: Event) -> list[Event]:
    """What is published when the loop decides on these together."""
    shops = Shops()
    shops.by_id[HEIR] = replace(BAKERY, shop=HEIR)
    loop = merging_conversations(shops)
    batch = [
        Received(
            TOPIC_OF[type(event)].name if type(event) in TOPIC_OF else TIMER_TOPIC,
            0,
            n,
            inbound_id(NUMBER, getattr(event, "wamid", str(n))),
            NOON,
            event,
            {OWNER: "cart"},
        )
        for n, event in enumerate(events)
    ]
    async with pool.acquire() as connection, connection.transaction():
        world = await loop.load(connection, batch)
        effects = [effect for received in batch for effect in loop.decide(world, received)]
        await loop.save(connection, world)
    return [effect.event for effect in effects if isinstance(effect, Publish)]


async def handed_over(pool: Pool, *events: Event) -> list[Event]:
    """What the home of the conversation that ends sends to the other home, all of it on one partition."""
    published = await one_batch(pool, MERGED, *events)
    return [event for event in published if isinstance(event, StateMoved | EventForwarded)]


async def cart_of(pool: Pool, conversation: str) -> Cart:
    async with pool.acquire() as connection:
        return (await load_carts(connection, [conversation]))[conversation]


async def test_a_cart_that_moves_in_has_its_lines_when_the_next_message_is_answered(pool: Pool) -> None:
    await one_batch(pool, says(ENDED, order(("croissant", 3))))
    moved = await handed_over(pool)
    assert [type(event) for event in moved] == [StateMoved]
    published = await one_batch(pool, *moved, says(INTO, HELLO))
    assert quantities(await cart_of(pool, INTO)) == {"croissant": 3}
    [answer] = messages(published)
    assert "3 × croissant" in str(answer)


async def test_a_cart_that_moves_in_has_its_lines_when_what_was_forwarded_behind_it_is_answered(pool: Pool) -> None:
    await one_batch(pool, says(ENDED, order(("croissant", 3))), says(INTO, order(("tradition", 1))))
    moved = await handed_over(pool, says(ENDED, order(("tradition", 1))))
    assert [type(event) for event in moved] == [StateMoved, EventForwarded]
    await one_batch(pool, *moved)
    assert quantities(await cart_of(pool, INTO)) == {"croissant": 3, "tradition": 2}


async def test_a_cart_that_a_later_version_moves_has_its_lines_as_well(pool: Pool) -> None:
    await one_batch(pool, says(ENDED, order(("croissant", 3))))
    [moved] = await handed_over(pool)
    assert isinstance(moved, StateMoved)
    later = msgspec.Raw(bytes(moved.document).replace(b"{", b'{"wrapped":"as a gift",', 1))
    await one_batch(pool, replace(moved, document=later), says(INTO, HELLO))
    assert quantities(await cart_of(pool, INTO)) == {"croissant": 3}


async def test_an_ask_that_moves_in_finds_the_product_it_waited_for(pool: Pool) -> None:
    await one_batch(pool, says(ENDED, order(("brioche", 2))))
    await catalogue_tells(pool, "brioche")
    moved = await handed_over(pool, CatalogueAwaited(ENDED))
    assert [type(event) for event in moved] == [StateMoved, EventForwarded]
    await one_batch(pool, *moved)
    assert quantities(await cart_of(pool, INTO)) == {"brioche": 2}


async def test_a_cart_goes_along_when_its_number_becomes_another_shop_s(pool: Pool) -> None:
    await one_batch(pool, says(INTO, order(("croissant", 3))))
    await one_batch(pool, says(INTO, HELLO, shop=HEIR))
    cart = await cart_of(pool, INTO)
    assert (cart.shop, quantities(cart), cart.total_minor) == (HEIR, {"croissant": 3}, 450)


async def test_an_ask_goes_along_when_its_number_becomes_another_shop_s(pool: Pool) -> None:
    await one_batch(pool, says(INTO, order(("brioche", 2))))
    await one_batch(pool, says(INTO, HELLO, shop=HEIR))
    await catalogue_tells(pool, "brioche")
    await one_batch(pool, CatalogueAwaited(INTO))
    cart = await cart_of(pool, INTO)
    assert (cart.shop, quantities(cart), cart.total_minor) == (HEIR, {"brioche": 2}, 300)


async def test_a_cart_moves_into_a_conversation_whose_number_is_another_shop_s(pool: Pool) -> None:
    await one_batch(pool, says(ENDED, order(("croissant", 3))))
    await one_batch(pool, says(INTO, HELLO, shop=HEIR))
    await one_batch(pool, *await handed_over(pool), says(INTO, HELLO, shop=HEIR))
    cart = await cart_of(pool, INTO)
    assert (cart.shop, quantities(cart), cart.total_minor) == (HEIR, {"croissant": 3}, 450)
