"""Room for claims, and numbers that have to wait."""

import asyncio
from datetime import UTC, datetime, timedelta

from panier_sender.errors import RULES, Class, Rule
from panier_sender.loops import Numbers
from panier_sender.pacing import Budget, Pacing

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SLOW = RULES[130429]
HOME = 1


def test_room_is_limited_over_all_and_by_number():
    budget = Budget(room=3, number_room=2)
    for n in range(2):
        budget.claim("a", f"a{n}", f"a:{n}", NOW)
    assert budget.room_of("a", NOW) == 0
    assert budget.room_of("b", NOW) == 1
    budget.give_back("a")
    assert budget.room_of("a", NOW) == 1


def test_a_held_number_waits_then_sends_one_probe():
    budget = Budget(10, 10)
    budget.claim("a", "m1", "a:1", NOW)
    budget.give_back("a")
    budget.hold("a", HOME, "m1", SLOW, NOW)
    assert budget.room_of("a", NOW) == 0
    assert budget.room_of("b", NOW) == 10
    later = NOW + 2 * SECOND
    assert budget.room_of("a", later) == 1
    budget.claim("a", "m2", "a:1", NOW)
    assert budget.room_of("a", later) == 0
    budget.give_back("a")
    budget.works("a", "m2")
    assert budget.room_of("a", later) == 10


def test_each_failed_probe_waits_longer_and_calls_begun_before_add_nothing():
    budget = Budget(10, 10)
    budget.hold("a", HOME, "m1", SLOW, NOW)
    budget.hold("a", HOME, "m2", SLOW, NOW + SECOND / 2)
    assert budget.holds["a"].until == NOW + SECOND
    waits = []
    now = NOW
    for n in range(12):
        now = budget.holds["a"].until
        budget.claim("a", f"probe{n}", "a:1", NOW)
        budget.hold("a", HOME, f"probe{n}", SLOW, now)
        waits.append((budget.holds["a"].until - now) / SECOND)
    assert waits[:4] == [2, 4, 8, 16]
    assert max(waits) == 120


def test_a_call_begun_before_the_hold_does_not_end_it():
    budget = Budget(10, 10)
    budget.hold("a", HOME, "m1", SLOW, NOW)
    budget.works("a", "m2")
    assert "a" in budget.holds


def test_a_probe_that_says_nothing_is_followed_by_another():
    budget = Budget(10, 10)
    budget.hold("a", HOME, "m1", SLOW, NOW)
    later = NOW + 2 * SECOND
    budget.claim("a", "m2", "a:1", NOW)
    budget.unprobed("a", "m2")
    assert budget.room_of("a", later) == 1


def test_a_refused_token_is_asked_again_soon_and_then_ever_more_rarely():
    budget = Budget(10, 10)
    now, waits = NOW, []
    for n in range(12):
        budget.hold("a", HOME, f"m{n}", RULES[190], now)
        waits.append(budget.holds["a"].until - now)
        now = budget.holds["a"].until
        budget.claim("a", f"m{n + 1}", "a:1", NOW)
    assert waits[:4] == [2 * SECOND, 4 * SECOND, 8 * SECOND, 16 * SECOND]
    assert waits[-1] == 600 * SECOND


def test_nothing_changes_before_the_commit():
    pacing = Pacing(2, 2)
    budget = pacing.budget()
    budget.claim("a", "m1", "a:1", NOW)
    budget.hold("b", HOME, "m2", Rule(Class.PARK, "token", 300), NOW)
    assert pacing.budget().room == 2
    assert not pacing.holds
    pacing.commit(budget, [], [("m1", 3, "a")], NOW)
    assert pacing.budget().room == 1
    assert pacing.holds["b"].kind is Class.PARK
    after = pacing.budget()
    after.give_back("a")
    after.claim("a", "m1", "a:1", NOW)
    pacing.commit(after, ["m1"], [("m1", 3, "a")], NOW)
    assert pacing.budget().room == 1


def test_homes_given_up_are_not_looked_at():
    pacing = Pacing(10, 10)
    pacing.note_backlog("a", 1)
    pacing.note_backlog("b", 2)
    assert pacing.servable(NOW, []) == {1: "a", 2: "b"}
    pacing.close([1])
    pacing.note_backlog("a", 1)
    assert pacing.servable(NOW, []) == {2: "b"}
    assert pacing.budget().closed == {1}
    pacing.open([1])
    pacing.note_backlog("a", 1)
    assert set(pacing.servable(NOW, [])) == {1, 2}


def test_a_number_is_said_to_be_held_only_where_it_is_worked():
    """Who owned it before would never hear that it works again. When it comes back, one probe finds out."""
    pacing = Pacing(10, 10)
    budget = pacing.budget()
    budget.hold("a", HOME, "m1", SLOW, NOW)
    budget.claim("a", "probe", "a:1", NOW)
    budget.hold("b", 2, "m2", SLOW, NOW)
    pacing.commit(budget, [], [("probe", HOME, "a")], NOW)
    later = NOW + 2 * SECOND
    assert (set(pacing.held()), pacing.budget().room_of("a", later)) == ({"a", "b"}, 0)
    pacing.close([HOME])
    pacing.forget([HOME])
    assert set(pacing.held()) == {"b"}
    pacing.open([HOME])
    assert (set(pacing.held()), pacing.budget().room_of("a", later)) == ({"a", "b"}, 1)


def test_what_was_claimed_while_its_home_went_takes_no_room():
    """The batch began before and is committed after that: nobody hears what becomes of these calls."""
    pacing = Pacing(10, 10)
    budget = pacing.budget()
    budget.hold("a", HOME, "m1", SLOW, NOW)
    budget.claim("a", "probe", "a:1", NOW)
    budget.claim("b", "m2", "b:1", NOW)
    pacing.close([HOME])
    pacing.forget([HOME])
    pacing.commit(budget, [], [("probe", HOME, "a"), ("m2", 2, "b")], NOW)
    assert pacing.held() == {}
    pacing.open([HOME])
    assert pacing.budget().room == 9
    assert pacing.budget().room_of("a", NOW + 2 * SECOND) == 1


async def test_homes_are_forgotten_also_when_there_is_no_time_for_their_calls():
    class Busy:
        async def release(self, homes) -> None:
            await asyncio.Event().wait()

    pacing = Pacing(10, 10)
    budget = pacing.budget()
    budget.claim("a", "m1", "a:1", NOW)
    pacing.commit(budget, [], [("m1", 1, "a")], NOW)
    releasing = asyncio.ensure_future(Numbers(pacing, Busy(), timedelta(seconds=20)).loop().on_release([1]))
    await asyncio.sleep(0)
    releasing.cancel()
    await asyncio.gather(releasing, return_exceptions=True)
    assert pacing.budget().room == 10


def test_room_that_results_are_about_to_give_back_counts():
    pacing = Pacing(1, 1)
    budget = pacing.budget()
    budget.claim("a", "m1", "a:1", NOW)
    pacing.commit(budget, [], [("m1", 1, "a")], NOW)
    pacing.note_backlog("b", 2)
    assert pacing.servable(NOW, []) == {}
    assert pacing.servable(NOW, ["a"]) == {2: "b"}


def test_homes_taken_over_again_count_what_was_sent_once():
    """A rebalance or a broker that is away has the journal read many times: no customer waits longer for that."""
    pacing = Pacing(10, 10)
    sent = [("a:1", NOW - n * SECOND) for n in reversed(range(40))]
    pacing.remember(sent)
    once = pacing.budget().pair_wait("a:1", NOW)
    for _ in range(5):
        pacing.remember(sent)
    assert pacing.budget().pair_wait("a:1", NOW) == once


def test_what_this_process_sent_itself_counts_beside_what_others_sent():
    pacing = Pacing(100, 100)
    pacing.remember([("a:1", NOW)] * 30)
    budget = pacing.budget()
    for n in range(14):
        budget.claim("a", f"m{n}", "a:1", NOW)
    pacing.commit(budget, [], [], NOW)
    assert pacing.budget().pair_wait("a:1", NOW) > 0
    pacing.remember([("a:1", NOW)] * 10)  # an older picture takes nothing back
    assert pacing.budget().pair_wait("a:1", NOW) > 0
