"""States of our messages only ever go forward."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panier_console.state import Reached, reached, state_of


@pytest.mark.parametrize(
    ("status", "state"),
    [("sent", "sent"), ("delivered", "delivered"), ("read", "read"), ("played", "read"), ("failed", "failed")],
)
def test_metas_words(status: str, state: str) -> None:
    assert state_of(reached(status)) == state


def test_a_status_nobody_knows_says_nothing() -> None:
    assert reached("pondered") is None


def test_a_message_nobody_spoke_of_is_queued() -> None:
    assert state_of(None, None) == "queued"


@given(st.lists(st.sampled_from(list(Reached)), max_size=4))
def test_the_order_of_news_does_not_matter(told: list[Reached]) -> None:
    assert {state_of(*order) for order in itertools.permutations(told)} == {state_of(*told)}
