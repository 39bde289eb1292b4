"""The sender on a real Kafka and PostgreSQL: order, retries, doubts."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from panier_common import telemetry
from panier_common.contracts.events import DeliveryError, MessageFailed, MessageSent
from panier_common.contracts.outbound import ButtonsMessage, ReplyButton, TemplateMessage
from panier_common.event import TRACEPARENT
from structlog.testing import capture_logs


async def test_sends_and_tells(world, graph, until):
    message = ButtonsMessage(body="Votre panier", buttons=(ReplyButton(id="cart:show", title="Voir"),))
    async with world.sender():
        message_id = await world.ask("33612345678", message)
        await until(lambda: world.results(message_id))
    (call,) = graph.calls
    assert call.whom == "+33612345678"
    assert call.body["biz_opaque_callback_data"] == message_id
    assert call.headers["Authorization"] == "Bearer EAAtest"
    (sent,) = world.results(message_id)
    assert isinstance(sent, MessageSent)
    assert (sent.wamid, sent.kind, sent.origin) == ("wamid.OUT1", "buttons", "cart")
    assert [(b.id, b.title) for b in sent.buttons] == [("cart:show", "Voir")]


async def test_keeps_each_customers_order_while_others_overtake(world, graph, until):
    chance = random.Random(7)
    customers = [f"336000000{n:02}" for n in range(20)]

    async def slowly(_call):
        await asyncio.sleep(chance.uniform(0, 0.05))

    graph.answer = slowly
    async with world.sender():
        asked = [await world.ask(customer, f"{customer}/{n}") for n in range(8) for customer in customers]
        await until(lambda: len(world.sent) == len(asked))
    assert len(graph.calls) == len(asked)
    for customer in customers:
        calls = graph.to(f"+{customer}")
        assert [call.text for call in calls] == [f"{customer}/{n}" for n in range(8)]
        assert all(before.ended <= after.began for before, after in pairwise(calls))
    busy = max(sum(1 for b in graph.calls if b.began <= a.began < b.ended) for a in graph.calls)
    assert busy > 3, "customers were served one after the other"


async def test_a_slow_customer_holds_back_nobody(world, graph, until):
    release = asyncio.Event()

    async def hold_one(call):
        if call.whom == "+33600000001":
            await release.wait()

    graph.answer = hold_one
    async with world.sender():
        first = await world.ask("33600000001", "one")
        behind = await world.ask("33600000001", "two")
        other = await world.ask("33600000002", "hello")
        await until(lambda: world.results(other))
        assert not world.results(first)
        assert [call.text for call in graph.to("+33600000001")] == ["one"]
        release.set()
        await until(lambda: world.results(behind))


@pytest.mark.parametrize(("code", "status"), [(131056, 400), (131000, 500), (130429, 400), (190, 401)])
async def test_tries_again(world, graph, until, code, status, monkeypatch, tmp_path):
    token = tmp_path / "token"
    token.write_text("old")
    monkeypatch.delenv("SENDER_TEST_TOKEN")
    monkeypatch.setenv("SENDER_TEST_TOKEN_FILE", str(token))

    async def refuse_once(call):
        if len(graph.calls) == 1:
            token.write_text("new")
            return status, {"error": {"code": code, "message": "no"}}
        return None

    graph.answer = refuse_once
    async with world.sender():
        first = await world.ask("33600000001", "one")
        second = await world.ask("33600000001", "two")
        await until(lambda: world.results(second))
    assert [call.text for call in graph.calls] == ["one", "one", "two"]
    assert [type(event) for event in world.sent] == [MessageSent, MessageSent]
    assert world.results(first)
    assert [event.message_id for event in world.sent] == [first, second]


async def test_gives_up_what_cannot_be_sent_and_goes_on(world, graph, until):
    async def refuse(call):
        return (400, {"error": {"code": 131026, "message": "no"}}) if call.text == "one" else None

    graph.answer = refuse
    trace = uuid4().hex
    with capture_logs([telemetry.with_trace]) as lines:
        async with world.sender():
            first = await world.ask("33600000001", "one", headers={TRACEPARENT: f"00-{trace}-b7ad6b7169203331-01"})
            second = await world.ask("33600000001", "two")
            await until(lambda: world.results(second))
    (failed,) = world.results(first)
    assert isinstance(failed, MessageFailed)
    assert (failed.code, failed.reason) == (131026, "undeliverable")
    assert [line["trace_id"] for line in lines if line.get("message") == first] == [trace]
    assert [call.text for call in graph.calls] == ["one", "two"]


async def test_waits_for_a_graph_that_cannot_be_reached(world, graph, until):
    right = graph.url
    graph.url = "http://127.0.0.1:9"
    async with world.sender():
        message_id = await world.ask("33600000001", "one")
        await world.wait_for_state(message_id, "ready")
        assert not graph.calls
    graph.url = right
    async with world.sender():
        await until(lambda: world.results(message_id))
    assert len(graph.calls) == 1


async def test_a_late_failed_status_is_told_once(world, until):
    async with world.sender():
        message_id = await world.ask("33600000001", "one")
        await until(lambda: world.results(message_id))
        await world.report(message_id, "sent")
        for _ in range(2):
            await world.report(message_id, "failed", wamid="wamid.OUT1", errors=(DeliveryError(131026),))
        after = await world.ask("33600000002", "done")
        await until(lambda: world.results(after))
        await until(lambda: len(world.results(message_id)) == 2)
    sent, failed = world.results(message_id)
    assert isinstance(sent, MessageSent)
    assert (failed.code, failed.reason) == (131026, "undeliverable")


async def test_a_template_goes_out_of_the_window_and_text_does_not(world, graph, until):
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    async with world.sender():
        text = await world.ask("33600000001", "hello", answers_at=long_ago)
        template = await world.ask("33600000001", TemplateMessage(name="news", language="fr"), answers_at=long_ago)
        await until(lambda: world.results(template))
    (failed,) = world.results(text)
    assert failed.reason == "window_closed"
    assert [call.body["type"] for call in graph.calls] == ["template"]


async def test_what_has_no_room_waits_in_the_journal(world, graph, until):
    async with world.sender(claims_limit=4, number_claims_limit=3, calls_limit=2):
        asked = [await world.ask(f"3360000{n:04}", f"{n}") for n in range(100)]
        await until(lambda: len(world.sent) == len(asked))
    assert len(graph.calls) == len(asked)


async def test_a_timed_out_call_is_settled_by_its_status_or_sent_again(world, graph, until):
    never = asyncio.Event()

    async def swallow_first(call):
        if len(graph.to(call.whom)) == 1:
            await never.wait()

    graph.answer = swallow_first
    async with world.sender(claim_seconds=2, doubt_seconds=8):
        proven = await world.ask("33600000001", "one")
        next_one = await world.ask("33600000001", "two")
        lost = await world.ask("33600000002", "three")
        await until(lambda: len(graph.calls) >= 2)
        await world.wait_for_state(proven, "doubt")
        await world.report(proven)
        await until(lambda: world.results(next_one) and world.results(lost), 30)
    assert [call.text for call in graph.to("+33600000001")][:2] == ["one", "two"]
    assert [call.text for call in graph.to("+33600000002")] == ["three", "three"]
    (sent,) = world.results(proven)
    assert sent.wamid == f"wamid.{proven}"


async def test_after_kill_9_the_log_tells_what_was_sent(world, graph, until):
    never = asyncio.Event()
    graph.answer = lambda call: hold(call, never)
    await world.configure()
    first = world.process(PANIER_SENDER_DOUBT_SECONDS="3")
    try:
        proven = await world.ask("33600000001", "one")
        lost = await world.ask("33600000002", "two")
        await until(lambda: len(graph.calls) == 2)
    finally:
        first.kill()
        first.wait()
    await world.report(proven, "delivered")
    never.set()
    graph.answer = None
    second = world.process(PANIER_SENDER_DOUBT_SECONDS="3")
    try:
        await until(lambda: world.results(proven) and world.results(lost), 60)
    finally:
        second.terminate()
        assert second.wait(25) == 0
    assert [call.text for call in graph.to("+33600000001")] == ["one"]
    assert [call.text for call in graph.to("+33600000002")] == ["two", "two"]
    ids = {call.body["biz_opaque_callback_data"] for call in graph.to("+33600000002")}
    assert ids == {lost}
    assert len(world.sent) == 2


async def hold(call, event):
    await event.wait()


async def test_stopping_waits_for_the_calls_in_flight(world, graph, until):
    release = asyncio.Event()
    graph.answer = lambda call: hold(call, release)
    async with world.sender() as sender:
        first = await world.ask("33600000001", "one")
        second = await world.ask("33600000001", "two")
        await until(lambda: len(graph.calls) == 1)
        await world.wait_for_state(second, "queued", attempts=0)
        stopping = asyncio.create_task(sender.stop())
        await asyncio.sleep(0.2)
        assert not stopping.done()
        release.set()
        await stopping
        await until(lambda: world.results(first))
    assert not world.results(second)
    assert await world.states() == {second: "ready"}
    async with world.sender():
        await until(lambda: world.results(second))
    assert [call.text for call in graph.calls] == ["one", "two"]


async def test_stop_is_confirmed_and_messages_are_marked_read(world, graph, until):
    async with world.sender():
        await world.hear("33600000001", "stop", owner="sender")
        await until(lambda: graph.calls and graph.reads)
        news = await world.ask("33600000001", "news", lane="news")
        await until(lambda: world.results(news))
    (call,) = graph.calls
    assert call.text.startswith("C’est noté")
    assert graph.reads[0]["typing_indicator"] == {"type": "text"}
    (failed,) = world.results(news)
    assert failed.reason == "stopped"


async def test_a_second_sender_takes_over_without_losing_or_doubling(world, graph, until):
    graph.answer = lambda call: asyncio.sleep(0.02)
    async with world.sender():
        asked = [await world.ask(f"336000000{n % 10:02}", f"{n:03}") for n in range(100)]
        async with world.sender():
            asked += [await world.ask(f"336000000{n % 10:02}", f"{n:03}") for n in range(100, 200)]
            await until(lambda: len(world.sent) >= 150)
        await until(lambda: len(world.sent) == len(asked))
    assert len(graph.calls) == len(asked)
    for whom in {call.whom for call in graph.calls}:
        texts = [call.text for call in graph.to(whom)]
        assert texts == sorted(texts)
