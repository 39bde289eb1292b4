"""A provider over the network: asked for the link after the order is there, and before an order expires."""

import pytest
from msgspec.structs import replace
from panier_checkout.sessions import OpeningDelayed, SessionEnded, SessionOpened
from panier_common.contracts import events as e
from panier_common.contracts.outbound import LinkMessage

from .stage import SHOP, Stage

LINK = "https://pay.example/s-1"


@pytest.fixture
def remote(make_stage) -> Stage:
    return make_stage(shop=replace(SHOP, payment_provider="over_http"))


def calls(stage: Stage) -> list[tuple[str, str]]:
    return [(call.what, call.session_id) for call in stage.desk.calls.values()]


def opened(stage: Stage) -> Stage:
    stage.play(SessionOpened(stage.conversation, stage.order.order_id, "s-1", LINK))
    return stage


def ended(stage: Stage, state: str) -> Stage:
    stage.play(SessionEnded(stage.conversation, stage.order.order_id, state))
    return stage


def test_the_answer_to_confirm_is_the_link_the_provider_told(remote):
    order = remote.placed()
    assert (order.state, remote.messages) == ("awaiting_payment", [])
    (call,) = remote.desk.calls.values()
    assert (call.what, call.provider, call.minor, call.currency) == ("open", "over_http", 820, "EUR")
    opened(remote)
    (requested,) = remote.happened(e.MessageRequested)
    assert (requested.answers, requested.lane) == (order.caused_by, "answer")
    (message,) = remote.messages
    assert isinstance(message, LinkMessage)
    assert str(message.url) == LINK
    assert calls(remote) == []
    assert ("open" in [what for _, what in remote.desk.settled_calls]) is True
    remote.press(f"checkout:pay:{order.number}")
    assert str(remote.messages[0].url) == LINK
    remote.fire("halfway:")
    assert str(remote.messages[0].url) == LINK


def test_a_link_that_comes_late_tells_what_is_left(remote):
    """Of the time that the order was given: the shop's rule has changed meanwhile."""
    remote.placed()
    remote.shop = replace(remote.shop, expires_after_seconds=7200.0)
    assert "sous 9 minutes." in opened(remote.later(minutes=20, seconds=20)).text


def test_an_answer_that_comes_twice_is_told_once(remote):
    remote.placed()
    opened(remote)
    assert opened(remote).effects == []
    assert remote.order.session_id == "s-1"


def test_a_provider_that_does_not_answer_is_spoken_of_once(remote):
    order = remote.placed()
    remote.play(OpeningDelayed(remote.conversation, order.order_id))
    assert order.number in remote.text
    assert f"checkout:cancel:{order.order_id}" in remote.buttons
    assert calls(remote) == [("open", "")]
    remote.press(f"checkout:pay:{order.order_id}")
    assert "dès que possible" in remote.text
    remote.fire("halfway:")
    assert remote.effects == []
    opened(remote)
    remote.play(OpeningDelayed(remote.conversation, order.order_id))
    assert remote.effects == []


def test_only_closed_unpaid_expires_the_order(remote):
    remote.placed()
    opened(remote).later(minutes=31).fire("overdue:")
    assert (remote.order.state, remote.effects) == ("awaiting_payment", [])
    assert calls(remote) == [("close", "s-1")]
    ended(remote, "closed")
    assert len(remote.happened(e.OrderExpired)) == 1
    assert (remote.order.state, calls(remote)) == ("expired", [])
    assert ended(remote, "closed").effects == []


def test_paid_at_the_last_moment_waits_for_the_notification(remote):
    remote.placed()
    opened(remote).later(minutes=31).fire("overdue:")
    ended(remote, "paid")
    assert remote.order.state == "awaiting_payment"
    remote.fire("overdue:")
    assert calls(remote) == [("close", "s-1")]
    remote.play(
        e.PaymentRecorded(remote.conversation, "over_http", "n", remote.order.order_id, "paid", 820, "EUR", remote.now)
    )
    assert remote.order.state == "paid"
    ended(remote, "paid")
    assert (remote.order.state, remote.effects, calls(remote)) == ("paid", [], [])


def test_an_order_that_never_got_a_link_expires_and_a_late_session_is_closed(remote):
    remote.placed()
    remote.later(minutes=31).fire("overdue:")
    assert len(remote.happened(e.OrderExpired)) == 1
    assert calls(remote) == []
    opened(remote)
    assert remote.messages == []
    assert calls(remote) == [("close", "s-1")]


def test_cancelling_takes_the_session_back(remote):
    order = remote.placed()
    opened(remote).press(f"checkout:cancel:{order.order_id}")
    assert len(remote.happened(e.OrderCancelled)) == 1
    assert calls(remote) == [("close", "s-1")]
    assert ended(remote, "closed").effects == []
    assert (remote.order.state, calls(remote)) == ("cancelled", [])


def test_the_shop_cancels_before_there_is_a_session(remote):
    order = remote.placed()
    remote.play(e.CancelRequested(remote.conversation, order.order_id, "key", "shop", remote.now))
    assert (remote.order.state, calls(remote)) == ("cancelled", [])
    opened(remote)
    assert calls(remote) == [("close", "s-1")]


def test_providers_that_need_no_asking_are_never_asked(make_stage):
    for name in ("simulated", "on_collection"):
        stage = make_stage(shop=replace(SHOP, payment_provider=name))
        order = stage.placed()
        assert len(stage.messages) == 1
        if name == "simulated":
            stage.fire("overdue:")
            assert len(stage.happened(e.OrderExpired)) == 1
        else:
            stage.press(f"checkout:cancel:{order.order_id}")
        assert calls(stage) == []
