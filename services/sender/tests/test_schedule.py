"""When each claimed message is called."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panier_sender.rates import USED_SHARE
from panier_sender.schedule import Schedule, rank_of

from . import schedule_for_hours


def drained(schedule: Schedule, now: float = 0.0) -> list:
    found = []
    while (next_at := schedule.next_at()) is not None:
        now = max(now, next_at)
        found += called(schedule, now, 1000)
    return found


def called(schedule: Schedule, now: float, most: int) -> list:
    """What is due, and begun at once."""
    due = schedule.due(now, most)
    for number in schedule.rates(now):
        while schedule.pace(number).pending:
            schedule.begin(number, now)
    return due


def test_answers_go_before_news_before_reminders():
    schedule = Schedule(lambda number: 10)
    for lane in ("reminder", "news", "unheard_of", "answer", "news", "answer"):
        schedule.put("a", rank_of(lane), lane, 0.0)
    assert drained(schedule) == ["answer", "answer", "news", "news", "reminder", "unheard_of"]


def test_numbers_take_turns_when_calls_are_short():
    schedule = Schedule(lambda number: 1000)
    for number in ("a", "b", "c"):
        for _ in range(40):
            schedule.put(number, 0, number, 0.0)
    first = Counter(called(schedule, 0.0, 30))
    assert first == {"a": 10, "b": 10, "c": 10}


def test_a_number_with_tokens_left_has_nothing_to_wait_for():
    schedule = Schedule(lambda number: 80)
    schedule.put("a", 0, "first", 0.0)
    assert schedule.waits(0.0) == {"a": 0.0}
    called(schedule, 0.0, 1)
    assert schedule.waits(0.0) == {"a": 0.0}, "a message may be late a little, and so the next one goes at once"
    assert schedule.waits(60.0) == {"a": 0.0}, "what is unused is not saved, and nothing is owed"


def test_what_one_more_message_would_wait_is_what_it_then_waits():
    schedule = Schedule(lambda number: 10)
    for n in range(20):
        schedule.put("a", 0, n, 0.0)
    for _ in range(5):
        called(schedule, schedule.next_at(), 1)
    now = schedule.next_at()
    foretold = now + schedule.waits(now)["a"]
    schedule.put("a", 0, "one more", now)
    while (at := schedule.next_at()) is not None:
        last = at
        called(schedule, at, 1)
    assert last == pytest.approx(foretold, abs=0.05)


def test_a_number_that_meta_refused_waits_longer_and_others_do_not():
    schedule = Schedule(lambda number: 80)
    for number in ("a", "b"):
        for n in range(80):
            schedule.put(number, 0, n, 0.0)
    before = schedule.waits(0.0)
    schedule.slow("a", 0.0)
    after = schedule.waits(0.0)
    assert after["a"] == pytest.approx(2 * before["a"], abs=0.05)
    assert after["b"] == before["b"]


def test_a_slow_number_holds_back_no_other():
    schedule = Schedule({"slow": 1, "fast": 1000}.__getitem__)
    for n in range(100):
        schedule.put("slow", 0, f"slow{n}", 0.0)
        schedule.put("fast", 0, f"fast{n}", 0.0)
    went = [message for turn in range(60) for message in called(schedule, turn * 0.005, 1000)]
    assert sum(message.startswith("fast") for message in went) == 100
    assert sum(message.startswith("slow") for message in went) == 1
    assert schedule.waiting == 99


def test_what_is_withdrawn_does_not_go():
    schedule = Schedule(lambda number: 1000)
    for n in range(20):
        schedule.put("a", n % 3, ("a", n), 0.0)
        schedule.put("b", 0, ("b", n), 0.0)
    assert len(schedule.withdraw(lambda number, message: number == "a" or message[1] == 0)) == 21
    assert schedule.waiting == 19
    assert sorted(drained(schedule)) == [("b", n) for n in range(1, 20)]
    schedule.put("a", 0, ("a", 99), 10.0)
    assert drained(schedule, 10.0) == [("a", 99)]


def test_a_refused_number_goes_on_more_slowly():
    schedule = Schedule(lambda number: 100)
    schedule.slow("a", 0.0)
    for n in range(200):
        schedule.put("a", 0, n, 0.0)
    assert schedule.rates(0.0) == {"a": pytest.approx(50 * USED_SHARE)}
    went = [message for turn in range(200) for message in called(schedule, turn * 0.005, 1000)]
    assert 40 <= len(went) <= 55


def test_a_changed_limit_is_followed():
    limits = {"a": 20}
    schedule = Schedule(limits.__getitem__)
    for n in range(500):
        schedule.put("a", 0, n, 0.0)
    before = sum(len(called(schedule, turn * 0.005, 1000)) for turn in range(200))
    limits["a"] = 1000
    schedule.refresh()
    after = sum(len(called(schedule, 1 + turn * 0.005, 1000)) for turn in range(200))
    assert before <= 20
    assert after > 400


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 2), st.floats(0, 0.2)), min_size=1, max_size=200
    )
)
def test_nothing_is_lost_and_each_rank_keeps_its_order(asked):
    schedule = Schedule({"a": 5, "b": 80, "c": 1000}.__getitem__)
    now, went = 0.0, []
    for n, (number, rank, gap) in enumerate(asked):
        now += gap
        schedule.put(number, rank, (number, rank, n), now)
        went += called(schedule, now, 3)
    went += drained(schedule, now)
    assert sorted(n for _, _, n in went) == list(range(len(asked)))
    for number in "abc":
        for rank in range(3):
            order = [n for of, r, n in went if (of, r) == (number, rank)]
            assert order == sorted(order)


def test_a_minute_at_full_load_keeps_the_limits_and_takes_less_than_a_tenth_of_a_core():
    report = schedule_for_hours.run(60)
    assert schedule_for_hours.faults(report, 60) == []
    assert report.sent["high"] > 54_000
