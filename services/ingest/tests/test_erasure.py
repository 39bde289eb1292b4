"""Links between ids end: in memory as though they had never been, on the topic by a tombstone for each."""

import asyncio
from datetime import UTC, datetime

from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st
from panier_common.contracts.events import CustomersLinked
from panier_common.event import cloud_wire, encode
from panier_common.kafka import Producer, apply_topics
from panier_common.topics import IDENTITY
from panier_ingest.erasure import linked, pairs, router
from panier_ingest.identity_directory import IdentityDirectory
from panier_ingest.links import Links, phone_node

NODES = st.integers(0, 9).map(lambda n: f"FR.{n}") | st.integers(0, 5).map(lambda n: phone_node("100", f"3360{n}"))
PAIRS = st.lists(st.tuples(NODES, NODES), max_size=20)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@given(PAIRS, st.sampled_from([f"FR.{n}" for n in range(10)]))
def test_whoever_is_forgotten_is_a_stranger_and_all_others_stay_as_they_are(
    said: list[tuple[str, str]], one: str
) -> None:
    links = Links()
    for first, second in said:
        links.add(first, second)
    gone = set(links.members(one))
    others = {node for pair in said for node in pair} - gone
    before = {node: sorted(links.members(node)) for node in others}
    for node in gone:
        links.forget(node)
    assert all(node not in links and list(links.members(node)) == [] for node in gone)
    assert {node: sorted(links.members(node)) for node in others} == before
    for node in gone:
        links.add(node, node)
    assert all(list(links.members(node)) == [node] for node in gone)


def test_the_others_of_a_set_stay_one_and_may_take_a_user_again() -> None:
    links, phone, second = Links(), phone_node("100", "33600"), phone_node("200", "33600")
    links.add(phone, "FR.1")
    links.add("FR.1", second)
    links.forget("FR.1")
    assert links.are_one(phone, second)
    assert links.may_take_user(phone)
    for n in range(2000):  # the table grows over what is blank
        links.add(f"FR.1{n:05}", f"FR.2{n:05}")
    assert "FR.1" not in links
    assert links.are_one("FR.100007", "FR.200007")


def test_only_what_this_number_sees_is_named() -> None:
    links = Links()
    links.add(phone_node("100", "336"), "FR.1")
    links.add(phone_node("200", "336"), "FR.1")
    assert linked(links, "100", ["336"]) == ["100:336", "FR.1"]
    assert pairs(["FR.1", "100:336"]) == ["100:336~100:336", "100:336~FR.1", "FR.1~FR.1"]


def test_a_tombstone_that_comes_back_is_taken_in() -> None:
    directory = IdentityDirectory("")
    event = CustomersLinked("100:336~FR.1", "100:336", "FR.1", NOW)
    for value, headers in ((encode(event), cloud_wire(event, "1", "ingest", NOW)), (None, [])):
        known = "FR.1" in directory.links
        assert known == (value is None)
        directory._take(ConsumerRecord("t", 0, 0, 0, 0, event.pair.encode(), value, 0, 0, 0, headers))
    assert len(list(directory.links.members("FR.1"))) == 0
    directory._take(ConsumerRecord("t", 0, 0, 0, 0, b"~", None, 0, 0, 0, []))


async def test_the_door_ends_links_for_every_replica(kafka: str) -> None:
    await apply_topics(kafka)
    producer, directory = Producer(kafka, "test"), IdentityDirectory(kafka)
    following = asyncio.create_task(directory.follow())
    try:
        event = CustomersLinked("100:3370~FR.70", "100:3370", "FR.70", NOW)
        await producer.publish(event, "1", NOW, "ingest")
        async with asyncio.timeout(30):
            while "FR.70" not in directory.links:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        ways = {route.path: route.endpoint for route in router(directory, producer).routes}  # type: ignore[attr-defined]
        from panier_common.customers import Person

        person = Person(phone_number_id="100", ids=["3370"])
        assert await ways["/customers/known"](person) == {"linked": ["3370", "FR.70"]}
        assert await ways["/customers/erase"](person) == {"unlinked": ["3370", "FR.70"]}
        async with asyncio.timeout(30):
            while "FR.70" in directory.links:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await ways["/customers/erase"](person) == {"unlinked": []}
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await producer.stop()
    assert IDENTITY.personal
