"""Dead letters as people work on them, and floods of them, on a real broker and a real database."""

import random
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from fastapi import FastAPI
from panier_common import dead_letters, dead_letters_api
from panier_common.batch import Loop
from panier_common.contracts import inbound as m
from panier_common.contracts.events import Customer, MessageReceived
from panier_common.effects import Effect
from panier_common.event import Received, cloud_headers, encode, inbound_id, to_wire
from panier_common.kafka import partition_of
from panier_common.redaction import redacted
from panier_common.topics import INBOUND
from panier_common.web import Server, with_problems

from .tally import NUMBER, START, Rang, Tally, conversation, eventually, running, say, texts_of


class Mendable(Tally):
    """A tally that cannot digest `poison` until it is mended."""

    is_mended = False

    def decide(self, world: dict[str, list[str]], got: Received) -> Sequence[Effect]:
        match got.event:
            case MessageReceived(content=m.Text(body="poison")) as message if self.is_mended:
                return self._say(world, message.conversation, "poison", got)
        return super().decide(world, got)

    def loop(self, name: str) -> Loop[dict[str, list[str]]]:
        return Loop(name, (INBOUND,), lambda _, __: True, self.load, self.decide, self.save, timer_events=(Rang,))


async def letters(pool: Any, who: str) -> list[Any]:
    return await pool.fetch("SELECT * FROM dead_letter WHERE key = $1 ORDER BY at, id", who)


async def a_letter(pool: Any, who: str) -> UUID:
    async def look() -> list[Any]:
        return await letters(pool, who)

    [letter] = await eventually("a dead letter", look)
    found: UUID = letter["id"]
    return found


def gone(pool: Any, who: str) -> Callable[[], Any]:
    async def look() -> bool:
        return not await letters(pool, who)

    return look


class Api:
    """The internal API as the command line asks it."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __call__(self, method: str, path: str, **given: Any) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession(headers={"X-Panier-By": "ada"}) as session,
            session.request(method, f"{self._url}/dead-letters{path}", **given) as answer,
        ):
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
async def api(pool: Any, broker: str) -> AsyncIterator[Api]:
    app = with_problems(FastAPI())
    app.include_router(dead_letters_api.router("tally", lambda: pool, broker))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(app, "127.0.0.1", port)
    await server.start()
    yield Api(f"http://127.0.0.1:{port}")
    await server.stop()


async def test_is_shown_without_words_and_with_them_only_on_the_record(pool, broker, producer, name, api):
    who = conversation()
    await say(producer, who, "poison", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    async with running(Mendable().loop(name), pool, broker):
        letter = await a_letter(pool, who)
        status, shown = await api("GET", f"/{letter}")
        assert status == 200
        assert "poison" not in str(shown)
        assert who not in str(shown)
        assert shown["trace_id"] == "a" * 32
        assert shown["value"]["content"]["body"] == "(6 characters)"
        assert shown["value"]["shop"] == "shop"
        assert shown["acts"] == []
        status, whole = await api("GET", f"/{letter}?whole=true")
        assert whole["value"]["content"]["body"] == "poison"
        assert whole["key"] == who
        [act] = (await api("GET", f"/{letter}"))[1]["acts"]
        assert (act["act"], act["by"], act["letter"]) == ("read", "ada", str(letter))


async def test_replayed_twice_it_has_one_effect_and_who_asked_is_kept(pool, broker, producer, name, api, monkeypatch):
    who, tally = conversation(), Mendable()
    await say(producer, who, "poison", wamid="wamid.p")
    async with running(tally.loop(name), pool, broker):
        letter = await a_letter(pool, who)
        tally.is_mended = True
        with monkeypatch.context() as patch:
            patch.setattr("panier_common.runner.TICK_SECONDS", 600.0)  # both ask before it is looked for
            assert [(await api("POST", f"/{letter}/replay"))[0] for _ in range(2)] == [200, 200]
        await eventually("the replay", gone(pool, who))
        assert (await api("POST", f"/{letter}/replay"))[0] == 404
        await say(producer, who, "poison", wamid="wamid.p")  # and Meta's repeat of it is one
        await say(producer, who, "the end")
        assert await eventually("both", texts_of(pool, who, 2)) == ["poison", "the end"]
    acts = [act["act"] for act in (await api("GET", "/acts"))[1] if act["letter"] == str(letter)]
    assert acts == ["replayed", "replayed"]


async def test_two_letters_of_one_message_have_one_effect(pool, broker, producer, name):
    """Meta repeated what nobody could digest: two records, two letters, replayed both."""
    who, tally = conversation(), Mendable()
    for _ in range(2):
        await say(producer, who, "poison", wamid="wamid.p")
    async with running(tally.loop(name), pool, broker):

        async def both() -> bool:
            return len(await letters(pool, who)) == 2

        await eventually("two letters", both)
        tally.is_mended = True
        for letter in await letters(pool, who):
            assert await dead_letters.ask_replay(pool, letter["id"])
        await eventually("the replays", gone(pool, who))
        assert await texts_of(pool, who, 1)() == ["poison"]


async def test_an_edited_one_is_replayed_so_and_the_original_stays(pool, broker, producer, name, api):
    who = conversation()
    await say(producer, who, "poison")
    async with running(Mendable().loop(name), pool, broker):
        letter = await a_letter(pool, who)
        other = MessageReceived(conversation(), NUMBER, Customer("FR.1"), "w", START, m.Text("x"), shop="shop")
        assert (await api("PUT", f"/{letter}/value", data=encode(other)))[1]["code"] == "another_key"
        assert (await api("PUT", f"/{letter}/value", data=b'{"a": 1}'))[1]["code"] == "not_that_event"
        for body in ("breaks the rule", "mended"):
            message = MessageReceived(who, NUMBER, Customer("FR.1"), "w", START, m.Text(body), shop="shop")
            assert (await api("PUT", f"/{letter}/value", data=encode(message)))[0] == 200
            [row] = await letters(pool, who)
            assert b"poison" in row["value"]
            assert (await api("POST", f"/{letter}/replay"))[0] == 200
            if body == "breaks the rule":  # it fails once more: nothing of it is lost, and it is one letter still

                async def failed_again() -> bool:
                    [row] = await letters(pool, who)
                    return bool(row["failures"] == 2 and row["replay_at"] is None)

                await eventually("the second failure", failed_again)
        await eventually("the replay", gone(pool, who))
        assert await eventually("the text", texts_of(pool, who, 1)) == ["mended"]
    done = [act["act"] for act in (await api("GET", "/acts"))[1] if act["letter"] == str(letter)]
    assert done == ["replayed", "edited", "replayed", "edited"]


async def test_what_is_dropped_is_gone_but_for_who_did_it(pool, broker, producer, name, api):
    who, tally = conversation(), Mendable()
    await say(producer, who, "poison")
    async with running(tally.loop(name), pool, broker):
        letter = await a_letter(pool, who)
        assert (await api("DELETE", f"/{letter}"))[0] == 200
        assert (await api("DELETE", f"/{letter}"))[0] == 404
        tally.is_mended = True
        await say(producer, who, "next")
        assert await eventually("the next", texts_of(pool, who, 1)) == ["next"]
    [act] = [act for act in (await api("GET", "/acts"))[1] if act["letter"] == str(letter)]
    assert (act["act"], act["by"], act["topic"]) == ("dropped", "ada", INBOUND.name)
    assert act["reason"].startswith("ZeroDivisionError")


async def test_all_that_failed_alike_are_replayed_at_once_beside_one_that_fails_again(
    pool, broker, producer, name, api
):
    people, tally = [conversation() for _ in range(5)], Mendable()
    for who in people:
        await say(producer, who, "poison")
    await say(producer, people[0], "breaks the rule")
    async with running(tally.loop(name), pool, broker):
        for who in people[1:]:
            await a_letter(pool, who)

        async def both() -> bool:
            return len(await letters(pool, people[0])) == 2

        await eventually("both of the first", both)
        counts = {one["reason"].partition(" ")[0]: one for one in (await api("GET", "/counts"))[1]}
        assert counts["ZeroDivisionError"]["letters"] >= 5
        tally.is_mended = True
        [rule] = [one for one in await letters(pool, people[0]) if one["reason"].startswith("Check")]
        assert await dead_letters.ask_replay(pool, rule["id"])
        asked = {"loop": name, "reason": counts["ZeroDivisionError"]["reason"]}
        status, answer = await api("POST", "/alike/replay", params=asked)
        assert (status, answer["more"]) == (200, False)
        for who in people:
            assert await eventually("a replay", texts_of(pool, who, 1)) == ["poison"]

        async def failed_again() -> bool:
            return bool(await pool.fetchval("SELECT failures = 2 FROM dead_letter WHERE id = $1", rule["id"]))

        await eventually("the one that fails again", failed_again)


async def test_one_dropped_while_its_replay_was_under_way_has_no_effect(pool, broker, producer, name):
    """The runner has read it; before its transaction begins a person drops it."""
    from panier_common.batch import Batch
    from panier_common.homes import take_over
    from panier_common.item import Item

    who, tally = conversation(), Mendable()
    tally.is_mended = True
    message = MessageReceived(who, NUMBER, Customer("FR.1"), "w", START, m.Text("poison"), shop="shop")
    letter = dead_letters.DeadLetter(name, 0, INBOUND.name, 0, 7, who, b"{}", encode(message), "why", None)
    got = Received(INBOUND.name, 0, 7, inbound_id(NUMBER, "w"), START, message, {})
    item = Item(0, INBOUND.name, 0, 7, who, {}, encode(message), got, replays=letter.id)
    async with pool.acquire() as db:
        await dead_letters.keep(db, [letter])
        assert await dead_letters.ask_replay(db, letter.id)
        async with db.transaction():
            owned = await take_over(db, name, [0])
        assert await dead_letters.drop(db, letter.id)
        async with db.transaction():
            outcome = await Batch(tally.loop(name), owned, {}, [item]).run(db)
    assert outcome.publish == []
    assert await texts_of(pool, who, 1)() is None


async def test_a_type_of_a_newer_version_is_skipped_and_counted(pool, broker, producer, name, monkeypatch):
    counted: list[tuple[int, dict[str, str]]] = []
    monkeypatch.setattr(
        "panier_common.runner.telemetry.RECORDS",
        type("Records", (), {"add": lambda _, n, tags: counted.append((n, tags))})(),
    )
    who = conversation()
    aio = await producer.get()
    headers = to_wire({**cloud_headers(MessageReceived, "x", "test", START), "ce_type": "panier.message.weighed.v1"})
    await aio.send_and_wait(INBOUND.name, b"{}", key=who.encode(), headers=headers)
    await say(producer, who, "after it")
    async with running(Tally().loop(name), pool, broker):
        assert await eventually("what came after", texts_of(pool, who, 1)) == ["after it"]
    assert await letters(pool, who) == []
    assert (1, {"loop": name, "outcome": "unknown"}) in counted


async def test_two_timers_of_one_conversation_are_two_letters(pool, name):
    def letter(value: bytes) -> dead_letters.DeadLetter:
        return dead_letters.DeadLetter(name, 0, "timer", 0, -1, "c", b"{}", value, "why", None)

    async with pool.acquire() as db:
        await dead_letters.keep(db, [letter(b"1"), letter(b"2"), letter(b"1")])
        await dead_letters.keep(db, [letter(b"2")])
        rows = await db.fetch("SELECT value, failures FROM dead_letter WHERE loop = $1 ORDER BY value", name)
    assert [(row["value"], row["failures"]) for row in rows] == [(b"1", 1), (b"2", 2)]


async def test_beyond_the_room_a_value_stays_in_its_topic_and_is_replayed_from_there(
    pool, broker, producer, name, api, monkeypatch
):
    monkeypatch.setattr(dead_letters, "WHOLE_BYTES", 0)
    who, tally = conversation(), Mendable()
    await say(producer, who, "poison")
    async with running(tally.loop(name), pool, broker):
        letter = await a_letter(pool, who)
        [row] = await letters(pool, who)
        assert (row["value"], row["is_whole"], row["bytes"] > 0) == (None, False, True)
        total = await pool.fetchrow(
            "SELECT sum(letters) AS n, sum(bytes) AS b FROM dead_letter_total WHERE loop = $1", name
        )
        assert (total["n"] > 0, total["b"]) == (True, 0)
        tally.is_mended = True
        assert (await api("POST", f"/{letter}/replay"))[0] == 200
        assert await eventually("the replay", texts_of(pool, who, 1)) == ["poison"]


async def test_with_too_many_a_loop_waits_and_says_so_until_somebody_makes_room(
    pool, broker, producer, name, monkeypatch
):
    who = conversation()
    async with running(Mendable().loop(name), pool, broker) as runner:
        await say(producer, who, "first")
        await eventually("the first", texts_of(pool, who, 1))
        monkeypatch.setattr(dead_letters, "MOST_LETTERS", 0)
        await say(producer, who, "poison")
        await say(producer, who, "behind it")

        async def waits() -> bool:
            return "TooManyDeadLetters" in (runner.why_not_ready() or "")

        await eventually("to say so", waits)
        monkeypatch.setattr(dead_letters, "MOST_LETTERS", 1_000_000)
        assert await eventually("what was behind", texts_of(pool, who, 2)) == ["first", "behind it"]
        await a_letter(pool, who)


@pytest.mark.parametrize(
    ("poison", "pairs", "transactions_per_record"), [("poison", 500, 0.1), ("breaks the rule", 100, 3)]
)
async def test_a_flood_of_poison_holds_back_no_good_record(
    pool, broker, producer, name, poison, pairs, transactions_per_record
):
    """As much poison as good records, one after the other, of a few conversations."""
    people = [conversation() for _ in range(20)]
    aio = await producer.get()
    for i in range(pairs):
        for text in (poison, f"good {i}"):
            message = MessageReceived(
                people[i % 20], NUMBER, Customer("FR.1"), f"{name}.{text}.{i}", START, m.Text(text), shop="shop"
            )
            await aio.send(
                INBOUND.name,
                encode(message),
                key=message.conversation.encode(),
                partition=partition_of(message.conversation, 12),
                headers=to_wire(
                    cloud_headers(
                        message, inbound_id(NUMBER, f"{message.conversation}{message.wamid}"), "ingest", START
                    )
                ),
            )
    await aio.flush()
    tally = Tally()
    async with running(tally.loop(name), pool, broker):
        for n, who in enumerate(people):
            good = [f"good {i}" for i in range(n, pairs, 20)]
            assert await eventually("the good ones", texts_of(pool, who, len(good)), 120) == good

        async def all_kept() -> bool:
            return bool(await pool.fetchval("SELECT count(*) FROM dead_letter WHERE key = ANY($1)", people) == pairs)

        await eventually("every poison as a letter", all_kept, 120)
    assert len(tally.batches) <= transactions_per_record * 2 * pairs + 100


async def test_letters_asked_for_together_are_tried_again_as_they_came(pool, name):
    """A customer's "add, empty, add" is another cart in another order."""
    offsets = list(range(60))
    letters = [
        dead_letters.DeadLetter(name, 3, INBOUND.name, 3, n, f"100:{n % 5}", b"{}", b"{}", "KeyError", None)
        for n in random.Random(7).sample(offsets, 60)
    ]
    async with pool.acquire() as db:
        await dead_letters.keep(db, letters)
        await dead_letters.replay_all(db, await dead_letters.alike(db, name, "KeyError", 1000, droppable=False), "me")
        assert [row["offset"] for row in await dead_letters.to_replay(db, name, [3])] == offsets


def test_hides_words_and_keeps_the_shape():
    value = (
        b'{"content":{"type":"text","body":"my address"},"lines":[{"sku":"a","quantity":2}],"customer":{"wa_id":"336"}}'
    )
    assert redacted(value) == {
        "content": {"type": "text", "body": "(10 characters)"},
        "lines": [{"sku": "a", "quantity": 2}],
        "customer": {"wa_id": "(3 characters)"},
    }
    place = b'{"content":{"type":"location","latitude":48.85837,"address":"quai"},"context":{"message_id":"wamid.HBg"}}'
    assert redacted(place) == {
        "content": {"type": "location", "latitude": "(a number)", "address": "(4 characters)"},
        "context": {"message_id": "(9 characters)"},
    }
    contact = b'{"shop":"bakery","raw":{"contacts":[{"addresses":[{"state":"Bretagne"}]}],"timestamp":1750000000}}'
    assert redacted(contact) == {
        "shop": "bakery",
        "raw": {"contacts": [{"addresses": [{"state": "(8 characters)"}]}], "timestamp": 1750000000},
    }
    assert redacted(b"{broken") == "no JSON, 7 bytes"
    assert redacted(None) is None
