"""When the figures must be doubted: nothing is committed while records wait."""

from aiokafka import TopicPartition
from panier_sales.progress import Progress

CART, ORDER = TopicPartition("cart", 0), TopicPartition("order", 0)


def test_nothing_waiting_is_no_stall() -> None:
    progress = Progress(30)
    for now in range(0, 100, 10):
        progress.look({CART: 5}, {CART: 5}, now)
    assert progress.why_stalled() is None


def test_work_that_moves_is_no_stall_however_far_behind() -> None:
    progress = Progress(30)
    for now in range(0, 100, 10):
        progress.look({CART: now}, {CART: 10_000}, now)
    assert progress.why_stalled() is None


def test_committed_offsets_that_stand_still_are_told_and_forgiven() -> None:
    progress = Progress(30)
    progress.look({CART: 5, ORDER: 5}, {CART: 5, ORDER: 5}, 0)
    progress.look({CART: 5, ORDER: 5}, {CART: 9, ORDER: 5}, 10)
    assert progress.why_stalled() is None
    progress.look({CART: 5, ORDER: 5}, {CART: 9, ORDER: 5}, 40)
    assert progress.why_stalled() == "no offset committed for 40 s while records wait"
    progress.look({CART: 6, ORDER: 5}, {CART: 9, ORDER: 5}, 42)
    assert progress.why_stalled() is None


def test_before_the_first_look_nothing_is_claimed() -> None:
    assert Progress(30).why_stalled() is None
    assert Progress(30).lag() == {}


def test_lag_in_records_and_seconds_by_topic() -> None:
    progress = Progress(30)
    progress.look({CART: 5, ORDER: 5}, {CART: 5, ORDER: 5}, 100)
    progress.look({CART: 5, ORDER: 5}, {CART: 9, ORDER: 5}, 103)
    assert progress.lag() == {"cart": (4, 3), "order": (0, 0)}


def test_a_broker_that_cannot_be_asked_is_told_until_it_answers() -> None:
    progress = Progress(30)
    progress.unreachable = True
    assert progress.why_stalled() == "the broker does not answer"
    progress.look({CART: 5}, {CART: 5}, 0)
    assert progress.why_stalled() is None
