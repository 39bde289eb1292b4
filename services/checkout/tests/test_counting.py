"""What the business is shown: the money of orders, counted with the steps at which it comes and goes."""

from collections import Counter
from types import SimpleNamespace

import pytest
from msgspec.structs import replace
from panier_checkout import metrics
from panier_checkout.desk import Desk
from panier_checkout.loops import conversations_loop
from panier_common.contracts import events as e

from .stage import SHOP


class Counted:
    """Stands where a counter does."""

    def __init__(self) -> None:
        self.by: Counter[tuple[str, ...]] = Counter()

    def add(self, amount: int, labels: dict[str, str]) -> None:
        self.by[tuple(labels.values())] += amount


@pytest.fixture
def revenue(monkeypatch):
    counted = Counted()
    monkeypatch.setattr(metrics, "REVENUE", counted)
    return counted.by


def committed(desk: Desk) -> None:
    on_commit = conversations_loop(None, SimpleNamespace(take_over=None, release=None)).on_commit
    on_commit(desk)


def test_what_is_paid_counts_once_however_often_it_is_told(stage, revenue):
    order = stage.placed()
    stage.told(order, minor=1).told(order).told(order).told(order, "n-2")
    committed(stage.desk)
    assert revenue == {("paid", "EUR"): 820}


def test_a_refund_counts_beside_it_also_in_the_same_batch(stage, revenue):
    order = stage.placed()
    stage.told(order)
    stage.play(refund_of(stage, order, "key"))
    stage.play(refund_of(stage, order, "key"))
    stage.play(refund_of(stage, order, "another key"))
    committed(stage.desk)
    assert stage.order.state == "refunded"
    assert revenue == {("paid", "EUR"): 820, ("refunded", "EUR"): 820}


def test_what_no_provider_was_paid_for_is_no_money(make_stage, revenue):
    stage = make_stage(shop=replace(SHOP, payment_provider="on_collection"))
    order = stage.placed()
    stage.play(e.OrderAdvanced(stage.conversation, order.order_id, "accepted", "key-1", "shop", stage.now))
    stage.play(refund_of(stage, order, "key-2"))
    committed(stage.desk)
    assert stage.order.state == "refunded"
    assert revenue == {}


def refund_of(stage, order, key):
    return e.RefundRequested(stage.conversation, order.order_id, key, "shop", stage.now)
