"""What stays of an order without its customer, and what must come to its end before anybody is forgotten."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from panier_checkout.dialogue import Dialogue
from panier_checkout.draft import Draft
from panier_checkout.erasure import ENDED, decide_erasure, is_under_way, without_person
from panier_checkout.order import LAWFUL, Order
from panier_common.contracts.events import (
    Address,
    Customer,
    CustomerErased,
    ErasureRequested,
    Fulfilment,
    Line,
    RecipientErased,
)
from panier_common.effects import Publish

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NUMBER, USER, PHONE = "100", "FR.77", "33600000077"
CONVERSATIONS = (f"{NUMBER}:{USER}", f"{NUMBER}:{PHONE}")
# Nothing that an order keeps is made of these letters.
WORDS = st.text("ÀÉÎÕÜ", min_size=3, max_size=12)

orders = st.builds(
    Order,
    order_id=st.uuids().map(str),
    number=st.integers(100, 999).map(lambda n: f"K7-{n}"),
    shop=st.just("shop"),
    phone_number_id=st.just(NUMBER),
    conversation=st.sampled_from(CONVERSATIONS),
    customer=st.builds(Customer, st.just(USER), st.just(PHONE), WORDS),
    state=st.sampled_from(sorted(LAWFUL)),
    payment_state=st.sampled_from(["none", "paid", "refunded"]),
    currency=st.just("EUR"),
    lines=st.lists(st.builds(Line, st.just("sku"), st.just("Bread"), st.integers(1, 9), st.integers(1, 999))).map(
        tuple
    ),
    fulfilment=st.builds(Fulfilment, st.just("deliver"), st.builds(Address, WORDS, st.floats(40, 50))),
    fees_minor=st.integers(0, 500),
    total_minor=st.integers(0, 9000),
    paid_minor=st.integers(0, 9000),
    placed_at=st.integers(0, 999).map(lambda n: NOW - timedelta(hours=n)),
    caused_by=WORDS,
    provider=st.just("simulated"),
    note=WORDS,
    paid_by=st.just("pay-1"),
    pay_url=WORDS,
)


def asked(key: str = "key") -> ErasureRequested:
    return ErasureRequested(CONVERSATIONS[0], NUMBER, CONVERSATIONS, (USER, PHONE), key, "shop", NOW)


@given(orders)
def test_an_order_keeps_its_trade_and_loses_its_person(order: Order) -> None:
    left = without_person(order)
    text = msgspec.json.encode(left).decode()
    assert not set("ÀÉÎÕÜ") & set(text)
    assert USER not in text
    assert PHONE not in text
    lost = {"conversation", "customer", "fulfilment", "note", "caused_by", "pay_url"}
    for name in set(Order.__struct_fields__) - lost:
        assert getattr(left, name) == getattr(order, name)
    assert left.fulfilment.way == order.fulfilment.way
    assert without_person(left) == left


@given(st.lists(orders, max_size=5), st.booleans())
def test_all_forget_or_nobody_does(theirs: list[Order], placing: bool) -> None:
    draft = Draft("c", 1, "shop", NUMBER, Customer(USER), (), "EUR", "", NOW, stage="frozen" if placing else "summary")
    decision = decide_erasure(asked(), theirs, [Dialogue(CONVERSATIONS[0], draft=draft)], ())
    assert decision.result is not None
    open_ = [order for order in theirs if order.state not in ENDED]
    if open_ or placing:
        assert decision.effects == ()
        assert decision.result.code == "orders_under_way"
        assert all(order.number in decision.result.detail for order in open_)
    else:
        assert decision.result.code == ""
        told = [effect.event for effect in decision.effects if isinstance(effect, Publish)]
        assert told == [
            *(CustomerErased(one, NUMBER, (USER, PHONE), NOW) for one in CONVERSATIONS),
            RecipientErased(NUMBER, CONVERSATIONS, NOW),
        ]


@given(orders)
def test_a_provider_that_has_not_answered_still_needs_the_order(order: Order) -> None:
    assert is_under_way(order, {order.order_id})
    assert is_under_way(order) == (order.state not in ("completed", "cancelled", "expired", "refunded"))
