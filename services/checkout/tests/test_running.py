"""Checkout's loops and internal API on a real broker and a real database, other services played by the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from panier_checkout.loops import payments_loop
from panier_common.contracts import events as e
from panier_common.kafka import Kafka
from panier_common.restored import lift
from panier_common.runner import Runner

from .counter import Counter, eventually, opened, placed
from .stage import SHOP

Database = Callable[[str], Awaitable[str]]


@pytest.fixture
async def counter(kafka: str, database: Database) -> AsyncIterator[Counter]:
    """Both loops and the admin port, running."""
    async with opened(kafka, await database("panier_checkout")) as one, one.working():
        yield one


async def test_an_order_is_placed_paid_once_advanced_and_shown(counter: Counter) -> None:
    order = await placed(counter)
    await counter.pay(order.order_id, "n-wrong", minor=1)
    await counter.pay(order.order_id, "n-1", times=3)
    paid = await counter.hears(e.OrderPaid)
    assert paid.paid_minor == 820
    status, document = await counter.ask("GET", "/orders", params={"shop": SHOP.shop})
    assert status == 200
    (listed,) = document
    assert listed["caused_by"] == f"wamid.{counter.who}.2"
    assert (listed["state"], listed["payment_state"], listed["paid_minor"]) == ("paid", "paid", 820)
    assert listed["customer"] == {"user_id": counter.who, "wa_id": "33600000001"}
    assert listed["lines"][0]["total_minor"] == 560
    assert listed["fulfilment"] == {"way": "collect", "address": None}
    assert listed["placed_at"].endswith("Z")
    assert listed["provider"] == "simulated"
    _, (told,) = await counter.ask("GET", "/orders", params={"shop": SHOP.shop, "history": "true"})
    steps = told.pop("history")
    assert (told, [step["what"] for step in steps]) == (listed, ["placed", "payment_problem: wrong_amount", "paid"])

    path = f"/orders/{order.number}/advance"
    for _ in range(2):
        status, shown = await counter.ask("POST", path, "key-1", json={"state": "ready"})
        assert (status, shown["state"]) == (200, "ready")
    assert [step["what"] for step in shown["history"]] == [
        "placed",
        "payment_problem: wrong_amount",
        "paid",
        "ready",
    ]
    assert shown["payment_problem"]["minor"] == 1
    status, problem = await counter.ask("POST", path, "key-2", json={"state": "accepted"})
    assert (status, problem["code"]) == (409, "unlawful_move")
    assert "completed" in problem["hint"]
    status, shown = await counter.ask("POST", f"/orders/{order.order_id}/refund", "key-3")
    assert (status, shown["state"], shown["payment_state"]) == (200, "refunded", "refunded")
    assert [type(event) for event in counter.heard].count(e.OrderPaid) == 1
    assert [type(event) for event in counter.heard].count(e.OrderPlaced) == 1


async def test_an_unpaid_order_expires_and_late_money_is_kept(kafka: str, database: Database) -> None:
    async with opened(kafka, await database("panier_checkout"), seconds=5.0) as counter, counter.working():
        order = await placed(counter)
        expired = await counter.hears(e.OrderExpired)
        assert expired.order_id == order.order_id
        late, lost = f"late-{counter.who}", f"lost-{counter.who}"
        await counter.pay(order.order_id, late)
        await counter.pay("nobody's", lost)

        async def kept() -> Any:
            _, problems = await counter.ask("GET", "/payment-problems")
            reasons = {problem["notification_id"]: problem["reason"] for problem in problems}
            return (reasons[late], reasons[lost]) if {late, lost} <= reasons.keys() else None

        assert await eventually("both problems", kept) == ("expired", "unknown_order")
        _, ours = await counter.ask("GET", f"/payment-problems?shop={SHOP.shop}")
        assert [(one["notification_id"], one["number"]) for one in ours] == [(late, order.number)]
        _, shown = await counter.ask("GET", f"/orders/{order.order_id}")
        assert (shown["state"], shown["paid_minor"]) == ("expired", 0)
        assert shown["payment_problem"]["notification_id"] == late


async def test_a_payment_waits_until_a_restored_database_has_its_order_again(kafka: str, database: Database) -> None:
    """The order was placed after the backup, its payment had come and was not read before the disaster."""
    url = await database("panier_checkout")
    async with opened(kafka, url) as counter:
        positions = await counter.pool.fetch("SELECT * FROM position")
        async with counter.working():
            order = await placed(counter)
        tables = await counter.pool.fetch(
            "SELECT format('%I', tablename) AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> $1",
            "migration",
        )
        await counter.pool.execute(f"TRUNCATE {', '.join(table['name'] for table in tables)}")
        await counter.pool.copy_records_to_table("position", records=[tuple(row) for row in positions])
        await counter.pay(order.order_id, "n-unread")
        await lift(url, "checkout", kafka)

        payments = Runner(payments_loop(), counter.pool, Kafka(kafka))
        paying = asyncio.create_task(payments.run())

        async def waits() -> bool:
            return "OrdersNotBack" in (payments.why_not_ready() or "")

        try:
            await eventually("the payment to wait", waits)
            assert not await counter.pool.fetchval("SELECT count(*) FROM payment_problem")
        finally:
            payments.stop()
            await paying
        async with counter.working():
            paid = await counter.hears(e.OrderPaid)
            assert paid.order_id == order.order_id
            _, problems = await counter.ask("GET", "/payment-problems")
            assert problems == []


async def test_refusals_are_problems_with_a_way_on(counter: Counter) -> None:
    for method, path, key, status, code in (
        ("GET", "/orders?shop=nobody", "", 404, "no_such_shop"),
        ("GET", "/orders", "", 400, "invalid"),
        ("GET", "/payment-problems?shop=nobody", "", 404, "no_such_shop"),
        ("GET", "/orders/nobody", "", 404, "no_such_order"),
        ("POST", "/orders/nobody/cancel", "k", 404, "no_such_order"),
        ("POST", "/orders/nobody/cancel", "", 400, "no_key"),
        ("POST", "/orders/nobody/explode", "k", 400, "invalid"),
    ):
        got, problem = await counter.ask(method, path, key)
        assert (got, problem["code"]) == (status, code)
        assert problem["hint"]
    order = await placed(counter)
    path = f"/orders/{order.order_id}/advance"
    status, problem = await counter.ask("POST", path, "k", json={"state": "eaten"})
    assert (status, problem["code"]) == (400, "no_such_state")
    assert "completed" in problem["hint"]
