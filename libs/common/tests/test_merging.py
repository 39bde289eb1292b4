"""Merges in any order, repeated, with messages in between: every message is counted once, at one place, at last."""

from collections import defaultdict, deque
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from panier_common.batch import Loop
from panier_common.contracts.events import ConversationMerged, Customer, Event, MessageReceived, StateMoved
from panier_common.contracts.inbound import Text
from panier_common.effects import Effect, NotTaken, Publish
from panier_common.event import Received, decode, encode, inbound_id, name_based_id
from panier_common.memory import Memory, Seen
from panier_common.merging import Ended, Merging, merging
from panier_common.topics import COMMAND, INBOUND

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NUMBER = "100"
IDS = ["FR.1", "FR.2", "FR.3", "FR.4"]

Said = dict[str, list[str]]


class Lines(msgspec.Struct):
    said: list[str]


def loop() -> Loop[Merging[Said]]:
    """A service that keeps what was said to it, by conversation."""

    def decide(said: Said, received: Received) -> list[Effect]:
        event = received.event
        assert isinstance(event, MessageReceived)
        said[event.conversation].append(event.wamid)
        return []

    def part(said: Said, merged: ConversationMerged, _: Received) -> Any:
        lines = said.pop(merged.conversation, [])
        return ([("lines", Lines(lines))] if lines else []), ()

    def join(said: Said, moved: StateMoved, _: Received) -> list[Effect]:
        said[moved.conversation] += msgspec.json.decode(moved.document, type=Lines).said
        return []

    async def unused(*_: Any) -> Any:
        raise AssertionError

    inner = Loop("toy.conversations", (INBOUND,), lambda *_: True, unused, decide, unused)
    return merging(inner, part, join)


class Homes:
    """What the runner and the database do: a queue for each conversation and topic, repeats dropped, rows kept."""

    def __init__(self) -> None:
        self.loop = loop()
        self.said: Said = defaultdict(list)
        self.ended: dict[str, str] = {}
        self.memories: dict[str, Memory] = defaultdict(Memory)
        self.queues: dict[tuple[str, str], deque[tuple[str, Event]]] = defaultdict(deque)

    def arrives(self, topic: str, event_id: str, event: Event) -> None:
        self.queues[topic, str(getattr(event, "conversation"))].append((event_id, event))  # noqa: B009

    def waiting(self) -> list[tuple[str, str]]:
        return sorted(at for at, queue in self.queues.items() if queue)

    def work(self, at: tuple[str, str]) -> None:
        topic, conversation = at
        event_id, event = self.queues[at].popleft()
        if topic == INBOUND.name:
            if self.memories[conversation].look(event_id, NOW) is Seen.REPEAT:
                return
            self.memories[conversation] = self.memories[conversation].taken(event_id, NOW)
        event = decode(event.ce_type, encode(event))
        received = Received(topic, 0, 0, event_id, NOW, event, {})
        ended = {
            source: Ended(into, self.memories[source], None)
            for source, into in self.ended.items()
            if conversation in (source, into)
        }
        world = Merging(self.said, ended, {conversation: self.memories[conversation]})
        effects = self.loop.decide(world, received)
        self.ended.update({one: world.ended[one].into for one in world.changed})
        for n, effect in enumerate(effects):
            if isinstance(effect, NotTaken):
                self.memories[conversation] = self.memories[conversation].without(event_id)
                continue
            assert isinstance(effect, Publish)
            self.arrives(COMMAND.name, name_based_id(f"{event_id}{n}"), effect.event)


def message(customer: str, n: int) -> tuple[str, Event]:
    wamid = f"wamid.{n}"
    event = MessageReceived(f"{NUMBER}:{customer}", NUMBER, Customer(customer), wamid, NOW, Text("x"), "shop")
    return inbound_id(NUMBER, wamid), event


def merge(ended: str, into: str) -> ConversationMerged:
    return ConversationMerged(f"{NUMBER}:{ended}", f"{NUMBER}:{into}", NUMBER, Customer(ended), NOW)


MESSAGES = st.tuples(st.sampled_from(IDS), st.integers(1, 6))
MERGES = st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)).filter(lambda pair: pair[0] > pair[1])
LIVES = st.lists(MESSAGES | MERGES, max_size=14)


@settings(max_examples=400)
@given(LIVES, st.randoms())
def test_nothing_is_lost_and_all_ends_at_the_least(life: list[tuple[str, Any]], chance: Any) -> None:
    homes, messages = Homes(), set()
    # Who is told last of all: every other id goes on as the least, as a door says that has read all the links.
    for n, (customer, what) in enumerate([*life, *((one, IDS[0]) for one in IDS[1:])]):
        if isinstance(what, int):
            messages.add(f"wamid.{n}")
            homes.arrives(INBOUND.name, *message(customer, n))
        else:
            for _ in range(chance.randint(1, 2)):
                homes.arrives(COMMAND.name, name_based_id(f"{customer}{what}"), merge(customer, what))
        if chance.random() < 0.5 and homes.waiting():
            homes.work(chance.choice(homes.waiting()))
    while homes.waiting():
        homes.work(chance.choice(homes.waiting()))
    held = {conversation: sorted(said) for conversation, said in homes.said.items() if said}
    assert held == ({f"{NUMBER}:{IDS[0]}": sorted(messages)} if messages else {})


@settings(max_examples=300)
@given(st.lists(st.sampled_from(IDS[:2]), min_size=1, max_size=5), st.randoms())
def test_a_message_repeated_from_outside_is_taken_once_whichever_home_it_reaches(ways: list[str], chance: Any) -> None:
    """One message, again and again, by doors that know the merge and doors that do not yet; one at a time, as
    Meta repeats only what it thinks was not taken.
    """
    homes = Homes()
    told = False
    for way in ways:
        if not told and chance.random() < 0.5:
            homes.arrives(COMMAND.name, name_based_id("m"), merge(IDS[1], IDS[0]))
            told = True
        homes.arrives(INBOUND.name, *message(way if told or way == ways[0] else ways[0], 7))
        while homes.waiting():
            homes.work(homes.waiting()[0])
    assert sum(len(said) for said in homes.said.values()) == 1


def test_a_repeat_that_comes_before_the_forwarded_message_does_not_take_its_place() -> None:
    """The ended conversation's home has forwarded it, and its outbox is published late."""
    homes = Homes()
    ended, into = f"{NUMBER}:{IDS[1]}", f"{NUMBER}:{IDS[0]}"
    homes.arrives(COMMAND.name, name_based_id("m"), merge(IDS[1], IDS[0]))
    homes.work((COMMAND.name, ended))
    homes.arrives(INBOUND.name, *message(IDS[1], 7))
    homes.work((INBOUND.name, ended))
    for _ in range(2):
        homes.arrives(INBOUND.name, *message(IDS[0], 7))
        homes.work((INBOUND.name, into))
        assert homes.said[into] == []
    homes.work((COMMAND.name, into))
    homes.arrives(INBOUND.name, *message(IDS[0], 7))
    homes.work((INBOUND.name, into))
    assert homes.said[into] == ["wamid.7"]


def test_the_loop_wants_merges_and_only_what_is_forwarded_to_itself() -> None:
    wants = loop().wants
    assert wants(COMMAND.name, {"ce_type": ConversationMerged.ce_type})
    assert wants(COMMAND.name, {"ce_type": StateMoved.ce_type, "panier_owner": "toy.conversations"})
    assert not wants(COMMAND.name, {"ce_type": StateMoved.ce_type, "panier_owner": "cart.conversations"})
    assert not wants(COMMAND.name, {"ce_type": "panier.order.advanced.v1"})
    assert wants(INBOUND.name, {})
