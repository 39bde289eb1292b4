"""What nobody can digest: it becomes a letter, and ends and holds up nobody. On a real broker and database."""

from collections.abc import Sequence

import pytest
from panier_common.contracts import inbound as m
from panier_common.contracts.events import Customer, MessageReceived
from panier_common.dead_letters import ask_replay, listed
from panier_common.effects import Effect
from panier_common.event import Received, inbound_id
from panier_common.kafka import partition_of
from panier_common.topics import INBOUND

from .tally import NUMBER, START, Rang, Tally, conversation, eventually, running, say, texts_of


@pytest.mark.parametrize("poison", ["poison", "breaks the rule"])
async def test_one_poisonous_record_becomes_a_dead_letter_and_its_neighbours_go_on(
    pool, broker, producer, name, poison
):
    who, neighbour = conversation(), conversation()
    for i in range(8):
        await say(producer, who, poison if i == 3 else f"good {i}")
        await say(producer, neighbour, f"fine {i}")
    async with running(Tally().loop(name), pool, broker):
        good = [f"good {i}" for i in range(8) if i != 3]
        assert await eventually("the good ones", texts_of(pool, who, 7)) == good
        assert len(await eventually("the neighbour", texts_of(pool, neighbour, 8))) == 8
    # The topic is shared with the other tests, whose poison is met here too: only this key counts.
    [reason] = await pool.fetch("SELECT reason FROM dead_letter WHERE key = ANY($1)", [who, neighbour])
    assert reason["reason"].startswith("ZeroDivisionError" if poison == "poison" else "CheckViolationError")
    assert all(letter["topic"] == INBOUND.name for letter in await listed(pool, "tally"))


async def test_a_record_of_an_unknown_kind_becomes_a_dead_letter(pool, broker, producer, name):
    who = conversation()
    aio = await producer.get()
    await aio.send_and_wait(INBOUND.name, b"{", key=who.encode(), headers=[("ce_type", b"panier.message.received.v1")])
    await say(producer, who, "after it")
    async with running(Tally().loop(name), pool, broker):
        await eventually("what came after", texts_of(pool, who, 1))
    # Other conversations of this broker may have had theirs; this one's key is in exactly one.
    assert await pool.fetchval("SELECT count(*) FROM dead_letter WHERE key = $1", who) == 1


async def test_a_replayed_dead_letter_is_decided_on_again(pool, broker, producer, name):
    who = conversation()
    await say(producer, who, "breaks the rule")
    await say(producer, who, "next")
    async with running(Tally().loop(name), pool, broker):
        await eventually("the next one", texts_of(pool, who, 1))
        [letter] = await pool.fetch("SELECT id FROM dead_letter WHERE key = $1", who)
        await pool.execute("ALTER TABLE tally DROP CONSTRAINT tally_texts_check")
        assert await ask_replay(pool, letter["id"])
        assert await eventually("the replay", texts_of(pool, who, 2)) == ["next", "breaks the rule"]

        async def gone() -> bool:
            return await pool.fetchval("SELECT count(*) FROM dead_letter WHERE key = $1", who) == 0

        await eventually("the letter to be gone", gone)


class Dumb(Tally):
    """A tally that cannot say what rang until it is mended."""

    is_mended = False

    def decide(self, world: dict[str, list[str]], got: Received) -> Sequence[Effect]:
        if isinstance(got.event, Rang) and not self.is_mended:
            raise KeyError("the bell")
        return super().decide(world, got)


async def test_a_timer_that_became_a_dead_letter_is_replayed_as_that_timer(pool, broker, producer, name):
    who, tally = conversation(), Dumb()
    await say(producer, who, "alarm")
    async with running(tally.loop(name), pool, broker):
        [letter] = await eventually("a dead letter", lambda: _letters(pool, who))
        assert letter["topic"] == "timer"
        tally.is_mended = True
        assert await ask_replay(pool, letter["id"])
        assert await eventually("the replay", texts_of(pool, who, 1)) == ["rang"]


async def test_a_letter_whose_kind_is_unknown_stays_one_and_ends_nobody(pool, broker, producer, name):
    """As the timers were kept whose letters did not say what they are."""
    who, tally = conversation(), Dumb()
    await say(producer, who, "alarm")
    async with running(tally.loop(name), pool, broker):
        [letter] = await eventually("a dead letter", lambda: _letters(pool, who))
        await pool.execute("UPDATE dead_letter SET headers = '{}' WHERE key = $1", who)
        assert await ask_replay(pool, letter["id"])
        await eventually("it was tried", lambda: _tried(pool, who))
        await say(producer, who, "still here")
        assert await eventually("the next", texts_of(pool, who, 1)) == ["still here"]


async def test_a_timer_that_a_newer_version_set_becomes_a_letter_and_ends_nobody(pool, broker, producer, name):
    who = conversation()
    await pool.execute(
        "INSERT INTO timer (loop, home, key, due_at, ce_type, value) VALUES ($1, $2, 'n', now(), 'test.new.v1', '{}')",
        name,
        partition_of(who, 12),
    )
    async with running(Tally().loop(name), pool, broker):
        [letter] = await eventually("a dead letter", lambda: _letters(pool, ""))
        assert letter["topic"] == "timer"
        await say(producer, who, "still here")
        assert await eventually("the next", texts_of(pool, who, 1)) == ["still here"]
    assert await pool.fetchval("SELECT count(*) FROM timer WHERE key = 'n'") == 0


async def test_a_key_and_headers_that_postgresql_has_no_letters_for_end_nobody(pool, broker, producer, name):
    who = conversation()
    message = MessageReceived(f"{who}\0", NUMBER, Customer("FR.1"), "wamid.nul", START, m.Text("poison"), shop="shop")
    await producer.publish(message, inbound_id(NUMBER, "nul"), START, "ingest", {"panier_language": "e\0n"})
    async with running(Tally().loop(name), pool, broker):
        await eventually("a dead letter", lambda: _letters(pool, f"{who}\ufffd"))
        await say(producer, who, "still here")
        assert await eventually("the next", texts_of(pool, who, 1)) == ["still here"]


async def _letters(pool, who):
    return await pool.fetch("SELECT id, topic FROM dead_letter WHERE key = $1", who)


async def _tried(pool, who):
    return await pool.fetchval("SELECT replay_at IS NULL FROM dead_letter WHERE key = $1", who)
