"""The rules of the journal under any interleaving: order per customer, one call at a time, nothing lost."""

from collections import defaultdict
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace
from panier_common.contracts.events import MessageFailed, MessageSent
from panier_common.read_progress import Progress
from panier_sender.errors import Class
from panier_sender.handlers import RETRIES
from panier_sender.happenings import CallFinished, DelayDue, DoubtDue, WorkDue
from panier_sender.line import CLAIMED, DELAYED, DOUBT, QUEUED, READY
from panier_sender.pacing import Pacing
from panier_sender.window import Window

from .desk import DOUBT_AFTER, NUMBER, START, Asked, Desk, accept, refuse, status


def test_claims_the_first_of_a_line_in_the_batch_that_brings_it():
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("1", "b"), Asked("2", "c"))
    assert set(desk.calls) == {"a", "c"}
    assert desk.state("b") == QUEUED
    accept(desk, "a")
    assert set(desk.calls) == {"b", "c"}
    assert [e.message_id for e in desk.published] == ["a"]


def test_a_repeat_of_a_request_changes_nothing():
    desk = Desk()
    desk.batch(Asked("1", "a"))
    desk.batch(Asked("1", "a"))
    assert [entry.id for entry in desk.table] == ["a"]


def test_pair_limit_delays_that_customer_four_to_the_x():
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("1", "b"), Asked("2", "c"))
    waits = []
    for _ in range(4):
        refuse(desk, "a", 131056)
        assert desk.state("a") == DELAYED
        waits.append((desk.timers["message:a"][0] - desk.now).total_seconds())
        desk.fire("message:a")
    assert waits == [1, 4, 16, 64]
    assert set(desk.calls) == {"a", "c"}


def test_an_error_that_may_be_the_messages_own_is_tried_a_few_times():
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("1", "b"))
    for _ in range(RETRIES):
        refuse(desk, "a", 131000)
        desk.fire("message:a")
    refuse(desk, "a", 131000)
    (failed,) = desk.ended("a")
    assert (failed.code, failed.reason, failed.origin) == (131000, "unknown_error", "cart")
    assert set(desk.calls) == {"b"}


def test_an_outage_is_waited_out_until_the_window_closes():
    desk = Desk()
    desk.batch(Asked("1", "a"))
    for _ in range(3000):
        if not desk.calls:
            break
        refuse(desk, "a", 131016)
        desk.fire("message:a")
    (failed,) = desk.ended("a")
    assert failed.reason in {"window_closed", "too_old"}
    assert desk.now - START > timedelta(hours=24)


def test_a_bad_token_keeps_the_queue():
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("2", "b"))
    refuse(desk, "a", 190)
    refuse(desk, "b", 190)
    assert {entry.state for entry in desk.table} == {READY}
    assert not desk.calls
    assert not desk.published
    desk.pacing.release(NUMBER)
    desk.batch(WorkDue(NUMBER, desk.now))
    assert set(desk.calls) == {"a", "b"}


def test_a_status_before_the_answer_proves_the_call_but_the_next_waits():
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("1", "b"))
    desk.batch(status("a"))
    assert set(desk.calls) == {"a"}
    assert not desk.published
    desk.finish("a", Class.IN_DOUBT)
    (sent,) = desk.ended("a")
    assert isinstance(sent, MessageSent)
    assert sent.wamid == "wamid.a"
    assert set(desk.calls) == {"b"}


def test_a_doubt_ends_by_a_status():
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("1", "b"))
    desk.finish("a", Class.IN_DOUBT)
    assert desk.state("a") == DOUBT
    assert not desk.calls
    desk.batch(status("a", "delivered"))
    assert [type(e) for e in desk.ended("a")] == [MessageSent]
    desk.fire("message:a")
    assert desk.resent == 0
    assert set(desk.calls) == {"b"}


def test_a_doubt_lasts_until_the_log_was_read_far_enough():
    desk = Desk()
    desk.batch(Asked("1", "a"))
    desk.finish("a", Class.IN_DOUBT)
    desk.progress = Progress(START + timedelta(seconds=19), at_end=False)
    desk.fire("message:a")
    assert desk.now >= START + DOUBT_AFTER
    assert desk.state("a") == DOUBT
    desk.progress = Progress(START + DOUBT_AFTER, at_end=False)
    desk.fire("message:a")
    assert desk.resent == 1
    assert set(desk.calls) == {"a"}


def test_a_failed_status_in_the_batch_that_brings_the_acceptance_is_told():
    desk = Desk()
    desk.batch(Asked("1", "a"))
    desk.finish("a", Class.IN_DOUBT)
    desk.batch(status("a", "sent"), status("a", "delivered"), status("a", "failed", 131026))
    sent, failed = desk.ended("a")
    assert isinstance(sent, MessageSent)
    assert isinstance(failed, MessageFailed)
    assert failed.code == 131026


def test_a_failed_status_ends_a_doubt_as_failed():
    desk = Desk()
    desk.batch(Asked("1", "a"))
    desk.finish("a", Class.IN_DOUBT)
    desk.batch(status("a", "failed", 131026))
    (failed,) = desk.ended("a")
    assert (failed.code, failed.reason, failed.wamid) == (131026, "undeliverable", "wamid.a")


@pytest.mark.parametrize("code", [131016, 131056])
def test_a_failed_status_may_end_a_doubt_with_another_try(code):
    """The call's answer was missed; by the status it is the one that a call can have."""
    desk = Desk()
    desk.batch(Asked("1", "a"))
    desk.finish("a", Class.IN_DOUBT)
    desk.batch(status("a", "failed", code), status("a", "failed", code))
    assert desk.state("a") == DELAYED
    desk.fire("message:a")
    accept(desk, "a")
    assert [type(event) for event in desk.ended("a")] == [MessageSent]


@pytest.mark.parametrize("code", [130429, 131031, 190])
def test_a_failed_status_may_end_a_doubt_with_a_hold_of_the_number(code):
    desk = Desk()
    desk.batch(Asked("1", "a"))
    desk.finish("a", Class.IN_DOUBT)
    desk.batch(status("a", "failed", code), Asked("2", "b"))
    assert (desk.calls, desk.published) == ({}, [])
    desk.now = desk.pacing.holds[NUMBER].until
    desk.batch(WorkDue(NUMBER, desk.now))
    (probe,) = list(desk.calls)
    accept(desk, probe)
    desk.batch(WorkDue(NUMBER, desk.now))
    assert {probe, *desk.calls} == {"a", "b"}


def test_a_late_result_of_an_earlier_attempt_is_ignored():
    desk = Desk()
    desk.batch(Asked("1", "a"))
    first = desk.calls["a"]
    desk.finish("a", Class.IN_DOUBT)
    desk.fire("message:a")
    assert desk.calls["a"].attempt == 2
    desk.batch(CallFinished(first.conversation, NUMBER, "a", 1, Class.GIVE_UP.value, desk.now))
    assert desk.state("a") == CLAIMED


def test_after_stop_news_fail_and_answers_go():
    desk = Desk()
    desk.windows = {f"{NUMBER}:1": Window(START, stopped=True)}
    desk.batch(*(Asked("1", f"n{n}", "news") for n in range(6)), Asked("1", "a"))
    assert [e.reason for e in desk.published] == ["stopped"] * 6
    assert set(desk.calls) == {"a"}
    assert [entry.id for entry in desk.table] == ["a"]


def test_a_long_line_is_worked_beyond_what_is_loaded():
    desk = Desk()
    desk.batch(*(Asked("1", f"n{n:02}", "news") for n in range(20)))
    desk.windows = {f"{NUMBER}:1": Window(START, stopped=True)}
    accept(desk, "n00")
    for _ in range(20):
        if f"line:{NUMBER}:1" not in desk.timers:
            break
        desk.fire(f"line:{NUMBER}:1")
    assert not desk.table
    assert [e.message_id for e in desk.published] == [f"n{n:02}" for n in range(20)]


def test_answers_go_before_news():
    desk = Desk(claims_limit=1)
    desk.batch(Asked("1", "first"))
    desk.batch(Asked("2", "news", "news"), Asked("3", "answer"))
    accept(desk, "first")
    assert set(desk.calls) == {"answer"}


def test_a_new_message_never_passes_those_that_were_not_loaded():
    desk = Desk()
    desk.batch(*(Asked("1", f"n{n:02}", "news") for n in range(10)))
    desk.windows = {f"{NUMBER}:1": Window(START, stopped=True)}
    entry = desk.calls.pop("n00")
    result = CallFinished(entry.conversation, NUMBER, "n00", 1, Class.ACCEPTED.value, desk.now, "wamid")
    desk.batch(result, Asked("1", "late"))
    assert [e.message_id for e in desk.published] == ["n00", "n01", "n02"]
    assert not desk.calls
    while f"line:{NUMBER}:1" in desk.timers:
        desk.fire(f"line:{NUMBER}:1")
    assert [e.message_id for e in desk.published] == [f"n{n:02}" for n in range(10)]
    assert set(desk.calls) == {"late"}


CUSTOMERS = st.sampled_from(["1", "2", "3"])
REFUSALS = st.sampled_from([131056, 131000, 131016, 131026, 130429, 190, 131047])


class Interleavings(RuleBasedStateMachine):
    """Requests, results, statuses, timers and crashes in any order; then everything is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(claims_limit=2)
        self.asked: defaultdict[str, list[str]] = defaultdict(list)

    @rule(customer=CUSTOMERS, count=st.integers(1, 5))
    def ask(self, customer: str, count: int) -> None:
        new = []
        for _ in range(count):
            message_id = f"{customer}/{len(self.asked[customer])}"
            self.asked[customer].append(message_id)
            new.append(Asked(customer, message_id, answers_at=self.desk.now))
        self.desk.batch(*new)

    @precondition(lambda self: self.desk.calls)
    @rule(data=st.data(), code=REFUSALS)
    def refuse(self, data: st.DataObject, code: int) -> None:
        refuse(self.desk, data.draw(st.sampled_from(sorted(self.desk.calls))), code)

    @precondition(lambda self: self.desk.calls)
    @rule(data=st.data(), kind=st.sampled_from([Class.IN_DOUBT, Class.UNCALLED, Class.UNREACHED]))
    def leave_open(self, data: st.DataObject, kind: Class) -> None:
        message_id = data.draw(st.sampled_from(sorted(self.desk.calls)))
        self.desk.finish(message_id, kind, delay_seconds=1.0)

    @precondition(lambda self: self.desk.calls)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        accept(self.desk, data.draw(st.sampled_from(sorted(self.desk.calls))))

    @precondition(lambda self: self.desk.table)
    @rule(data=st.data(), name=st.sampled_from(["sent", "delivered", "failed"]))
    def report(self, data: st.DataObject, name: str) -> None:
        tried = sorted(e.id for e in self.desk.table if e.attempt > 0) or ["unknown"]
        self.desk.batch(status(data.draw(st.sampled_from(tried)), name))

    @precondition(lambda self: self.desk.timers)
    @rule(data=st.data())
    def fire(self, data: st.DataObject) -> None:
        self.desk.fire(data.draw(st.sampled_from(sorted(self.desk.timers))))

    @rule()
    def crash(self) -> None:
        """Another process takes over: what was claimed is in doubt, and nobody waits for its result."""
        desk = self.desk
        for entry in [e for e in desk.table if e.state == CLAIMED]:
            due = DoubtDue(entry.conversation, NUMBER, entry.id)
            desk.timers[f"message:{entry.id}"] = (desk.now + DOUBT_AFTER, due)
        desk.table = [replace(e, state=DOUBT) if e.state == CLAIMED else e for e in desk.table]
        desk.calls.clear()
        desk.pacing = Pacing(2, 2)
        desk.batch(WorkDue(NUMBER, desk.now))

    @invariant()
    def one_call_a_customer(self) -> None:
        busy = [e.conversation for e in self.desk.table if e.state in {CLAIMED, DOUBT}]
        assert len(busy) == len(set(busy))

    @invariant()
    def only_the_first_moves(self) -> None:
        seen: set[str] = set()
        for entry in self.desk.table:
            if entry.conversation in seen:
                assert entry.state == QUEUED
            seen.add(entry.conversation)

    @invariant()
    def ends_in_order_and_once(self) -> None:
        for customer, asked in self.asked.items():
            ended = [e.message_id for e in self.desk.published if e.message_id.startswith(f"{customer}/")]
            assert ended == asked[: len(ended)]

    def teardown(self) -> None:
        """With a Graph API that accepts everything, all that was asked for ends."""
        desk = self.desk
        for _ in range(2000):
            if not desk.table:
                break
            if desk.calls:
                accept(desk, sorted(desk.calls)[0])
            elif desk.timers:
                desk.fire(min(desk.timers, key=lambda key: desk.timers[key][0]))
            else:
                desk.pacing.release(NUMBER)
                desk.batch(WorkDue(NUMBER, desk.now))
        assert not desk.table
        assert len(desk.published) == sum(map(len, self.asked.values()))


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=40)


def test_delays_end_only_for_what_is_delayed():
    desk = Desk()
    desk.batch(Asked("1", "a"))
    desk.batch(DelayDue(f"{NUMBER}:1", NUMBER, "a"))
    assert desk.calls["a"].attempt == 1
