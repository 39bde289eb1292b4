"""Stock: nothing is sold that is not there, and no repeat or odd order of events changes that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panier_catalog.loops import decided
from panier_catalog.stock import Item, Stockroom, news
from panier_common.contracts.events import (
    Event,
    Fulfilment,
    OrderCancelled,
    OrderExpired,
    OrderPaid,
    OrderPlaced,
    StockRefused,
    StockReleased,
    StockReserved,
)

from .story import CONVERSATION, CUSTOMER, NOON, NUMBER, SHOP, item, received, request


def room(*items: Item) -> Stockroom:
    return Stockroom({one.key: one for one in items}, {})


def tell(stock: Stockroom, event: Event, record: str | None = None) -> tuple[Event, ...]:
    got = received(event, record=record)
    decision = decided(stock, got)
    stock.take(decision, got.at)
    return decision.events


def counts(stock: Stockroom, sku: str = "spade") -> tuple[int, int]:
    return stock.items[SHOP, sku].reserved, stock.items[SHOP, sku].sold


def placed(order: str, state: str = "awaiting_payment") -> OrderPlaced:
    return OrderPlaced(
        CONVERSATION,
        NUMBER,
        SHOP,
        CUSTOMER,
        order,
        "A1",
        "cart",
        1,
        (),
        "EUR",
        0,
        0,
        Fulfilment("collect"),
        state,
        "w",
        NOON,
    )


def paid(order: str) -> OrderPaid:
    return OrderPaid(CONVERSATION, SHOP, order, "EUR", 1990, (), NOON)


def cancelled(order: str) -> OrderCancelled:
    return OrderCancelled(CONVERSATION, SHOP, order, "customer", NOON)


def expired(order: str) -> OrderExpired:
    return OrderExpired(CONVERSATION, SHOP, order, NOON)


def test_reserved_then_sold():
    stock = room(item("spade", 5), item("rake", None))
    assert [type(e) for e in tell(stock, request("o1", ("spade", 2), ("rake", 99), ("spade", 1)))] == [StockReserved]
    assert (counts(stock), counts(stock, "rake")) == ((3, 0), (99, 0))
    assert tell(stock, placed("o1")) == ()
    assert tell(stock, paid("o1")) == ()
    assert (counts(stock), counts(stock, "rake")) == ((0, 3), (0, 99))


def test_paid_on_collection_is_sold_at_once_and_comes_back_when_cancelled():
    stock = room(item("spade", 5))
    tell(stock, request("o1", ("spade", 2)))
    tell(stock, placed("o1", "placed"))
    assert counts(stock) == (0, 2)
    assert [type(e) for e in tell(stock, cancelled("o1"))] == [StockReleased]
    assert counts(stock) == (0, 0)


def test_all_or_nothing_and_what_is_short_is_named():
    stock = room(item("spade", 5, reserved=1, sold=2), item("rake", 9), item("hoe", 0), item("fork", 5, offered=False))
    (refused,) = tell(stock, request("o1", ("spade", 3), ("rake", 1), ("hoe", 1), ("fork", 1), ("gone", 1)))
    assert isinstance(refused, StockRefused)
    assert [(s.sku, s.wanted, s.available, s.title) for s in refused.short] == [
        ("spade", 3, 2, "The spade"),
        ("hoe", 1, 0, "The hoe"),
        ("fork", 1, 0, "The fork"),
        ("gone", 1, 0, "The gone"),
    ]
    assert refused.repriced == ()
    assert counts(stock, "rake") == (0, 0)


def test_another_price_is_refused_with_todays():
    stock = room(item("spade", 5), item("rake", 1, price_minor=500))
    (refused,) = tell(stock, request("o1", ("spade", 1), ("rake", 2)))
    assert isinstance(refused, StockRefused)
    assert [(s.sku, s.unit_minor, s.available) for s in refused.repriced] == [("rake", 500, 1)]
    assert [(s.sku, s.unit_minor) for s in refused.short] == [("rake", 500)]


def test_a_currency_that_the_shop_has_left_is_short_of_everything():
    stock = room(item("spade", 5))
    (refused,) = tell(stock, request("o1", ("spade", 1), currency="CHF"))
    assert isinstance(refused, StockRefused)
    assert [(s.sku, s.available) for s in refused.short] == [("spade", 0)]


def test_the_last_one_goes_to_the_first_who_asks():
    stock = room(item("spade", 1))
    assert [type(e) for e in tell(stock, request("o1", ("spade", 1)))] == [StockReserved]
    assert [type(e) for e in tell(stock, request("o2", ("spade", 1)))] == [StockRefused]
    tell(stock, expired("o1"))
    assert [type(e) for e in tell(stock, request("o3", ("spade", 1)))] == [StockReserved]


def test_a_request_seen_again_is_answered_again_and_takes_nothing():
    stock = room(item("spade", 5))
    for _ in range(3):
        assert [type(e) for e in tell(stock, request("o1", ("spade", 2)), "same")] == [StockReserved]
    assert counts(stock) == (2, 0)
    tell(stock, expired("o1"))
    assert [type(e) for e in tell(stock, request("o1", ("spade", 2)), "same")] == [StockReleased]
    assert counts(stock) == (0, 0)


def test_a_refusal_seen_again_is_the_same_and_a_new_confirmation_is_a_new_try():
    stock = room(item("spade", 1))
    first = tell(stock, request("o1", ("spade", 2)), "first")
    stock.items[SHOP, "spade"] = item("spade", 9)
    assert tell(stock, request("o1", ("spade", 2)), "first") == first
    assert [type(e) for e in tell(stock, request("o1", ("spade", 2)), "second")] == [StockReserved]


def test_an_end_that_comes_before_its_request_keeps_it_from_reserving():
    stock = room(item("spade", 5))
    assert tell(stock, cancelled("o1")) == ()
    assert [type(e) for e in tell(stock, request("o1", ("spade", 2)))] == [StockReleased]
    assert counts(stock) == (0, 0)


def test_an_expiry_takes_nothing_back_from_a_sale():
    stock = room(item("spade", 5))
    tell(stock, request("o1", ("spade", 2)))
    tell(stock, paid("o1"))
    assert tell(stock, expired("o1")) == ()
    assert counts(stock) == (0, 2)


def test_a_quantity_that_is_none_is_nobodys_order():
    with pytest.raises(ValueError, match="-3"):
        tell(room(item("spade")), request("o1", ("spade", -3)))


def test_what_is_scarce_or_sold_out_is_news_and_what_is_plenty_is_not():
    stock = room(item("spade", 2, version=7), item("rake", 9), item("hoe", 100), item("pot", None), item("saw", 101))
    tell(stock, request("o1", *((sku, 2) for sku in ("spade", "rake", "hoe", "pot", "saw"))))
    told = [(i.sku, i.version, i.at_most) for i in news(stock.before.values(), stock.items)]
    assert told == [("spade", 8, 0), ("rake", 2, 7), ("hoe", 2, 98)]
    tell(stock, cancelled("o1"))
    assert news(stock.before.values(), stock.items) == []


ORDERS = ("o1", "o2", "o3")
LAWFUL = {
    "paid": lambda o: [request(o, ("spade", 2), ("rake", 1)), placed(o), paid(o)],
    "expired": lambda o: [request(o, ("spade", 2), ("rake", 1)), placed(o), expired(o)],
    "cancelled": lambda o: [request(o, ("spade", 2), ("rake", 1)), placed(o), cancelled(o)],
    "collected": lambda o: [request(o, ("spade", 2), ("rake", 1)), placed(o, "placed")],
    "sent back": lambda o: [request(o, ("spade", 2), ("rake", 1)), placed(o, "placed"), cancelled(o)],
}
EVENTS = st.sampled_from([event for o in ORDERS for story in LAWFUL.values() for event in story(o)])


def check(stock: Stockroom) -> None:
    for one in stock.items.values():
        assert one.reserved >= 0
        assert one.sold >= 0
        assert one.loaded is None or one.reserved + one.sold <= one.loaded
    for sku in ("spade", "rake"):
        held = [(h, dict(h.quantities).get(sku, 0)) for h in stock.holds.values()]
        assert counts(stock, sku) == (
            sum(q for h, q in held if h.state == "reserved"),
            sum(q for h, q in held if h.state == "sold"),
        )


@given(st.lists(EVENTS, max_size=40))
def test_whatever_comes_in_whatever_order_is_conserved(events):
    stock = room(item("spade", 3), item("rake", None))
    for event in events:
        tell(stock, event)
        check(stock)


@given(st.permutations(ORDERS), st.lists(st.sampled_from(sorted(LAWFUL)), min_size=3, max_size=3), st.data())
def test_repeats_end_where_each_event_once_ends(orders, fates, data):
    """A conversation's events come in order; any may come again later."""
    story = [
        (event, f"{o}/{n}") for o, fate in zip(orders, fates, strict=True) for n, event in enumerate(LAWFUL[fate](o))
    ]
    once, often = room(item("spade", 4), item("rake", 9)), room(item("spade", 4), item("rake", 9))
    for at, (event, record) in enumerate(story):
        assert [type(e) for e in tell(once, event, record)] == [type(e) for e in tell(often, event, record)]
        for again in data.draw(st.lists(st.sampled_from(story[: at + 1]), max_size=2)):
            tell(often, *again)
    assert often.items == once.items
    assert {o: h.state for o, h in often.holds.items()} == {o: h.state for o, h in once.holds.items()}
    check(often)
