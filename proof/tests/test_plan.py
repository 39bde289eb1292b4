"""The same seed gives the same plan, and ten faults are one of every kind at least."""

import pytest
from panier_proof import shop
from panier_proof.plan import KINDS, ORDERLY, make_plan
from panier_proof.script import Edit, Fill, Order, Settle, scripts
from panier_proof.settings import Run


def test_the_same_seed_gives_the_same_plan_and_the_same_customers() -> None:
    assert make_plan(7, 100, 25, 240) == make_plan(7, 100, 25, 240)
    assert make_plan(7, 100, 25, 240).faults != make_plan(8, 100, 25, 240).faults
    goods = shop.goods(7, 50)
    assert goods == shop.goods(7, 50)
    assert scripts(7, 50, 240, goods) == scripts(7, 50, 240, goods)


def test_a_customer_is_the_same_among_however_many() -> None:
    """So that a story can be looked at again in a smaller run."""
    goods = shop.goods(3, 100)
    few, many = scripts(3, 10, 60, goods), scripts(3, 100, 600, goods)
    assert [script.steps for script in few] == [script.steps for script in many[:10]]


@pytest.mark.parametrize("seed", range(20))
def test_ten_faults_have_every_kind_and_leave_time_to_recover(seed: int) -> None:
    plan = make_plan(seed, 100, 10, 240)
    assert set(plan.counts()) == set(KINDS)
    assert all(5 < fault.at < 215 for fault in plan.faults)
    assert [fault.at for fault in plan.faults] == sorted(fault.at for fault in plan.faults)


def test_a_zombie_sleeps_longer_than_its_session() -> None:
    stops = [fault for fault in make_plan(1, 1, 200, 3600).faults if fault.kind == "stop"]
    assert stops
    assert all(fault.seconds > 12 for fault in stops)


def test_only_the_kinds_that_were_asked_for() -> None:
    assert set(make_plan(1, 10, 6, 60, ("kill", "poison")).counts()) == {"kill", "poison"}
    assert make_plan(1, 10, 6, 60, ()).faults == ()


def test_what_is_done_on_purpose_comes_only_when_it_is_asked_for() -> None:
    assert set(make_plan(1, 10, 30, 600).counts()) == set(KINDS)
    assert make_plan(1, 10, 3, 240, (*ORDERLY, "scale")).counts() == {"drain": 1, "roll": 1, "scale": 1}


def test_edits_come_before_a_customers_first_order() -> None:
    """After it the sum of what was put in must not depend on when the order left the cart."""
    for script in scripts(11, 300, 600, shop.goods(11, 300)):
        kinds = [type(step) for step in script.steps]
        if Order in kinds:
            assert Edit not in kinds[kinds.index(Order) :]


def test_every_way_of_ending_an_order_comes_up() -> None:
    steps = [step for script in scripts(5, 500, 600, shop.goods(5, 500)) for step in script.steps]
    assert {step.how for step in steps if isinstance(step, Settle)} == {
        *("paid", "paid_thrice_told", "paid_twice", "failed_then_paid", "cancelled", "cancelled_then_paid", "left")
    }
    assert {step.presses for step in steps if isinstance(step, Order)} == {0, 1, 3}


def test_regulars_only_order_and_the_others_are_who_they_were() -> None:
    goods = shop.goods(3, 100)
    usual, mixed = scripts(3, 100, 600, goods), scripts(3, 100, 600, goods, 0.7)
    regular = [script for script in mixed if len([step for step in script.steps if isinstance(step, Order)]) == 4]
    assert 55 < len(regular) < 85
    assert all({*map(type, script.steps)} <= {Fill, Order, Settle} for script in regular)
    assert [script for script in mixed if script not in regular] == [s for s in usual if s in mixed]


def test_some_goods_run_out() -> None:
    goods = shop.goods(1, 100)
    assert any(not shop.plentiful(good) for good in goods.values())
    assert any(good.stock is None for good in goods.values())
    assert any(shop.plentiful(good) and good.stock is not None for good in goods.values())


def test_the_command_for_the_same_plan_names_what_is_not_usual() -> None:
    assert Run(100, 10, 3.0, 7, KINDS).again == "make proof SEED=7 CUSTOMERS=100 FAULTS=10 MINUTES=3"
    large = Run(9000, 200, 90, 7, KINDS, brokers=3, processes=2, at_once=400, regulars=0.7)
    assert large.again.endswith('PROOF="--brokers 3 --processes 2 --at-once 400 --regulars 0.7"')
