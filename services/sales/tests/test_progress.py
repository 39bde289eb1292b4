"""When the figures must be doubted: nothing is committed while records wait."""

import asyncio

import pytest
from aiokafka import TopicPartition
from panier_sales import progress
from panier_sales.progress import Progress, StandsStillError

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


def test_a_counting_that_stands_still_for_good_is_ended() -> None:
    progress = Progress(10)
    for now in (*range(0, 18, 2), *range(1000, 1002, 2)):  # stopped for a quarter of an hour: that was one look
        progress.look({CART: 5}, {CART: 9}, now)
        progress.end_if_still(is_counting=True)
    progress.look({CART: 5}, {CART: 9}, 1002)
    with pytest.raises(StandsStillError, match="10 looks"):
        progress.end_if_still(is_counting=True)


async def test_who_looks_lets_a_standstill_end_the_process(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(seen: Progress, *_: object) -> None:
        seen.look({CART: 5}, {CART: 9}, 0)

    monkeypatch.setattr(progress, "_look", look)
    monkeypatch.setattr(progress, "LOOK_EVERY_SECONDS", 0.01)
    with pytest.raises(StandsStillError):
        async with asyncio.timeout(60):
            await progress.watch(Progress(0.05), kafka, "group", ["cart"], lambda: True)


def test_what_recovers_or_has_nothing_to_do_or_moves_is_not_ended() -> None:
    progress = Progress(10)
    for now in range(0, 100, 2):
        progress.look({CART: 5}, {CART: 9}, now)
        progress.end_if_still(is_counting=False)
    for now in range(100, 200, 2):
        progress.look({CART: now}, {CART: 1000}, now)
        progress.end_if_still(is_counting=True)
    for now in range(200, 300, 2):
        progress.look({CART: 1000}, {CART: 1000}, now)
        progress.end_if_still(is_counting=True)


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
