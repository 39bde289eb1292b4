"""The memory of messages: no repeat within reach is taken twice, and it never grows past its bound."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panier_common.event import inbound_id
from panier_common.memory import GENERATION_IDS, ID_BYTES, Memory, Seen

START = datetime(2026, 11, 1, tzinfo=UTC)


def message(n: int) -> str:
    return inbound_id("1", f"wamid.{n}")


@given(st.lists(st.integers(0, 100), max_size=200))
def test_within_its_reach_each_message_is_new_once(numbers: list[int]) -> None:
    memory, taken = Memory(), []
    for n in numbers:
        at = START + timedelta(seconds=n)
        if memory.look(message(n), at) is Seen.NEW:
            memory = Memory.unpack(memory.taken(message(n), at).pack())
            taken.append(n)
    assert sorted(taken) == sorted(set(numbers))


@given(st.integers(0, 1500))
def test_it_is_never_longer_than_512_ids(count: int) -> None:
    memory = Memory()
    for n in range(count):
        memory = memory.taken(message(n), START + timedelta(seconds=n))
    assert len(memory.ids) + len(memory.before) <= 2 * GENERATION_IDS * ID_BYTES
    assert len(memory.pack()) <= 18 + 8 * 512


def test_what_a_full_memory_forgot_is_doubtful_not_new() -> None:
    memory = Memory()
    for n in range(3 * GENERATION_IDS):
        memory = memory.taken(message(n), START + timedelta(seconds=n))
    assert memory.look(message(0), START) is Seen.DOUBTFUL
    assert (
        memory.look(message(3 * GENERATION_IDS - 1), START + timedelta(seconds=3 * GENERATION_IDS - 1)) is Seen.REPEAT
    )
    assert memory.look(message(5000), START + timedelta(days=1)) is Seen.NEW


def test_eight_days_end_a_generation_without_leaving_doubt() -> None:
    memory = Memory().taken(message(1), START)
    for day in (9, 18):
        memory = memory.taken(message(day), START + timedelta(days=day))
    assert memory.look(message(1), START) is Seen.NEW  # Meta stopped repeating it long ago
    assert memory.look(message(9), START + timedelta(days=9)) is Seen.REPEAT


def test_ids_are_name_based() -> None:
    assert message(1) == inbound_id("1", "wamid.1") != inbound_id("1", "wamid.1", "sent")


def test_the_end_of_one_id_and_the_beginning_of_the_next_are_no_id() -> None:
    memory = Memory()
    for user in ("00000000-0000-5001-0000", "02000000-0000-5001-0000"):
        memory = memory.taken(user, START)
    between = memory.ids[7:15].hex()
    assert memory.look(f"{between[:8]}-{between[8:12]}-{between[12:]}", START) is Seen.NEW


def test_what_is_no_uuid_cannot_be_remembered() -> None:
    for odd in ("", "wamid.1", "0" * 10):
        with pytest.raises(ValueError):
            Memory().look(odd, START)
