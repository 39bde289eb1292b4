"""A payment provider over real HTTP that is late, fails, forgets to answer: nothing is lost, opened or told twice."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.trace import SpanKind
from panier_checkout.decision import Call
from panier_checkout.provider_calls import ProviderCalls
from panier_common.contracts import events as e
from panier_common.contracts.outbound import LinkMessage, Message, unpacked
from panier_common.testing.traces import recorded
from panier_payments.testing import OverHttp, Till, till

from .counter import Counter, eventually, opened, placed
from .stage import CUSTOMER, NUMBER

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Database = Callable[[str], Awaitable[str]]


@asynccontextmanager
async def stand(kafka: str, database: Database, seconds: float = 60.0) -> AsyncIterator[tuple[Counter, Till]]:
    async with till() as one:
        url = await database("panier_checkout")
        async with opened(kafka, url, seconds=seconds, provider=OverHttp(one.url)) as counter:
            yield counter, one


def messages(counter: Counter) -> list[Message]:
    """What the customer was told, after the two questions before the order."""
    told = [event for event in counter.heard if isinstance(event, e.MessageRequested)]
    return [unpacked(one.message) for one in told][2:]


async def link(counter: Counter) -> LinkMessage:
    async def told() -> Any:
        return next((one for one in messages(counter) if isinstance(one, LinkMessage)), None)

    found: LinkMessage = await eventually("the link to pay", told)
    return found


async def state(counter: Counter, order: e.OrderPlaced) -> str:
    _, shown = await counter.ask("GET", f"/orders/{order.order_id}")
    return str(shown["state"])


async def waiting(counter: Counter) -> int:
    async with counter.pool.acquire() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM provider_call"))


async def test_a_provider_that_fails_and_forgets_to_answer_opens_one_session(kafka: str, database: Database) -> None:
    async with stand(kafka, database) as (counter, till), counter.working():
        till.failing = till.forgetting = 1
        order = await placed(counter)
        shown = await link(counter)
        assert list(till.states) == [f"session-{order.order_id}"]
        assert str(shown.url) == f"{till.url}/pay/session-{order.order_id}"
        assert till.asked == ["POST /sessions"] * 3
        assert [one.kind for one in messages(counter)] == ["buttons", "link"]
        assert await waiting(counter) == 0


@pytest.mark.parametrize("failing", [0, 1])
async def test_the_customers_trace_goes_on_through_the_provider(failing: int) -> None:
    call = Call("o", "open", 0, "1:FR.1", "over_http", "", 820, "EUR", PARENT)
    async with till() as one:
        one.failing = failing
        with recorded() as spans:
            answer = await ProviderCalls(None, {"over_http": OverHttp(one.url)}, 1.0).answer(call)
    (span,) = spans
    assert (span.name, span.kind) == ("open payment session", SpanKind.CLIENT)
    assert span.failed is bool(failing)
    assert span.parent_id == PARENT.split("-")[2]
    if failing:
        assert answer is None
    else:
        assert answer.traceparent == span.traceparent


async def test_an_address_nobody_can_go_to_is_no_answer() -> None:
    call = Call("o", "open", 0, "1:FR.1", "over_http", "", 820, "EUR")
    async with till() as one:
        calls = ProviderCalls(None, {"over_http": OverHttp(one.url)}, 1.0)
        assert await calls.answer(call) is not None
        one.url = "nowhere:"
        assert await calls.answer(call) is None


async def test_a_slow_provider_is_given_its_time_and_no_more(kafka: str, database: Database) -> None:
    async with stand(kafka, database) as (counter, till), counter.working() as calls:
        till.slow_seconds = 5.0  # the counter gives a call one second
        await placed(counter)

        async def late() -> bool:
            return len(messages(counter)) == 1 and len(till.asked) > 1

        await eventually("the customer to be told, and another attempt", late)
        await eventually("the metrics to say so", lambda: _waits(calls.waiting()))
        till.slow_seconds = 0.2
        await link(counter)


async def _waits(figures: Any) -> bool:
    return [(value, dict(labels)) for value, labels in figures] == [(1.0, {"provider": "over_http"})]


async def test_an_order_expires_only_once_the_provider_closed_it(kafka: str, database: Database) -> None:
    async with stand(kafka, database, seconds=5.0) as (counter, till), counter.working():
        order = await placed(counter)
        await link(counter)
        till.failing = 2

        async def refused() -> bool:
            return till.failing == 0

        await eventually("the provider to refuse", refused)
        assert await state(counter, order) == "awaiting_payment"
        expired = await counter.hears(e.OrderExpired)
        assert expired.order_id == order.order_id
        assert till.states == {f"session-{order.order_id}": "closed"}
        _, shown = await counter.ask("GET", f"/orders/{order.order_id}")
        assert [step["what"] for step in shown["history"]] == ["placed", "payment_closing", "expired"]


async def test_what_was_paid_while_the_provider_was_away_is_a_sale(kafka: str, database: Database) -> None:
    async with stand(kafka, database, seconds=5.0) as (counter, till), counter.working():
        order = await placed(counter)
        await link(counter)
        till.states[f"session-{order.order_id}"] = "paid"

        async def asked() -> bool:
            return any(path.endswith("/close") for path in till.asked) and await waiting(counter) == 0

        await eventually("the provider to say that it was paid", asked)
        assert await state(counter, order) == "awaiting_payment"
        told = e.PaymentNotified("over_http", f"n-{counter.who}", order.order_id, "paid", 820, "EUR", order.placed_at)
        await counter.tell(told)
        await counter.hears(e.OrderPaid)
        assert await state(counter, order) == "paid"


async def test_an_order_whose_conversation_ended_gets_its_link_in_the_other(kafka: str, database: Database) -> None:
    async with stand(kafka, database) as (counter, till), counter.working():
        counter.also = f"{NUMBER}:AA.{counter.who}"
        till.failing = 100
        order = await placed(counter)

        async def asked() -> bool:
            return bool(till.asked)

        await eventually("the provider to be asked", asked)
        merged = e.ConversationMerged(counter.conversation, counter.also, NUMBER, CUSTOMER, order.placed_at)
        await counter.tell(merged)
        moved = await counter.hears(e.StateMoved)
        assert moved.conversation == counter.also
        till.failing = 0
        await link(counter)
        requested = [event for event in counter.heard if isinstance(event, e.MessageRequested)][-1]
        assert requested.conversation == counter.also

        async def done() -> bool:
            return await waiting(counter) == 0

        await eventually("nothing to be asked any more", done)
        assert len(till.states) == 1


async def test_a_call_that_was_broken_off_is_made_again_by_the_next_owner(kafka: str, database: Database) -> None:
    async with stand(kafka, database) as (counter, till):
        till.slow_seconds = 8.0
        async with counter.working(call_seconds=8.0):
            await placed(counter)

            async def asked() -> bool:
                return bool(till.asked)

            await eventually("the first process to ask", asked)
        assert await waiting(counter) == 1
        assert messages(counter) == []
        till.slow_seconds = 0.0
        async with counter.working():
            await link(counter)
        assert len(till.states) == 1
