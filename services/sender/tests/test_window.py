"""The 24 hours after the customer's last message, and "stop"."""

from datetime import UTC, datetime, timedelta

import pytest
from panier_common.contracts import inbound as m
from panier_sender.window import Window, heard, obstacle

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


UNKNOWN = Window()


def verdict(window=UNKNOWN, kind="text", lane="answer", requested_at=NOW, answers_at=None):
    return obstacle(window, kind=kind, lane=lane, requested_at=requested_at, answers_at=answers_at, now=NOW)


@pytest.mark.parametrize(
    ("heard_at", "answers_at", "wrong"),
    [
        (NOW - HOUR, None, None),
        (None, NOW - HOUR, None),
        (NOW - 25 * HOUR, NOW - HOUR, None),  # the later one counts: `inbound` may be read later
        (NOW - HOUR, NOW - 25 * HOUR, None),
        (NOW - 24 * HOUR, None, None),
        (NOW - 24 * HOUR - timedelta(seconds=1), None, "window_closed"),
        (None, None, "window_closed"),
    ],
)
def test_the_later_of_both_times_counts(heard_at, answers_at, wrong):
    assert verdict(Window(heard_at), answers_at=answers_at) == wrong


def test_a_template_needs_no_window():
    assert verdict(kind="template") is None


@pytest.mark.parametrize("lane", ["news", "reminder"])
def test_after_stop_only_answers_are_sent(lane):
    stopped = Window(NOW, stopped=True)
    assert verdict(stopped, lane=lane) == "stopped"
    assert verdict(stopped, kind="template", lane=lane) == "stopped"
    assert verdict(stopped, lane="answer") is None


def test_what_waited_for_a_day_is_dropped():
    assert verdict(Window(NOW), requested_at=NOW - 25 * HOUR) == "too_old"


def test_any_message_but_stop_starts_again():
    stopped = heard(Window(), m.Text("stop"), NOW, stop=True)
    assert stopped == Window(NOW, True, NOW)
    assert heard(stopped, m.Text("bonjour"), NOW + HOUR, stop=False) == Window(NOW + HOUR, False, NOW + HOUR)


def test_what_was_written_before_a_stop_and_comes_after_it_starts_nothing():
    stopped = heard(Window(), m.Text("stop"), NOW, stop=True)
    assert heard(stopped, m.Text("bonjour"), NOW - HOUR, stop=False) == stopped


def test_no_offers_keeps_back_reminders_by_template_and_nothing_else():
    window = Window(NOW, no_offers=True)
    assert verdict(window, kind="template", lane="reminder") == "stopped_marketing"
    assert verdict(window, kind="template", lane="news") is None
    assert verdict(window, lane="reminder") is None


@pytest.mark.parametrize("content", [m.Reaction("wamid.1", "👍"), m.Edit(), m.Revoke()])
def test_a_reaction_starts_nothing(content):
    stopped = Window(NOW - HOUR, stopped=True)
    assert heard(stopped, content, NOW, stop=False) == Window(NOW, stopped=True)


def test_what_meta_says_opens_no_window():
    assert heard(Window(), m.System("user_changed_number"), NOW, stop=False) == Window()


def test_an_older_message_does_not_turn_time_back():
    assert heard(Window(NOW), m.Text("a"), NOW - HOUR, stop=False).last_message_at == NOW
