"""What counts as a sale, and that repeats never count twice."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panier_common.contracts import events as e
from panier_common.topics import CART, ORDER
from panier_sales.counting import (
    REMEMBERED_CARTS,
    Counted,
    Funnel,
    Place,
    ShopDay,
    Sold,
    apply,
    close,
    count,
    day_of,
    is_over,
    place_of,
    producer_of,
    reopen,
    total,
)

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NUMBER, CONVERSATION, SHOP = "106540352242922", "106540352242922:FR.1", "boulangerie"
CUSTOMER = e.Customer(user_id="FR.1")
LINES = (e.Line("BAG-1", "Baguette", 2, 120), e.Line("CRO-1", "Croissant", 4, 160))


def cart_changed(cart: str = "c1", version: int = 1) -> e.CartChanged:
    return e.CartChanged(CONVERSATION, NUMBER, SHOP, CUSTOMER, cart, version, LINES, "EUR", 880, AT)


def checkout_requested(cart: str = "c1") -> e.CheckoutRequested:
    return e.CheckoutRequested(CONVERSATION, NUMBER, SHOP, CUSTOMER, cart, 1, LINES, "EUR", 880, AT, "wamid.1")


def order_placed(order: str = "o1", state: str = "awaiting_payment", minor: int = 880) -> e.OrderPlaced:
    return e.OrderPlaced(
        conversation=CONVERSATION,
        phone_number_id=NUMBER,
        shop=SHOP,
        customer=CUSTOMER,
        order_id=order,
        number="B-1",
        cart_id="c1",
        cart_version=1,
        lines=LINES,
        currency="EUR",
        fees_minor=0,
        total_minor=minor,
        fulfilment=e.Fulfilment("collect"),
        state=state,
        caused_by="wamid.1",
        placed_at=AT,
    )


def order_paid(order: str = "o1", minor: int = 880, currency: str = "EUR") -> e.OrderPaid:
    return e.OrderPaid(CONVERSATION, SHOP, order, currency, minor, LINES, AT)


def order_refunded(order: str = "o1", minor: int = 880) -> e.OrderRefunded:
    return e.OrderRefunded(CONVERSATION, SHOP, order, "EUR", minor, AT)


def all_counted(*events: Counted) -> ShopDay:
    day = ShopDay()
    for event in events:
        day = count(day, event)
    return day


def test_a_purchase_goes_through_the_whole_funnel() -> None:
    day = all_counted(cart_changed(), checkout_requested(), order_placed(), order_paid())
    assert day.funnel == Funnel(carts=1, checkouts=1, placed=1, paid=1)
    assert day.sold == {"EUR": Sold(880, 1, 6)}


def test_an_unpaid_order_is_no_sale() -> None:
    assert all_counted(order_placed()).sold == {}


def test_an_order_paid_on_collection_is_sold_when_placed() -> None:
    day = all_counted(order_placed(state="placed"))
    assert day.sold == {"EUR": Sold(880, 1, 6)}
    assert day.funnel == Funnel(placed=1)


def test_a_cancelled_order_paid_on_collection_is_taken_back() -> None:
    cancelled = e.OrderCancelled(CONVERSATION, SHOP, "o1", "shop", AT, "EUR", 880, LINES)
    assert all_counted(order_placed(state="placed"), cancelled).sold == {"EUR": Sold(0, 0, 0)}


def test_an_order_that_nobody_came_to_pay_and_collect_is_taken_back() -> None:
    """Once accepted it cannot be cancelled: the shop ends it as refunded, and nothing had been paid."""
    ended = e.OrderRefunded(CONVERSATION, SHOP, "o1", "EUR", 0, AT, 880, LINES)
    assert all_counted(order_placed(state="placed"), ended).sold == {"EUR": Sold(0, 0, 0)}


def test_a_cancelled_order_that_nobody_paid_changes_nothing() -> None:
    cancelled = e.OrderCancelled(CONVERSATION, SHOP, "o1", "customer", AT)
    assert all_counted(order_placed(), cancelled) == all_counted(order_placed())


def test_a_refund_lowers_the_revenue_and_not_the_orders() -> None:
    assert all_counted(order_paid(), order_refunded(minor=300)).sold == {"EUR": Sold(580, 1, 6)}


def test_currencies_are_kept_apart() -> None:
    day = all_counted(order_paid(), order_paid("o2", 700, "USD"))
    assert day.sold == {"EUR": Sold(880, 1, 6), "USD": Sold(700, 1, 6)}


def test_a_cart_that_changes_often_is_one_cart() -> None:
    events = [cart_changed(version=v) for v in (1, 2, 3)]
    assert all_counted(*events, cart_changed("c2"), *events).funnel.carts == 2


def test_an_emptied_cart_is_no_cart() -> None:
    emptied = e.CartChanged(CONVERSATION, NUMBER, SHOP, CUSTOMER, "c1", 2, (), "EUR", 0, AT)
    assert all_counted(emptied).funnel.carts == 0


def test_a_cart_that_asks_again_is_one_checkout() -> None:
    assert all_counted(*[checkout_requested()] * 3, checkout_requested("c2")).funnel.checkouts == 2


def test_the_memory_of_carts_stays_small() -> None:
    day = all_counted(*(checkout_requested(f"c{n}") for n in range(2 * REMEMBERED_CARTS)))
    assert day.funnel.checkouts == 2 * REMEMBERED_CARTS
    assert len(day.asked) == REMEMBERED_CARTS


@pytest.mark.parametrize(
    ("at", "zone", "day"),
    [
        (datetime(2026, 11, 23, 22, 59, tzinfo=UTC), "Europe/Paris", "2026-11-23"),
        (datetime(2026, 11, 23, 23, 0, tzinfo=UTC), "Europe/Paris", "2026-11-24"),
        (datetime(2026, 6, 23, 22, 0, tzinfo=UTC), "Europe/Paris", "2026-06-24"),
        (datetime(2026, 11, 23, 2, 0, tzinfo=UTC), "America/Sao_Paulo", "2026-11-22"),
    ],
)
def test_a_day_is_the_shops_own(at: datetime, zone: str, day: str) -> None:
    assert day_of(at, zone) == day


def test_a_key_is_read_back_whatever_the_shop_is_called() -> None:
    place = Place(11, "2026-11-23", "a|b")
    assert place_of(place.key) == place


def test_the_producer_is_loop_and_home_and_the_topic() -> None:
    assert producer_of("t", "cart.conversations/3/17", 99) == ("t|cart.conversations/3", 17)
    assert producer_of("t", "", 99) == ("t", 99)


EVENTS = st.one_of(
    st.builds(cart_changed, st.sampled_from("abc"), st.integers(1, 3)),
    st.builds(checkout_requested, st.sampled_from("abc")),
    st.builds(order_placed, st.text("xy", max_size=3), st.sampled_from(["placed", "awaiting_payment"])),
    st.builds(order_paid, st.just("o"), st.integers(1, 10_000), st.sampled_from(["EUR", "USD"])),
    st.builds(order_refunded, st.just("o"), st.integers(1, 10_000)),
)
# Two loops publish, each with numbers that rise by one or more (what goes elsewhere leaves gaps).
RECORDS = st.lists(st.tuples(st.sampled_from(["cart/1", "order/1"]), st.integers(1, 3), EVENTS), max_size=25)


def numbered(records: list[tuple[str, int, Counted]]) -> list[tuple[str, int, Counted]]:
    last: dict[str, int] = {}
    found = []
    for producer, step, event in records:
        last[producer] = last.get(producer, 0) + step
        found.append((producer, last[producer], event))
    return found


def take(day: ShopDay, records: list[tuple[str, int, Counted]]) -> ShopDay:
    for producer, number, event in records:
        day = apply(day, producer, number, event) or day
    return day


@given(RECORDS, st.data())
def test_reading_again_from_anywhere_changes_nothing(
    drawn: list[tuple[str, int, Counted]], data: st.DataObject
) -> None:
    records = numbered(drawn)
    end = data.draw(st.integers(0, len(records)))
    start = data.draw(st.integers(0, end))
    assert take(take(ShopDay(), records[:end]), records[start:]) == take(ShopDay(), records)


@given(RECORDS, st.data())
def test_a_late_publish_of_something_old_changes_nothing(
    drawn: list[tuple[str, int, Counted]], data: st.DataObject
) -> None:
    records = numbered(drawn)
    whole = take(ShopDay(), records)
    late = data.draw(st.lists(st.sampled_from(records), max_size=5)) if records else []
    assert take(whole, late) == whole


@given(st.lists(EVENTS, max_size=20), st.integers(1, 4))
def test_the_sum_over_partitions_is_the_sum_of_everything(events: list[Counted], partitions: int) -> None:
    # A conversation has one partition, so two partitions never know the same cart.
    events = [event for event in events if not isinstance(event, e.CheckoutRequested | e.CartChanged)]
    parts = [all_counted(*events[n::partitions]) for n in range(partitions)]
    assert total(parts) == total([all_counted(*events)])


@given(RECORDS, st.data())
def test_closed_days_count_no_repeat_and_all_that_is_new(
    drawn: list[tuple[str, int, Counted]], data: st.DataObject
) -> None:
    """Each record is of one of two days of a partition, which are closed on the way and told some of it again."""
    records = [(data.draw(st.integers(0, 1)), record) for record in numbered(drawn)]
    end = data.draw(st.integers(0, len(records)))
    start = data.draw(st.integers(0, end))
    # Of its carts a closed day knows the number alone.
    new = [(of, r) for of, r in records[end:] if not isinstance(r[2], e.CheckoutRequested | e.CartChanged)]
    days, former = [take(ShopDay(), [r for of, r in records[:end] if of == day]) for day in (0, 1)], ShopDay()
    for day in data.draw(st.permutations([0, 1])):
        days[day], former = close(days[day], former)
    for day in (0, 1):
        found = take(reopen(days[day], former), [r for of, r in (*records[start:end], *new) if of == day])
        assert total([found]) == total([take(ShopDay(), [r for of, r in (*records[:end], *new) if of == day])])


def test_a_day_of_which_nothing_was_counted_begins_without_the_numbers_of_others() -> None:
    assert reopen(ShopDay(), ShopDay(seen={"t|cart/1": 17})) == ShopDay()


def test_a_day_is_over_when_none_of_its_records_can_still_wait() -> None:
    ended, longest_kept = datetime(2026, 11, 23, tzinfo=UTC), max(CART.longest_kept_ms, ORDER.longest_kept_ms)
    read_last = ended + timedelta(days=1, milliseconds=longest_kept)
    # The last of its records and the first of the day that ends it may be counted by clocks a day apart.
    by = [(read_last + timedelta(days=n)).date().isoformat() for n in (1, 2)]
    assert [is_over("2026-11-23", day) for day in by] == [False, True]


def test_time_of_day_plays_no_part() -> None:
    later = e.OrderPaid(CONVERSATION, SHOP, "o1", "EUR", 880, LINES, AT + timedelta(hours=3))
    assert all_counted(later) == all_counted(order_paid())
