"""What is left behind: told apart by arithmetic, and measured on a real stack."""

from collections import Counter

import pytest
from panier_bench import growth
from panier_bench.growth import Look


def test_what_hello_and_a_purchase_left_beyond_their_messages() -> None:
    """Messages of 10 bytes, conversations of 100 and orders of 1,000, of 4 customers."""
    tables = [Counter({"t": size}) for size in (50, 50 + 4 * 120, 50 + 4 * 320, 50 + 4 * 1_380)]
    topics = [Counter({"p": 2 * each["t"]}) for each in tables]
    looks = [Look(t, p, n) for t, p, n in zip(tables, topics, (0, 8, 88, 112), strict=True)]
    found = growth.costs(looks, 4)
    assert {what: cost.tables for what, cost in found.items()} == {
        "conversation": {"t": 100},
        "message": {"t": 10},
        "order": {"t": 1_000},
    }
    assert found["order"].topics == {"p": 2_000}
    assert found["order"].document()["topics"] == {"bytes": 2_000, "by": {"p": 2_000}}


@pytest.mark.stack
@pytest.mark.timeout(300)
async def test_a_real_stack_grows_where_it_should() -> None:
    found = await growth.measure(6, 1)
    assert len(list(growth.rows(found))) == 6
    said = [after - before for before, after in zip(found["messages"], found["messages"][1:], strict=False)]
    assert all(each >= 12 for each in said)  # everybody said something and was answered
    for what, topic in (("message", "panier.inbound.v1"), ("order", "panier.order.v1")):
        assert found[what]["topics"]["by"][topic] > 100
    assert "outbox" not in str(found)
