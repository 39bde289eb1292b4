"""The storm's judgement, case by case, and a small storm over real services."""

from pathlib import Path
from typing import Any

import pytest
from panier_bench import storm
from panier_bench.engines import Engines, topics
from panier_bench.ledger import BEGUN, Begun, Ledger, Requested, is_right, judge, most_in_a_second
from panier_bench.recorded_sender import read
from panier_bench.storm import Plan

CALM = {"refused": {}, "injected": {}, "numbers": {"n": {"accepted": 1, "most_in_a_second": 1}}}


def tell(ledger: Ledger, message_id: str, code: int | None = None) -> None:
    """By an event of its own."""
    told = ledger.told.get(message_id)
    ledger.tell(f"{message_id}-{told}", message_id, code)


def asked(*ids: str, customer: str = "c") -> Ledger:
    ledger = Ledger()
    for place, message_id in enumerate(ids):
        ledger.requested[message_id] = Requested("n", customer, place, 0.0)
    return ledger


def took(seq: int, message_id: str, code: int | None = None) -> dict[str, Any]:
    return {"seq": seq, "callback": message_id, "at": 1.0, "code": code}


def found(
    ledger: Ledger, *accepted: dict[str, Any], refusals: Any = (), counts: Any = CALM, begun: Any = None, apart: int = 0
) -> dict[str, Any]:
    """Judged with a limit of 80 a second; as many calls as were accepted, unless said otherwise."""
    if begun is None:
        begun = {"n": [n / 10 for n in range(len(accepted))]}
    report = judge(ledger, accepted, refusals, counts, {}, Begun(begun, apart), 80)
    return {"right": is_right(report), "wrong": set(report["wrong"]), "report": report}


def test_accepted_once_and_told_is_right() -> None:
    ledger = asked("a", "b")
    tell(ledger, "a")
    tell(ledger, "b")
    tell(ledger, "somebody else's")
    assert ledger.open == 0
    result = found(ledger, took(1, "a"), took(2, "b"), took(3, "somebody else's"))
    assert result["right"], result
    assert (result["report"]["accepted"], result["report"]["sent_twice"]) == (2, 0)


def test_failed_with_the_code_that_was_given_is_right() -> None:
    ledger = asked("a", "b")
    tell(ledger, "a", 131042)  # refused
    tell(ledger, "b")  # accepted, then failed by a status
    tell(ledger, "b", 131049)
    refusal = {"callback": "a", "code": 131042}
    assert found(ledger, took(1, "b", 131049), refusals=[refusal])["right"]


@pytest.mark.parametrize(
    ("told", "accepted", "wrong"),
    [
        ([], [], "lost"),
        ([], [took(1, "a")], "accepted and nobody told"),
        ([None], [], "told as sent and never accepted"),
        ([None, None], [took(1, "a")], "told twice"),
        ([None], [took(1, "a", 131049)], "failed and nobody told"),
        ([131026], [took(1, "a")], "failed with a code that WhatsApp did not give"),
        ([0], [], "failed with a code that WhatsApp did not give"),
    ],
)
def test_everything_else_has_a_name(told: list[int | None], accepted: list[Any], wrong: str) -> None:
    ledger = asked("a")
    for code in told:
        tell(ledger, "a", code)
    result = found(ledger, *accepted)
    assert not result["right"]
    assert wrong in result["wrong"]


def test_a_closed_window_is_no_excuse_with_a_template() -> None:
    for template, right in ((False, True), (True, False)):
        ledger = Ledger({"a": Requested("n", "c", 0, 0.0, template)})
        tell(ledger, "a", 131047)
        assert found(ledger, refusals=[{"callback": "a", "code": 131047}])["right"] is right


def test_twice_is_counted_and_order_is_that_of_the_first_time() -> None:
    ledger = asked("a", "b", "c")
    for message_id in "abc":
        tell(ledger, message_id)
    again = found(ledger, took(1, "a"), took(2, "b"), took(3, "a"), took(4, "c"))
    assert again["right"]
    assert again["report"]["sent_twice"] == 1
    late = found(ledger, took(1, "b"), took(2, "a"), took(3, "c"))
    assert late["wrong"] == {"out of order"}
    assert late["report"]["wrong"]["out of order"] == {"count": 1, "some": ["a"]}


def test_the_same_event_again_is_dropped_and_counted() -> None:
    ledger = asked("a")
    for _ in range(3):
        ledger.tell("event", "a", None)
    result = found(ledger, took(1, "a"))
    assert result["right"]
    assert result["report"]["published_again"] == 2


def test_a_limit_of_ours_to_keep_is_never_broken() -> None:
    ledger = asked()
    for code, refused in (("131056", 1), ("130429", 4)):
        assert not found(ledger, counts={**CALM, "refused": {code: refused}})["right"]
    assert found(ledger, counts={**CALM, "injected": {"131056": 5}, "refused": {"131026": 1}})["right"]


def test_a_few_calls_in_a_thousand_may_arrive_in_heaps_and_none_break_the_pair_limit() -> None:
    begun = {"n": [n / 10 for n in range(5000)]}
    for code, refused, right in (("130429", 5, True), ("130429", 6, False), ("131056", 1, False)):
        assert found(asked(), counts={**CALM, "refused": {code: refused}}, begun=begun)["right"] is right


@pytest.mark.parametrize(("apart", "right"), [(1 / 79, True), (1 / 82, False)])
def test_the_calls_begun_in_any_second_are_judged(apart: float, right: bool) -> None:
    begun = {"calm": [1.0], "n": [7.0 + n * apart for n in range(400)]}
    result = found(asked(), begun=begun)
    assert result["right"] is right
    assert (BEGUN in result["report"]["limits_broken"]) is not right
    assert (result["report"]["most_begun_in_a_second"] > 80) is not right


def test_a_burst_after_a_pause_is_too_much_although_the_mean_is_not() -> None:
    times = [n / 10 for n in range(100)] + [20.0 + n / 1000 for n in range(81)]
    assert most_in_a_second(times) == 81
    assert not found(asked(), begun={"n": times})["right"]


def test_a_sender_that_notes_nothing_is_not_right() -> None:
    ledger = asked("a")
    tell(ledger, "a")
    assert found(ledger, took(1, "a"), begun={})["wrong"] == {"accepted and not noted as begun"}


def test_time_between_count_and_call_is_the_machines_when_it_is_rare(tmp_path: Path) -> None:
    notes = tmp_path / "calls"
    notes.write_text("n 1.000000 1.000020\nn 2.000000 2.040000\nm 3.000000 3.004000\n", "ascii")
    assert read(notes) == Begun({"n": [1.00002, 2.0], "m": [3.004]}, apart=1)
    calls = {"n": [n / 10 for n in range(400)]}
    assert found(asked(), begun=calls, apart=20)["right"]
    assert found(asked(), begun=calls, apart=21)["wrong"] == {"called long after it was counted"}


def test_what_was_not_accepted_is_told_apart() -> None:
    ledger = asked("a", "b", "c")
    ledger.tell("1", "a", 131047, "window_closed")
    ledger.tell("2", "b", 0, "expired")
    tell(ledger, "c")
    report = found(ledger, took(1, "c"))["report"]
    assert report["not_accepted"] == {"refused": {"window_closed": 1}, "given_up": {"expired": 1}}


@pytest.mark.parametrize("plan", [Plan(rate=500, numbers=2), Plan(rate=500, customers=600)])
def test_a_storm_that_breaks_its_own_limits_does_not_begin(plan: Plan) -> None:
    with pytest.raises(SystemExit):
        plan.check()


@pytest.mark.stack
@pytest.mark.timeout(300)
async def test_a_small_storm_loses_nothing(kafka: str, postgres: str) -> None:
    found = Engines(kafka, postgres, {"kafka": "test", "postgres": "test"})
    await topics(found)
    report = await storm.run(found, Plan(rate=50, seconds=10, numbers=4, customers=500, patience_seconds=60))
    assert report["right"], report
    assert report["requested"] >= 900
    assert report["failed_by_code"]["131047"] == 200, "a day later those without a template fail, and no others"
    assert report["accepted"] > 650
    assert sum(report["faults"].values()) > 50, "the storm was a calm"
    assert report["calls_begun"] >= report["accepted"]
    assert 0 < report["most_begun_in_a_second"] <= 80


@pytest.mark.stack
@pytest.mark.timeout(300)
async def test_a_sender_that_is_too_fast_is_found(kafka: str, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    found = Engines(kafka, postgres, {"kafka": "test", "postgres": "test"})
    await topics(found)
    plan = Plan(rate=20, seconds=2, numbers=1, customers=300, faults="none", sender="hasty_sender", patience_seconds=30)
    report = await storm.run(found, plan)
    assert not report["right"]
    assert report["limits_broken"][BEGUN] > 80
