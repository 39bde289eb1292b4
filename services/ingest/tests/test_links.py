"""Links are a union: whatever the order, the repeats and the detours, every replica has the same sets."""

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from panier_ingest.links import Links, phone_node

NUMBERS = st.sampled_from(["100", "200"])
USERS = st.integers(0, 9).map(lambda n: f"FR.{n}")
PHONES = st.builds(phone_node, NUMBERS, st.integers(3360, 3365).map(str))
PAIRS = st.lists(st.tuples(USERS | PHONES, USERS | PHONES), max_size=25)


def linked(pairs: list[tuple[str, str]]) -> Links:
    links = Links()
    for first, second in pairs:
        links.add(first, second)
    return links


def sets_of(pairs: list[tuple[str, str]]) -> dict[str, set[str]]:
    """The slow and obvious way."""
    found = {node: {node} for pair in pairs for node in pair}
    for first, second in pairs:
        joined = found[first] | found[second]
        for node in joined:
            found[node] = joined
    return found


@given(PAIRS, st.randoms())
def test_order_repeats_and_direction_do_not_matter(pairs: list[tuple[str, str]], chance: random.Random) -> None:
    again = [*pairs, *chance.sample(pairs, chance.randint(0, len(pairs)))]
    chance.shuffle(again)
    turned = [(second, first) if chance.random() < 0.5 else (first, second) for first, second in again]
    one, other = linked(pairs), linked(turned)
    for node in sets_of(pairs):
        assert sorted(one.members(node)) == sorted(other.members(node))
        assert one.may_take_user(node) == other.may_take_user(node)


@given(PAIRS)
def test_a_set_holds_all_that_is_linked_and_no_more(pairs: list[tuple[str, str]]) -> None:
    links = linked(pairs)
    for node, members in sets_of(pairs).items():
        assert sorted(links.members(node)) == sorted(members)
        assert all(links.are_one(node, one) for one in members)


@given(st.permutations(range(12)), st.booleans())
def test_chains_and_cycles_are_one_customer(order: list[int], closed: bool) -> None:
    chain = [(f"FR.{n:02}", f"FR.{n + 1:02}") for n in range(12)]
    links = linked([chain[n] for n in order] + ([("FR.12", "FR.00")] if closed else []))
    assert sorted(links.members("FR.00")) == [f"FR.{n:02}" for n in range(13)]


def test_strangers_are_nobodys() -> None:
    links = linked([("FR.1", "FR.2")])
    assert not links.are_one("FR.1", "FR.3")
    assert "FR.3" not in links
    assert list(links.members("FR.3")) == []


def test_a_phone_seen_alone_takes_the_first_user_id_that_comes_with_it() -> None:
    links = Links()
    phone = phone_node("100", "33612345678")
    assert not links.may_take_user(phone)
    links.add(phone, phone)
    assert links.may_take_user(phone)
    links.add(phone, "FR.1")
    assert links.are_one("FR.1", phone)
    assert not links.may_take_user(phone)  # another user id with this number is somebody else


def test_a_phone_that_was_given_up_takes_nobody() -> None:
    """The number goes to another person one day."""
    links = Links()
    old, new = phone_node("100", "33612345678"), phone_node("100", "33699999999")
    links.add(old, old)
    links.add(old, new, left=old)
    assert not links.may_take_user(old)
    assert links.may_take_user(new)


def test_one_phone_at_two_businesses_is_not_one_customer() -> None:
    links = linked([(phone_node("100", "336"), "FR.1"), (phone_node("200", "336"), "FR.2")])
    assert not links.are_one("FR.1", "FR.2")


def test_a_hundred_thousand_links_take_a_tenth_of_the_memory_allowed_for_a_million() -> None:
    """Each of two ids of its own: the most that links can need."""
    tracemalloc.start()
    links = Links()
    for n in range(100_000):
        links.add(phone_node("106540352242922", f"336{n:08}"), f"FR.{n:020}")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(links) == 200_000
    assert held < 15_000_000
    assert links.are_one(f"FR.{777:020}", phone_node("106540352242922", f"336{777:08}"))
