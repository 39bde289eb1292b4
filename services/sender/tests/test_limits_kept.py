"""Meta's limits on the wire: a sender with a real Kafka and PostgreSQL before a Graph API that counts."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
from panier_common.contracts.events import AccountChanged, MessageFailed, MessageSent, Template
from panier_common.contracts.outbound import TemplateMessage
from panier_common.runner import Runner
from panier_sender import db

UPGRADE = (
    b'{"value":{"display_phone_number":"%s","event":"THROUGHPUT_UPGRADE","current_limit":"TIER_UNLIMITED"},'
    b'"field":"phone_number_quality_update"}'
)


async def test_a_number_sends_at_its_pace(world, graph, until):
    async with world.sender(messages_per_second=40):
        began = asyncio.get_running_loop().time()
        asked = [await world.ask(f"3360000{n:04}", f"{n}") for n in range(120)]
        await until(lambda: len(world.sent) == len(asked))
    assert len(graph.calls) == len(asked)
    # What no second may see is counted in test_calls_begun.py.
    assert max(call.began for call in graph.calls) - began >= (120 - 2) / 40


async def test_what_meta_tells_of_the_number_is_followed(world, graph, until):
    async with world.sender(messages_per_second=2) as sender:
        digits = "".join(c for c in world.display if c.isdecimal())
        raw = msgspec.Raw(UPGRADE % digits.encode())
        await world.publish(AccountChanged("waba", "phone_number_quality_update", datetime.now(UTC), raw))
        await until_limit_is_known(sender.pool)
        began = asyncio.get_running_loop().time()
        asked = [await world.ask(f"3360000{n:04}", f"{n}") for n in range(100)]
        await until(lambda: len(world.sent) == len(asked))
        assert asyncio.get_running_loop().time() - began < 30  # at two a second it would be 50


async def until_limit_is_known(pool) -> None:
    async with asyncio.timeout(20), pool.acquire() as db:
        while not await db.fetchval("SELECT count(*) FROM number_limit"):  # noqa: ASYNC110 (rows cannot be awaited)
            await asyncio.sleep(0.05)


async def test_a_burst_to_one_customer_stays_within_the_pair_limit(world, graph, until):
    async with world.sender():
        asked = [await world.ask("33600000001", f"{n:02}") for n in range(46)]
        await until(lambda: len(world.sent) == 44)
        other = await world.ask("33600000002", "hello")
        await until(lambda: world.results(other))
        await until(lambda: world.results(asked[44]), 20)
    calls = graph.to("+33600000001")
    assert [call.text for call in calls] == [f"{n:02}" for n in range(len(calls))]
    # The first of the burst is paid for 6 s after its claim. Its call may begin a good while later on a busy machine:
    # that is what one of Meta's 45 is left for.
    assert calls[44].began - calls[0].began >= 4.5


async def test_the_next_owner_knows_what_customers_were_sent(world, graph, until):
    async with world.sender():
        for n in range(44):
            await world.ask("33600000001", f"{n:02}")
        await until(lambda: len(world.sent) == 44)
    async with world.sender():
        last = await world.ask("33600000001", "last")
        await until(lambda: world.results(last), 30)
    calls = graph.to("+33600000001")
    assert len(calls) == 45
    assert calls[44].began - calls[0].began >= 4.5


async def test_outside_the_window_its_template_goes(world, graph, until):
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    template = Template("order_ready", "fr", ("A-12",))
    async with world.sender():
        message_id = await world.ask("33600000001", "prêt", lane="news", answers_at=long_ago, template=template)
        await until(lambda: world.results(message_id))
    (call,) = graph.calls
    assert call.body["template"] == {
        "name": "order_ready",
        "language": {"code": "fr"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "A-12"}]}],
    }
    (sent,) = world.results(message_id)
    assert (type(sent), sent.kind) == (MessageSent, "template")


async def test_meta_alone_may_know_that_the_window_is_closed(world, graph, until):
    async def refuse_text(call):
        return (400, {"error": {"code": 131047}}) if call.text else None

    graph.answer = refuse_text
    template = Template("order_ready", "fr")
    async with world.sender():
        message_id = await world.ask("33600000001", "prêt", template=template)
        behind = await world.ask("33600000001", TemplateMessage(name="next", language="fr"))
        await until(lambda: world.results(behind))
    assert [call.body["type"] for call in graph.calls] == ["text", "template", "template"]
    assert [event.kind for event in world.results(message_id)] == ["template"]


async def test_a_message_a_person_must_see_is_a_dead_letter_and_can_be_sent_again(world, graph, until):
    async def refuse_once(call):
        return (400, {"error": {"code": 131053}}) if len(graph.calls) == 1 else None

    graph.answer = refuse_once
    async with world.sender():
        message_id = await world.ask("33600000001", "regardez")
        await until(lambda: world.results(message_id))
        db = await asyncpg.connect(world.database_url)
        (letter,) = await db.fetch("SELECT id, reason FROM dead_letter WHERE key = $1", f"message:{message_id}")
        assert letter["reason"] == world.results(message_id)[0].said
        await db.execute("UPDATE dead_letter SET replay_at = now() WHERE id = $1", letter["id"])
        await until(lambda: len(world.results(message_id)) == 2)
        assert await db.fetchval("SELECT count(*) FROM dead_letter WHERE key = $1", f"message:{message_id}") == 0
        await db.close()
    assert [type(event) for event in world.results(message_id)] == [MessageFailed, MessageSent]
    assert [call.text for call in graph.calls] == ["regardez", "regardez"]


async def test_one_refusal_of_the_token_spares_those_behind_it(world, graph, until, monkeypatch, tmp_path):
    token = tmp_path / "token"
    token.write_text("old")
    monkeypatch.delenv("SENDER_TEST_TOKEN")
    monkeypatch.setenv("SENDER_TEST_TOKEN_FILE", str(token))

    async def refuse_old(call):
        return (401, {"error": {"code": 190}}) if call.headers["Authorization"] == "Bearer old" else None

    graph.answer = refuse_old
    async with world.sender(messages_per_second=20):
        asked = [await world.ask(f"3360000{n:04}", f"{n}") for n in range(40)]
        await until(lambda: graph.calls)
        token.write_text("new")
        await until(lambda: len(world.sent) == len(asked))
    refused = [call for call in graph.calls if call.status == 401]
    assert len(refused) < 15, "the queue was kept, not burnt"
    assert len(graph.calls) - len(refused) == len(asked)


async def test_answers_leave_while_what_customers_wrote_before_is_still_to_be_read(world, graph, until, monkeypatch):
    """Whoever starts with a long past behind it answers at once all the same."""
    released, save = asyncio.Event(), db.save_windows

    async def save_when_released(connection, windows):
        await released.wait()
        await save(connection, windows)

    monkeypatch.setattr(db, "save_windows", save_when_released)
    await asyncio.gather(*(world.hear(f"337{n % 500:08}", "bonjour", owner="catalog") for n in range(2_000)))
    async with world.sender(started=False) as sender:
        windows: Runner = next(r for r in sender.runners if r.loop.name == "sender.windows")
        asked = [await world.ask(f"3360000{n:04}", f"{n}") for n in range(20)]
        await until(lambda: len(world.sent) == len(asked))
        assert not windows.caught_up_since_start()
        released.set()
        await until(windows.caught_up_since_start)
