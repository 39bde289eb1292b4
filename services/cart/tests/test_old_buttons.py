"""A button acts for 24 hours after its own message was sent, whatever the cart has answered since."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace
from panier_cart import db
from panier_cart.handlers import Decision, answer
from panier_cart.loops import conversations, shown
from panier_common.batch import Loop
from panier_common.contracts.events import (
    Button,
    CartChanged,
    EnquiryRaised,
    Event,
    MessageReceived,
    MessageSent,
    ProductChanged,
)
from panier_common.contracts.inbound import Content, Context
from panier_common.effects import Publish
from panier_common.event import Received, inbound_id
from panier_common.postgres import Pool, create_pool

from .story import (
    CONVERSATION,
    CUSTOMER,
    NOON,
    NUMBER,
    SHELF,
    SHOP,
    TWO_CROISSANTS,
    Shops,
    asks,
    changes,
    new_cart,
    press,
    quantities,
    requests,
    said,
    told,
)

ACTING = [
    "cart:add:tradition", "cart:more:croissant", "cart:fewer:croissant", "cart:remove:croissant", "cart:empty",
    "checkout:start",
]  # fmt: skip


def pressed(reply: str, *, old: bool | None, hours: float = 0) -> Decision:
    cart = told(new_cart(), TWO_CROISSANTS).cart
    ask = replace(asks(press(reply), at=NOON + timedelta(hours=hours)), old=old)
    return answer(cart, ask, SHELF)


@pytest.mark.parametrize("reply", ACTING)
def test_an_old_button_shows_the_cart_though_the_cart_answered_just_now(reply: str) -> None:
    decision = pressed(reply, old=True)
    assert quantities(decision.cart) == {"croissant": 2}
    assert (changes(decision), requests(decision)) == ([], [])
    assert "Ce bouton date un peu" in said(decision)


@pytest.mark.parametrize("reply", ACTING)
def test_a_new_button_acts_though_the_cart_has_long_been_silent(reply: str) -> None:
    decision = pressed(reply, old=False, hours=100)
    assert changes(decision) or requests(decision)


@pytest.mark.parametrize("reply", ["cart:show", "cart:edit", "cart:line:croissant"])
def test_what_only_shows_is_never_too_old(reply: str) -> None:
    assert "Ce bouton date un peu" not in said(pressed(reply, old=True))


# By way of the database: what `sent` told and what a press names.


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("panier_cart"))
    async with pool.acquire() as connection:
        await db.save_products(connection, [ProductChanged(SHOP, "croissant", 1, "Croissant", 140, "EUR", False)])
    yield pool
    pool.terminate()


def sent(wamid: str, at: datetime, *buttons: str) -> MessageSent:
    return MessageSent(CONVERSATION, NUMBER, wamid, wamid, "buttons", at, tuple(Button(one, one) for one in buttons))


async def played(pool: Pool, loop: Loop, *events: Event) -> list[Event]:
    """What one batch of these makes the loop publish."""
    batch = [Received("test", 0, n, inbound_id(NUMBER, str(n)), NOON, one, {}) for n, one in enumerate(events)]
    async with pool.acquire() as connection:
        world = await loop.load(connection, batch)
        effects = [effect for one in batch for effect in loop.decide(world, one)]
        await loop.save(connection, world)
    return [effect.event for effect in effects if isinstance(effect, Publish)]


def said_to_the_cart(content: Content, holder: str | None = None, at: datetime = NOON) -> MessageReceived:
    context = Context(holder) if holder is not None else None
    return MessageReceived(CONVERSATION, NUMBER, CUSTOMER, f"wamid.{holder}", at, content, SHOP, context)


async def test_a_press_is_as_old_as_the_message_it_names(pool: Pool) -> None:
    yesterday = NOON - timedelta(hours=24, seconds=1)
    told_of = [
        sent("old", yesterday, "checkout:start", "cart:edit"),
        sent("quiet", yesterday, "cart:show"),
        sent("new", NOON - timedelta(hours=23), "cart:more:croissant"),
    ]
    await played(pool, shown(), *told_of)
    async with pool.acquire() as connection:
        assert len((await db.load_shown(connection, [CONVERSATION]))[CONVERSATION]) == 24
    loop = conversations(Shops())
    await played(pool, loop, said_to_the_cart(TWO_CROISSANTS))
    more = press("cart:more:croissant")
    for holder, acts in (("old", False), ("new", True), ("not read yet", True), (None, True)):
        published = await played(pool, loop, said_to_the_cart(more, holder))
        assert any(isinstance(event, CartChanged) for event in published) == acts, holder


async def test_the_age_of_a_button_survives_a_merge(pool: Pool) -> None:
    """Both conversations' messages are still on the phone; the press comes under the one that is left."""
    other, yesterday = f"{NUMBER}:33600000001", NOON - timedelta(hours=25)
    told_of = [
        sent("before", yesterday, "cart:empty"),
        replace(sent("theirs", yesterday, "cart:empty"), conversation=other),
        replace(sent("new", NOON, "cart:empty"), conversation=other),
    ]
    await played(pool, shown(), *told_of)
    async with pool.acquire() as connection:
        await connection.execute("INSERT INTO merged VALUES ('cart.conversations', $1, $2)", other, CONVERSATION)
    loop = conversations(Shops())
    await played(pool, loop, said_to_the_cart(TWO_CROISSANTS))
    for holder, acts in (("before", False), ("theirs", False), ("new", True)):
        published = await played(pool, loop, said_to_the_cart(press("cart:empty"), holder))
        assert any(isinstance(event, CartChanged) for event in published) == acts, holder


async def test_a_typed_title_is_as_old_as_the_last_message(pool: Pool) -> None:
    loop = conversations(Shops())
    await played(pool, loop, said_to_the_cart(TWO_CROISSANTS))
    typed = EnquiryRaised(CONVERSATION, NUMBER, SHOP, CUSTOMER, "cart", "Plus", "wamid.t", NOON, "cart:more:croissant")
    for hours, acts in ((25, False), (23, True)):
        enquiry = replace(typed, shown_at=NOON - timedelta(hours=hours))
        assert any(isinstance(event, CartChanged) for event in await played(pool, loop, enquiry)) == acts


@pytest.mark.parametrize("records", [1, 50, 500])
async def test_remembering_costs_two_statements_however_many(pool: Pool, records: int) -> None:
    statements: list[str] = []
    loop = shown()
    batch = [
        Received("test", 0, n, "", NOON, replace(sent("w", NOON, "cart:empty"), conversation=f"{NUMBER}:{n}"), {})
        for n in range(records)
    ]
    async with pool.acquire() as connection:
        await loop.save(connection, await loop.load(connection, []))
        await db.load_shown(connection, ["types are asked for once a connection"])
        await db.save_shown(connection, {"x": b""})
        connection.add_query_logger(lambda logged: statements.append(str(logged.query).split()[0]))
        world = await loop.load(connection, batch)
        for one in batch:
            loop.decide(world, one)
        await loop.save(connection, world)
    assert statements == ["SELECT", "INSERT"]
