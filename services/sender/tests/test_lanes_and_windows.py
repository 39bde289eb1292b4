"""Who goes first, who waits, and what goes outside the 24 hours; statuses in any order."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from panier_common.contracts.events import MessageFailed, MessageSent, Template
from panier_sender.errors import Class
from panier_sender.happenings import CallFinished, WorkDue
from panier_sender.journal import InDoubt
from panier_sender.line import CLAIMED, DELAYED, DOUBT, QUEUED
from panier_sender.pacing import Pacing
from panier_sender.rates import Opening
from panier_sender.window import Window

from .desk import NUMBER, START, Asked, Desk, accept, refuse, status

NEWS = Template("order_ready", "fr", ("A-12",))
LONG_AGO = START - timedelta(hours=25)


def test_answers_before_news_before_reminders():
    desk = Desk(claims_limit=1)
    desk.batch(Asked("0", "first"))
    desk.batch(Asked("1", "r", "reminder"), Asked("2", "n", "news"), Asked("3", "a"))
    went = []
    accept(desk, "first")
    while desk.calls:
        (now,) = desk.calls
        went.append(now)
        accept(desk, now)
    assert went == ["a", "n", "r"]


def test_who_asked_something_does_not_wait_behind_other_peoples_reminders():
    desk = Desk(claims_limit=1)
    desk.batch(Asked("0", "first"))
    desk.batch(*(Asked(f"9{n}", f"r{n}", "reminder") for n in range(5)), Asked("1", "mine", "reminder"))
    desk.batch(Asked("1", "answer"))
    accept(desk, "first")
    assert set(desk.calls) == {"mine"}, "it stands before the answer in that customer's line"
    accept(desk, "mine")
    assert set(desk.calls) == {"answer"}


def test_numbers_share_the_process_fairly():
    pacing = Pacing(100, 100, lambda number: 1000)
    for number in ("a", "b", "c", "d"):
        pacing.note_backlog(number, 1)
    assert pacing.budget().room_of("a", START) == 25


def test_no_more_is_claimed_than_a_number_can_send_soon():
    pacing = Pacing(1000, 1000, lambda number: 20)
    assert pacing.budget().room_of("a", START) == 40


def test_no_more_is_claimed_than_a_slow_meta_takes_in_time():
    opening = Opening(512)
    pacing = Pacing(1000, 1000, lambda number: 1000, worth=opening.claims)
    assert pacing.budget().room == 24
    for _ in range(100):
        opening.answered(0.2)
    assert pacing.budget().room == 324


def test_nothing_is_claimed_before_shops_are_known():
    known = []
    pacing = Pacing(10, 10, may_begin=lambda: bool(known))
    assert pacing.budget().room == 0
    known.append(True)
    assert pacing.budget().room == 10


def test_a_burst_to_one_customer_waits_for_its_pair_limit_and_holds_back_nobody():
    desk = Desk()
    desk.batch(*(Asked("1", f"m{n:02}") for n in range(50)))
    sent = 0
    while desk.calls:
        accept(desk, next(iter(desk.calls)))
        sent += 1
        if f"line:{NUMBER}:1" in desk.timers:
            desk.fire(f"line:{NUMBER}:1")
    assert sent == 44
    assert desk.state("m44") == DELAYED
    desk.batch(Asked("2", "other"))
    assert set(desk.calls) == {"other"}
    before = desk.now
    desk.fire("message:m44")
    assert timedelta(seconds=5) < desk.now - before <= timedelta(seconds=6)
    assert "m44" in desk.calls


def test_what_was_not_sent_is_not_paid_for():
    desk = Desk()
    desk.batch(Asked("1", "a"))
    for _ in range(100):
        desk.finish("a", Class.UNCALLED)
    assert set(desk.calls) == {"a"}


def test_the_window_is_checked_when_it_is_sent():
    almost_closed = START - timedelta(hours=23)
    desk = Desk(claims_limit=1)
    desk.batch(Asked("0", "first"))
    desk.batch(
        Asked("1", "template", answers_at=almost_closed, template=NEWS),
        Asked("2", "nothing", answers_at=almost_closed),
        Asked("3", "wrote_again", answers_at=almost_closed),
    )
    desk.now = START + timedelta(hours=2)
    desk.windows = {f"{NUMBER}:3": Window(START)}
    accept(desk, "first")
    assert '"order_ready"' in desk.calls["template"].body
    accept(desk, "template")
    (failed,) = desk.ended("nothing")
    assert failed.reason == "window_closed"
    assert '"text"' in desk.calls["wrote_again"].body


def test_outside_the_window_the_template_goes():
    desk = Desk()
    desk.batch(Asked("1", "a", "news", answers_at=LONG_AGO, template=NEWS), Asked("2", "b", "news", LONG_AGO))
    assert '"order_ready"' in desk.calls["a"].body
    (failed,) = desk.ended("b")
    assert failed.reason == "window_closed"
    assert failed.said


def test_news_after_an_answer_knows_the_window_though_inbound_is_read_elsewhere():
    desk = Desk()
    desk.batch(Asked("1", "link to pay"))
    accept(desk, "link to pay")
    desk.batch(Asked("1", "receipt", "news", answers_at=None))
    assert set(desk.calls) == {"receipt"}


def test_while_what_customers_wrote_is_unread_news_wait_and_answers_go():
    desk = Desk()
    desk.windows_known = False
    desk.batch(Asked("1", "answer"), Asked("2", "news", "news", None), Asked("3", "old", "answer", LONG_AGO))
    assert set(desk.calls) == {"answer"}
    assert {desk.state("news"), desk.state("old")} == {DELAYED}
    desk.windows_known = True
    desk.windows = {f"{NUMBER}:3": Window(START), f"{NUMBER}:2": Window(START, stopped=True)}
    desk.fire("message:news")
    desk.fire("message:old")
    assert set(desk.calls) == {"answer", "old"}
    (failed,) = desk.ended("news")
    assert failed.reason == "stopped"


def test_meta_may_say_later_that_the_window_was_closed():
    desk = Desk()
    desk.batch(Asked("1", "a", "news", template=NEWS), Asked("2", "b", "news"))
    accept(desk, "a")
    accept(desk, "b")
    desk.batch(status("a", "failed", 131047), status("b", "failed", 131047))
    assert '"order_ready"' in desk.calls["a"].body
    assert [type(event) for event in desk.ended("b")] == [MessageSent, MessageFailed]
    accept(desk, "a", "wamid.template")
    desk.batch(status("a", "failed", 131047, "wamid.template"))
    assert [type(event) for event in desk.ended("a")] == [MessageSent, MessageSent, MessageFailed]


def test_what_is_told_again_of_a_message_is_not_taken_for_its_template():
    """Meta repeats webhooks, keeps no order, and knows both by one id of ours."""
    desk = Desk()
    desk.batch(Asked("1", "a", "news", template=NEWS))
    accept(desk, "a")
    for _ in range(2):
        desk.batch(status("a", "failed", 131047), status("a", "sent"), status("a", "failed", 131047))
        assert desk.state("a") == CLAIMED
    desk.finish("a", Class.IN_DOUBT)
    desk.batch(status("a", "failed", 131047), status("a", "sent"))
    assert desk.state("a") == DOUBT
    desk.batch(status("a", "sent", wamid="wamid.template"))
    desk.batch(status("a", "failed", 131047))
    assert [event.wamid for event in desk.ended("a")] == ["wamid.a", "wamid.template"]


def test_a_failure_that_comes_before_the_answer_is_not_taken_for_the_templates_either():
    desk = Desk()
    desk.batch(Asked("1", "a", "news", template=NEWS))
    desk.batch(status("a", "failed", 131047))
    assert '"order_ready"' in desk.calls["a"].body
    desk.batch(status("a", "failed", 131047))
    accept(desk, "a", "wamid.template")
    assert [event.wamid for event in desk.ended("a")] == ["wamid.template"]


def test_a_template_that_goes_late_waits_behind_the_customers_next_message_and_obeys_a_stop():
    desk = Desk()
    desk.batch(Asked("1", "a", "news", template=NEWS), Asked("2", "c", "news", template=NEWS))
    accept(desk, "a")
    accept(desk, "c")
    desk.batch(Asked("1", "b"))
    desk.windows[f"{NUMBER}:2"] = Window(START, stopped=True)
    desk.batch(status("a", "failed", 131047), status("c", "failed", 131047))
    assert set(desk.calls) == {"b"}
    assert desk.state("a") == QUEUED
    assert [getattr(event, "reason", "") for event in desk.ended("c")] == ["", "stopped"]
    accept(desk, "b")
    assert set(desk.calls) == {"a"}


def test_a_template_goes_though_its_message_failed_in_the_batch_that_brought_its_acceptance():
    desk = Desk()
    desk.batch(Asked("1", "a", "news", template=NEWS))
    call = desk.calls.pop("a")
    accepted = CallFinished(call.conversation, NUMBER, "a", call.attempt, Class.ACCEPTED.value, desk.now, "wamid.a")
    desk.batch(accepted, status("a", "failed", 131047))
    assert desk.state("a") == CLAIMED
    accept(desk, "a", "wamid.template")
    assert [event.wamid for event in desk.ended("a")] == ["wamid.a", "wamid.template"]


def test_a_doubt_can_be_left_to_a_person():
    desk = Desk()
    desk.in_doubt = InDoubt.GIVE_UP
    desk.batch(Asked("1", "a"), Asked("1", "b"))
    desk.finish("a", Class.IN_DOUBT)
    assert desk.state("a") == DOUBT
    desk.fire("message:a")
    (failed,) = desk.ended("a")
    assert failed.reason == "in_doubt"
    assert desk.resent == 0
    assert set(desk.calls) == {"b"}
    desk.batch(desk.letters[0].event)
    accept(desk, "b")
    accept(desk, "a")
    assert [type(event) for event in desk.ended("a")] == [MessageFailed, MessageSent]


STATUSES = st.lists(
    st.sampled_from(["sent", "delivered", "read", "played", "failed", "deleted", "warning"]), max_size=8
)


@given(before=STATUSES, after=STATUSES, answered=st.booleans())
def test_statuses_in_any_order_and_however_often_end_a_message_once(before, after, answered):
    desk = Desk()
    desk.batch(Asked("1", "a"))
    for name in before:
        desk.batch(status("a", name, 131026 if name == "failed" else None))
    if "a" in desk.calls:
        if answered:
            accept(desk, "a")
        else:
            desk.finish("a", Class.IN_DOUBT)
    for name in after:
        desk.batch(status("a", name, 131026 if name == "failed" else None))
    kinds = [type(event) for event in desk.ended("a")]
    assert kinds in ([], [MessageSent], [MessageFailed], [MessageSent, MessageFailed])
    assert kinds or not (answered or before or after)
    if "failed" in before + after:
        assert kinds.count(MessageFailed) == 1
    assert desk.state("a") in (None, DOUBT)


def test_a_number_refused_for_its_throughput_sends_one_to_find_out():
    desk = Desk()
    desk.batch(*(Asked(f"{n}", f"m{n}") for n in range(5)))
    for n in range(5):
        refuse(desk, f"m{n}", 130429)
    desk.now += timedelta(seconds=1)
    desk.batch(WorkDue(NUMBER, desk.now))
    assert len(desk.calls) == 1
    accept(desk, next(iter(desk.calls)))
    assert len(desk.calls) == 4
