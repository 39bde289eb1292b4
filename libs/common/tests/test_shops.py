"""Whose a phone number is, in whatever order the records of its shops are read."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from itertools import permutations

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st
from panier_common.contracts.events import Number, ShopConfigured
from panier_common.event import cloud_headers, encode, to_wire
from panier_common.kafka import Producer
from panier_common.shops import ShopDirectory

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SHOPS, NUMBERS = ("amande", "brioche", "cannelle"), ("1", "2", "3", "4")


def shop(name: str, version: int, *numbers: str) -> ShopConfigured:
    had = tuple(Number(number, "+33 1", "TOKEN") for number in numbers)
    return ShopConfigured(
        name, version, name, ("fr",), "EUR", "Europe/Paris", "1", had, True, None, "simulated", 1800.0
    )


def owners(directory: ShopDirectory) -> dict[str, str]:
    return {number: shop.shop for number, shop in directory.by_number.items()}


MOVED = {
    "a number moves": (shop("amande", 2), shop("brioche", 2, "1", "2")),
    "two shops swap": (shop("amande", 2, "2"), shop("brioche", 2, "1")),
}


@pytest.mark.parametrize("after", MOVED.values(), ids=MOVED)
def test_a_number_that_moves_ends_with_its_new_shop(after: tuple[ShopConfigured, ShopConfigured]) -> None:
    records = (shop("amande", 1, "1"), shop("brioche", 1, "2"), *after)
    for order in permutations(records):
        directory = ShopDirectory("")
        for record in order:
            directory.put(record)
        assert owners(directory) == {number.phone_number_id: one.shop for one in after for number in one.numbers}


Version = tuple[str, ...] | None  # the numbers that a shop has; None: it is no more


@st.composite
def lives(draw: st.DrawFn) -> dict[str, list[Version]]:
    """What each shop became, one after another; in the end no number is two shops'."""
    numbers = st.lists(st.sampled_from(NUMBERS), unique=True, max_size=3).map(tuple)
    last = {number: draw(st.sampled_from([*SHOPS, None])) for number in NUMBERS}
    return {
        name: [
            *draw(st.lists(numbers, max_size=3)),
            None if draw(st.booleans()) else tuple(n for n, whose in last.items() if whose == name),
        ]
        for name in SHOPS
    }


def record(name: str, version: int, numbers: Version) -> "ConsumerRecord[bytes, bytes]":
    event = shop(name, version, *numbers or ())
    headers = to_wire(cloud_headers(event, "", "test", NOON))
    value = None if numbers is None else encode(event)
    return ConsumerRecord("", 0, version, 0, 0, name.encode(), value, None, 0, 0, headers)


@given(lives(), st.data())
def test_every_order_ends_alike_and_none_forgets_who_has_a_number(
    life: dict[str, list[Version]], data: st.DataObject
) -> None:
    directory = ShopDirectory("")
    held = directory.by_number  # as the sender holds it for as long as it lives
    left = {name: list(enumerate(versions, 1)) for name, versions in life.items()}
    while any(left.values()):
        name = data.draw(st.sampled_from([name for name, versions in left.items() if versions]), label="next")
        directory._take(record(name, *left[name].pop(0)))
        claims = {(n.phone_number_id, one.shop) for one in directory.by_id.values() for n in one.numbers}
        assert owners(directory) == {n: min(who for m, who in claims if m == n) for n, _ in claims}
    assert owners(directory) == {number: name for name, versions in life.items() for number in versions[-1] or ()}
    assert directory.by_number is held


async def test_two_shops_that_swap_their_numbers_have_them_on_a_real_topic(broker: str, producer: Producer) -> None:
    directory = ShopDirectory(broker)
    following = asyncio.create_task(directory.follow())
    try:
        for version, numbers in enumerate([("100", "200"), ("200", "100")], 1):
            swapped = [shop(name, version, number) for name, number in zip(SHOPS, numbers, strict=False)]
            for one in swapped:
                await producer.publish(one, f"{one.shop}{version}", NOON, "catalog")
            async with asyncio.timeout(30):
                while any(directory.by_id.get(one.shop) != one for one in swapped):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert [directory.by_number.get(number) for number in numbers] == swapped
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
