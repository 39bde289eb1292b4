"""How long partitions stood still is read off the logs, and told apart from the rest of a wait."""

import json
from datetime import UTC, datetime

import pytest
from panier_proof.evidence import Unowned
from panier_proof.owners import EVERY, longest, unowned, waits_while, without_owner
from panier_proof.waits import Spell, Wait

CART, STOCK = "cart.conversations", "catalog.stock"


def line(at: float, event: str, loop: str, *partitions: int) -> str:
    """As the file of all services has it."""
    timestamp = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    told = {"event": event, "loop": loop, "partitions": partitions, "timestamp": timestamp}
    return f"10:00:00 cart/2: {json.dumps(told)}"


def gives(at: float, loop: str, *partitions: int) -> str:
    return line(at, "gives partitions up", loop, *partitions)


def took(at: float, loop: str, *partitions: int) -> str:
    return line(at, "took partitions over", loop, *partitions)


def test_a_partition_stands_still_from_who_gives_it_up_to_who_takes_it_over() -> None:
    lines = [
        took(1, CART, 0, 1),  # at the start: nobody gave them up
        "10:00:00 cart/1: something else",
        took(7.5, CART, 1),  # lines of two processes come in any order
        gives(5, CART, 0, 1),
        took(6, CART, 0),
        gives(8, STOCK, 0),
        took(9, CART, 0),  # another loop's
    ]
    assert sorted(unowned(lines), key=lambda one: one.partition) == [Unowned(CART, 0, 5, 6), Unowned(CART, 1, 5, 7.5)]


def test_the_longest_is_told_by_what_went_on_and_by_loop() -> None:
    some = [Unowned(CART, 0, 11, 12), Unowned(CART, 1, 12, 14), Unowned(STOCK, 0, 19, 22), Unowned(CART, 0, 30, 39)]
    assert longest(some, [Spell("roll", 10, 20), Spell("drain", 18, 19.5)]) == {
        "roll": {CART: 2.0, STOCK: 3.0},
        "drain": {STOCK: 3.0},
    }


@pytest.mark.parametrize(
    ("some", "seconds"),
    [
        ([], 0.0),
        ([Unowned(CART, 3, 5, 12)], 2.0),
        ([Unowned(CART, 4, 5, 12)], 0.0),
        ([Unowned(CART, 3, 11, 12), Unowned(STOCK, 3, 11.5, 13)], 2.0),
        ([Unowned(CART, 3, 11, 12), Unowned(STOCK, 3, 14, 15)], 2.0),
        ([Unowned(CART, 3, 11, 19), Unowned(STOCK, 3, 12, 13)], 8.0),
        ([Unowned("ingest", EVERY, 0, 100), Unowned("cart.products", 3, 0, 100)], 0.0),
        ([Unowned(CART, 3, 20, 30)], 0.0),
    ],
)
def test_of_a_wait_the_time_counts_in_which_its_own_partitions_had_nobody(some: list[Unowned], seconds: float) -> None:
    assert without_owner(Wait(2, 20, 10, frozenset({3, 7})), some) == seconds


def test_the_longest_wait_is_told_with_what_nobody_was_there_for() -> None:
    homes = frozenset({3})
    waits = [Wait(1, 16, 11, homes), Wait(12, 13.5, 12, homes), Wait(30, 30.5, 30, homes)]
    some = [Unowned(CART, 3, 11, 15.5), Unowned("console.conversations", 3, 0, 100)]
    assert waits_while(waits, some, [Spell("roll", 10, 20)]) == {
        "calm": {"messages": 1, "longest": 0.5, "unowned": 0.0, "beyond": 0.5},
        "roll": {"messages": 2, "longest": 5.0, "unowned": 4.5, "beyond": 0.5},
    }
