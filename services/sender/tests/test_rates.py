"""Meta's two rates: of a number, and to one customer."""

import heapq
import random
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panier_sender.rates import (
    COEXISTENCE_PER_SECOND,
    DEFAULT_PER_SECOND,
    FIRST_CALLS,
    HIGHEST_PER_SECOND,
    OUR_SHARE,
    PAIR_SECONDS,
    Opening,
    Pace,
    pair_spent,
    pair_wait,
)

BORROWED = 45  # what Meta lends of one customer's time to come


def sent_when_free(pace: Pace, looks: list[float]) -> list[float]:
    """Every message that may go, looked for at those times: the times they went."""
    went = []
    for now in looks:
        while pace.free_at(now) <= now:
            pace.take(now)
            pace.begin(now)
            went.append(now)
    return went


def most_in_a_second(went: list[float]) -> int:
    return max((bisect_left(went, at + 1.0) - n for n, at in enumerate(went)), default=0)


@pytest.mark.parametrize("limit", [1, COEXISTENCE_PER_SECOND, DEFAULT_PER_SECOND, HIGHEST_PER_SECOND])
@given(gaps=st.lists(st.floats(0, 0.5), max_size=60))
def test_no_second_sees_more_than_the_limit(limit, gaps):
    now, looks = 0.0, []
    for gap in gaps:
        now += gap
        looks.append(now)
    assert most_in_a_second(sent_when_free(Pace(limit), looks)) <= limit


@pytest.mark.parametrize("limit", [1, COEXISTENCE_PER_SECOND, DEFAULT_PER_SECOND, HIGHEST_PER_SECOND])
def test_uses_nearly_all_of_the_limit(limit):
    """Looked at every few milliseconds, as the dispatcher does, sometimes late: that costs nothing."""
    chance, now, looks = random.Random(limit), 0.0, []
    while now < 100.0:
        looks.append(now)
        now += 0.004 + chance.choice((0.0, 0.001, 0.002, 0.012))
    went = sent_when_free(Pace(limit), looks)
    assert len(went) >= 100 * limit * 0.97
    assert most_in_a_second(went) <= limit


@pytest.mark.parametrize(("rule", "broken"), [("USED_SHARE", 2.0), ("LATE_SECONDS", 1.0)])
def test_a_pace_too_high_and_catching_up_are_found(monkeypatch, rule, broken):
    """A process that is held up for 0.15 s every 0.36 s: with either rule broken a second sees more than the limit."""
    looks = [n / 250 for n in range(1000) if n % 90 < 52]
    assert most_in_a_second(sent_when_free(Pace(200), looks)) <= 200
    monkeypatch.setattr(f"panier_sender.rates.{rule}", broken)
    assert most_in_a_second(sent_when_free(Pace(200), looks)) > 200


@pytest.mark.parametrize(("limit", "at_once"), [(1, 1), (COEXISTENCE_PER_SECOND, 1), (DEFAULT_PER_SECOND, 2)])
def test_after_a_pause_or_a_stall_one_or_two_go_at_once(limit, at_once):
    pace = Pace(limit)
    assert len(sent_when_free(pace, [n / 250 for n in range(500)])) > limit
    assert len(sent_when_free(pace, [60.0])) == at_once


def test_what_customers_write_counts():
    pace = Pace(80)
    pace.hear(0.0, 20)
    assert len(sent_when_free(pace, [n / 100 for n in range(100)])) <= 60


def test_however_much_they_write_half_of_the_limit_stays_ours():
    pace, went = Pace(80), 0
    for n in range(1000):
        pace.hear(n / 100, 500)
        went += len(sent_when_free(pace, [n / 100]))
    assert 0.4 * 800 <= went <= 0.6 * 800


@pytest.mark.parametrize("limit", [COEXISTENCE_PER_SECOND, DEFAULT_PER_SECOND])
@given(refused=st.sets(st.integers(0, 9)), written=st.lists(st.integers(0, 200), max_size=20))
def test_however_much_they_write_our_share_of_a_slower_pace_stays_ours_too(limit, refused, written):
    """Beside a number that Meta refused in the same seconds, and that nobody writes to."""
    ours, alone = Pace(limit), Pace(limit)
    went = went_alone = 0
    for second, messages in enumerate(written):
        if second in refused:
            ours.slow(second)
            alone.slow(second)
        ours.hear(second, messages)
        looks = [second + n / 50 for n in range(50)]
        went += len(sent_when_free(ours, looks))
        went_alone += len(sent_when_free(alone, looks))
    assert went >= (went_alone - limit) * OUR_SHARE - 1, "but for what they wrote in the last second"


@pytest.mark.parametrize("limit", [COEXISTENCE_PER_SECOND, DEFAULT_PER_SECOND])
def test_what_they_write_counts_at_the_slowest_pace_as_well(limit):
    """Their share of it may be less than a message a second."""
    pace = Pace(limit)
    for second in range(5):
        pace.slow(float(second))
    paid_at = pace.paid_at
    pace.hear(5.0, 100)
    assert pace.paid_at - max(paid_at, 5.0) == pytest.approx(1.0 - OUR_SHARE)


def test_a_refusal_halves_the_pace_which_grows_back():
    pace = Pace(100)
    pace.slow(10.0)
    assert pace.share_at(10.0) == 0.5
    pace.slow(10.5)  # on its way when the first one was refused
    assert pace.share_at(10.0) == 0.5
    pace.slow(11.0)
    assert 0.25 <= pace.share_at(11.0) < 0.27
    for second in range(12, 30):
        pace.slow(float(second))
    assert pace.share_at(29.0) == 1 / 16
    assert pace.share_at(29.0 + 60) == 1.0


def paid_as_meta_counts(times: list[float]) -> bool:
    """A bucket of 45 that fills by one every 6 s, as Meta describes the pair rate."""
    full_at = 0.0
    for at in times:
        full_at = max(full_at, at) + PAIR_SECONDS
        if full_at - at > PAIR_SECONDS * BORROWED + 1e-9:
            return False
    return True


@given(st.lists(st.floats(0, 30), max_size=150))
def test_never_more_to_one_customer_than_meta_allows(gaps):
    now, paid_at, went = 0.0, 0.0, []
    for gap in gaps:
        now += gap
        now += pair_wait(paid_at, now)
        paid_at = pair_spent(paid_at, now)
        went.append(now)
    assert paid_as_meta_counts(went)


@given(st.lists(st.floats(0, 3), min_size=60, max_size=120))
def test_a_message_that_was_long_on_its_way_breaks_nothing(delays):
    now, paid_at, arrived = 0.0, 0.0, []
    for delay in delays:
        now += pair_wait(paid_at, now)
        paid_at = pair_spent(paid_at, now)
        # The next one leaves after the answer to this one, so it cannot arrive before it.
        arrived.append(max(now + delay, arrived[-1] if arrived else 0.0))
    assert paid_as_meta_counts(arrived)


def test_a_burst_leaves_at_once_and_is_paid_for_afterwards():
    paid_at = 0.0
    for _ in range(44):
        assert pair_wait(paid_at, 100.0) == 0
        paid_at = pair_spent(paid_at, 100.0)
    assert pair_wait(paid_at, 100.0) == pytest.approx(PAIR_SECONDS)
    assert pair_wait(paid_at, 100.0 + PAIR_SECONDS) == pytest.approx(0)


def test_connections_open_in_turn():
    opening = Opening(100)
    assert opening.room(0, 1.0) == FIRST_CALLS
    assert opening.room(FIRST_CALLS, 1.0) == 0
    for _ in range(500):
        opening.answered(0.2)
    assert opening.room(10, 2.0) == 90
    assert opening.room(0, 3.0) == 100
    assert opening.room(0, 60.0) == FIRST_CALLS, "after a pause they are closed"
    opening.answered(0.2)
    opening.unreached()
    assert opening.room(0, 60.0) == FIRST_CALLS
    assert Opening(5).room(0, 0.0) == 5  # never more than there may be


def test_whoever_answers_too_slowly_is_asked_less():
    """Fifty answers a second, three thousand messages at once; what is given up after 5 s is read all the same."""
    opening, given_up_after, read_until = Opening(512), 5.0, 0.0
    now, waited, calls = 0.0, [], []
    for _ in range(3000):
        while opening.room(len(calls), now) <= 0:
            now, began, read = heapq.heappop(calls)
            opening.answered(now - began) if read == now else opening.unanswered()
        read_until = max(read_until, now) + 1 / 50
        waited.append(read_until - now)
        heapq.heappush(calls, (min(read_until, now + given_up_after), now, read_until))
    assert max(waited) < given_up_after  # 20 s, and every second call in vain, while it was asked all the same
    assert read_until == pytest.approx(3000 / 50), "it never had nothing to do"


@pytest.mark.parametrize("one_in", [20, 100])
def test_answers_lost_by_chance_leave_many_calls_at_once(one_in):
    opening, allowed = Opening(512), []
    for n in range(20_000):
        opening.answered(0.2) if n % one_in else opening.unanswered()
        allowed.append(opening.allowed)
    assert sum(allowed) / len(allowed) > one_in


def test_slow_answers_that_come_all_the_same_open_it_in_the_end():
    opening = Opening(512)
    for _ in range(30_000):
        opening.answered(3.0)
    assert opening.room(0, 0.0) > 200
