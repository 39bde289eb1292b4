"""Money: paid once and in full, or failed, or a problem for a person; reminders and expiry."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from panier_checkout.order import LAWFUL, Order, Unlawful, moved
from panier_common.contracts import events as e
from panier_common.contracts.outbound import LinkMessage


def test_paid_once_with_a_receipt(stage):
    order = stage.placed()
    stage.told(order)
    assert stage.happened(e.OrderPaid)[0].paid_minor == 820
    assert "8,20 €" in stage.text
    assert "Croissant" in stage.text
    assert (stage.order.state, stage.order.payment_state, stage.order.paid_minor) == ("paid", "paid", 820)
    assert stage.timers == {}
    stage.told(order)
    assert stage.effects == []
    assert stage.desk.problems == []


@pytest.mark.parametrize(
    ("minor", "currency", "reason"),
    [
        (819, "EUR", "wrong_amount"),
        (821, "EUR", "wrong_amount"),
        (0, "EUR", "wrong_amount"),
        (820, "USD", "wrong_currency"),
    ],
)
def test_another_amount_is_a_problem_and_never_a_sale(stage, minor, currency, reason):
    order = stage.placed()
    stage.told(order, minor=minor, currency=currency)
    assert stage.happened(e.OrderPaid) == []
    assert [p.reason for p in stage.desk.problems] == [reason]
    assert stage.order == order
    assert "console:person" in stage.buttons
    stage.told(order, "n-2")
    assert stage.order.state == "paid"


def test_another_provider_s_word_is_a_problem(stage):
    order = stage.placed()
    stage.play(e.PaymentRecorded(stage.conversation, "other", "n-1", order.order_id, "paid", 820, "EUR", stage.now))
    assert [p.reason for p in stage.desk.problems] == ["wrong_provider"]
    assert stage.order == order


def test_a_second_payment_is_a_problem(stage):
    order = stage.placed()
    stage.told(order).told(order, "n-2")
    assert [p.reason for p in stage.desk.problems] == ["already_paid"]
    assert stage.order.paid_minor == 820


def test_a_late_payment_is_a_problem_and_said_honestly(stage):
    order = stage.placed()
    stage.fire("overdue:").told(order)
    assert [p.reason for p in stage.desk.problems] == ["expired"]
    assert "après le délai" in stage.text
    assert stage.order.state == "expired"


def test_a_payment_of_a_cancelled_order_is_a_problem(stage):
    order = stage.placed()
    stage.press(f"checkout:cancel:{order.order_id}").told(order)
    assert [p.reason for p in stage.desk.problems] == ["cancelled"]


def test_a_payment_nobody_awaits_is_a_problem(make_stage, stage):
    other = make_stage(shop=replace(stage.shop, payment_provider="on_collection"))
    order = other.placed()
    other.told(order)
    assert [p.reason for p in other.desk.problems] == ["not_awaited"]
    assert other.order.state == "placed"


def test_a_payment_of_an_order_elsewhere_is_a_problem(stage):
    order = stage.placed()
    stage.told(replace(order, order_id="elsewhere"))
    assert [p.reason for p in stage.desk.problems] == ["unknown_order"]


def test_a_failed_payment_may_be_tried_again(stage):
    order = stage.placed()
    stage.told(order, state="failed")
    assert stage.buttons[0] == f"checkout:pay:{order.order_id}"
    assert (stage.order.state, stage.order.payment_state) == ("awaiting_payment", "failed")
    stage.told(order, "n-2")
    assert stage.order.state == "paid"
    assert stage.told(order, "n-3", state="failed").effects == []


def test_one_reminder_at_half_time_then_expiry_with_a_way_on(stage):
    order = stage.placed()
    stage.fire("halfway:")
    assert [r.lane for r in stage.happened(e.MessageRequested)] == ["reminder"]
    assert isinstance(stage.messages[0], LinkMessage)
    assert "jusqu’au 4 mai, 14:30" in stage.text
    assert not any(key.startswith("halfway:") for key in stage.timers)
    stage.fire("overdue:")
    assert stage.happened(e.OrderExpired)[0].order_id == order.order_id
    assert f"checkout:again:{order.order_id}" in stage.buttons
    assert (stage.order.state, stage.order.payment_state) == ("expired", "none")


def test_a_short_wait_is_not_reminded_of(make_stage, stage):
    short = make_stage(shop=replace(stage.shop, expires_after_seconds=6.0))
    short.placed()
    assert [key.split(":")[0] for key in short.timers] == ["overdue"]
    assert "6 secondes" in short.text


def test_a_reminder_that_comes_late_tells_the_end_as_it_is(stage):
    """Checkout was away from the tenth minute to the 28th; the shop has changed its rule meanwhile."""
    stage.placed()
    stage.shop = replace(stage.shop, expires_after_seconds=7200.0)
    assert "jusqu’au 4 mai, 14:30" in stage.later(minutes=28).fire("halfway:").text


def test_who_was_away_until_the_end_does_not_remind_of_it(stage):
    order = stage.placed()
    assert stage.later(minutes=31).fire("halfway:").effects == []
    stage.fire("overdue:")
    assert stage.order.state == "expired"
    assert [step.what for step in stage.desk.history if step.order_id == order.order_id] == ["placed", "expired"]


def test_an_order_that_was_answered_late_ends_when_its_timer_does(stage):
    """The stock's answer had waited for checkout: the time to pay begins when the customer is told."""
    stage.checkout().press("checkout:collect").press("checkout:confirm")
    reserved = e.StockReserved(stage.conversation, stage.shop.shop, stage.asked, stage.now)
    stage.later(minutes=20).play(reserved, at=reserved.at)
    assert stage.order.due_at == stage.due[f"overdue:{stage.order.order_id}"]
    assert "jusqu’au 4 mai, 14:50" in stage.fire("halfway:").text


def test_an_order_of_a_former_version_ends_by_the_shop_s_rule(stage):
    order = stage.placed()
    document = msgspec.to_builtins(order)
    del document["due_at"]
    stage.desk.orders[stage.conversation][order.order_id] = msgspec.convert(document, Order)
    assert "jusqu’au 4 mai, 14:30" in stage.fire("halfway:").text


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.4, "1 seconde"),
        (1.0, "1 seconde"),
        (90.0, "90 secondes"),
        (179.0, "2 minutes"),
        (1800.0, "30 minutes"),
        (24 * 3600.0, "24 heures"),
        (47.9 * 3600.0, "47 heures"),
        (7 * 24 * 3600.0, "7 jours"),
    ],
)
def test_the_time_to_pay_is_told_in_units_that_people_use_and_never_longer_than_it_is(make_stage, stage, seconds, told):
    patient = make_stage(shop=replace(stage.shop, expires_after_seconds=seconds))
    patient.placed()
    assert f"sous {told}." in patient.text


def test_timers_of_a_paid_order_do_nothing(stage):
    order = stage.placed()
    timers = dict(stage.timers)
    stage.told(order)
    for timer in timers.values():
        assert stage.play(timer) == []
    assert stage.order.state == "paid"


NOTIFICATIONS = st.lists(
    st.tuples(
        st.sampled_from(["n-1", "n-2", "n-3", "n-4"]),
        st.sampled_from(["paid", "failed"]),
        st.sampled_from([820, 819, 0]),
        st.sampled_from(["EUR", "USD"]),
    ),
    max_size=12,
)
OTHER = st.sampled_from(["cancel", "overdue", "halfway", "accepted", "refunded", "none"])


@settings(max_examples=200)
@given(NOTIFICATIONS, st.lists(OTHER, max_size=12))
def test_never_paid_twice_nor_for_another_amount(make_stage, notifications, others):
    """Whatever is notified, repeated, reordered and pressed in between: at most one sale of the total."""
    stage = make_stage()
    order = stage.placed()
    timers = dict(stage.timers)
    # The payments' loop lets each notification id through once; here even repeats must do no harm.
    paid: list[e.OrderPaid] = []
    for serial, told in enumerate(notifications):
        notification, state, minor, currency = told
        stage.told(order, notification, state, minor, currency)
        paid += stage.happened(e.OrderPaid)
        match others[serial] if serial < len(others) else "none":
            case "cancel":
                stage.press(f"checkout:cancel:{order.order_id}")
            case "overdue" | "halfway" as which:
                stage.play(timers[f"{which}:{order.order_id}"])
            case "none":
                pass
            case moved_to:
                key = f"{serial}"
                stage.play(e.OrderAdvanced(stage.conversation, order.order_id, moved_to, key, "shop", stage.now))
    assert len(paid) <= 1
    assert all(sale.paid_minor == 820 for sale in paid)
    assert stage.order.paid_minor == (820 if paid else 0)
    good = [n for n in notifications if n[1:] == ("paid", 820, "EUR")]
    assert not paid or good
    if stage.order.state in {"cancelled", "expired"}:
        assert stage.order.paid_minor == 0


@settings(max_examples=200)
@given(st.lists(st.sampled_from(sorted(LAWFUL)), max_size=10))
def test_an_order_never_goes_back(make_stage, moves):
    order = make_stage().placed()
    seen = [order.state]
    for state in moves:
        after = moved(order, state)
        if isinstance(after, Unlawful):
            assert state not in after.lawful
            continue
        order = after
        seen.append(order.state)
    assert len(seen) == len(set(seen))
    assert LAWFUL[seen[-1]] or seen[-1] in {"completed", "cancelled", "expired", "refunded"}
