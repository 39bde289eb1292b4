"""What is remembered of messages with buttons, and what it says of the age of a press."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from panier_common.shown import LIMIT, OLD_AFTER, is_old, joined, remembered

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def memory(*hours: float) -> bytes:
    kept = b""
    for n, at in enumerate(hours):
        kept = remembered(kept, f"wamid.{n}", NOON + timedelta(hours=at))
    return kept


def test_each_button_is_as_old_as_its_own_message():
    kept = memory(0, 23, 24.5)
    pressed = NOON + timedelta(hours=24, seconds=1)
    assert [is_old(kept, f"wamid.{n}", pressed) for n in range(3)] == [True, False, False]
    assert not is_old(kept, "wamid.0", NOON + OLD_AFTER)


def test_a_message_nobody_has_heard_of_yet_was_sent_just_now():
    assert not is_old(b"", "wamid.new", NOON)
    assert not is_old(memory(-100), "wamid.new", NOON)


def test_what_a_full_memory_has_forgotten_is_old():
    kept = memory(*range(-LIMIT, 1))
    assert len(kept) == len(memory(*range(LIMIT)))
    assert is_old(kept, "wamid.0", NOON)
    assert not is_old(kept, f"wamid.{LIMIT}", NOON)


def test_two_memories_become_one_in_the_order_of_time():
    mine, theirs = remembered(b"", "mine", NOON), remembered(b"", "theirs", NOON - timedelta(hours=25))
    both = joined(mine, theirs)
    assert both == joined(theirs, mine) == theirs + mine
    assert [is_old(both, wamid, NOON) for wamid in ("mine", "theirs")] == [False, True]
    assert is_old(joined(memory(*range(LIMIT)), theirs), "theirs", NOON)


@given(
    sent=st.lists(st.tuples(st.text(max_size=40), st.integers(0, 10**6)), max_size=30, unique_by=lambda one: one[0]),
    pressed=st.integers(0, 10**6),
)
def test_whatever_was_sent_its_age_is_exact(sent, pressed):
    kept = b""
    for wamid, seconds in sent:
        kept = remembered(kept, wamid, NOON + timedelta(seconds=seconds))
    at = NOON + timedelta(seconds=pressed)
    for wamid, seconds in sent:
        assert is_old(kept, wamid, at) == (pressed - seconds > 24 * 3600)
