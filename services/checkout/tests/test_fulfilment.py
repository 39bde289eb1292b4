"""What each way costs and what is missing for it, at the edges of the shop's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from panier_checkout.fulfilment import Way, way_named, ways
from panier_common.contracts.events import Delivery

from .stage import SHOP


@pytest.mark.parametrize(
    ("goods", "fee", "missing"),
    [(0, 450, 1500), (1499, 450, 1), (1500, 450, 0), (3999, 450, 0), (4000, 0, 0), (9999, 0, 0)],
)
def test_fee_and_minimum_at_their_edges(goods: int, fee: int, missing: int) -> None:
    assert way_named(SHOP, goods, "deliver") == Way("deliver", fee, missing)
    assert way_named(SHOP, goods, "collect") == Way("collect")


def test_what_is_not_offered_is_not_there() -> None:
    assert ways(replace(SHOP, collect=False, delivery=None), 1000) == ()
    assert way_named(replace(SHOP, delivery=None), 1000, "deliver") is None
    assert way_named(SHOP, 1000, "teleport") is None


@given(goods=st.integers(0, 10**9), fee=st.integers(0, 10**6), minimum=st.none() | st.integers(0, 10**6))
def test_without_a_free_limit_the_fee_is_always_due(goods: int, fee: int, minimum: int | None) -> None:
    shop = replace(SHOP, delivery=Delivery(fee, None, minimum))
    way = way_named(shop, goods, "deliver")
    assert way is not None
    assert way.fee_minor == fee
    assert way.qualifies == (goods >= (minimum or 0))
    assert goods + way.missing_minor >= (minimum or 0)
