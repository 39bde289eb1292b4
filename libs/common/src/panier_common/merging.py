"""One conversation becomes another: around a loop, so that its service only says what its rows become.

The home of the conversation that ends takes note of it once, publishes the service's rows for the other home, and
forwards whatever still comes. Nobody writes another home's rows. The other home reads what the ended conversation
remembered of its messages, so that one repeated from outside is known, whichever home took it.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from panier_common.batch import Loop
from panier_common.contracts.events import ConversationMerged, Event, EventForwarded, MessageReceived, StateMoved
from panier_common.effects import Effect, NotTaken, Publish
from panier_common.event import EVENT_TYPES, OWNER, Headers, Received, encode
from panier_common.memory import Memory, Seen
from panier_common.postgres import Connection
from panier_common.topics import COMMAND, INBOUND

W = TypeVar("W")

Rows = Sequence[tuple[str, msgspec.Struct]]
Part = Callable[[W, ConversationMerged, Received], tuple[Rows, Sequence[Effect]]]
Join = Callable[[W, StateMoved, Received], Sequence[Effect]]


@dataclass
class Ended:
    """A conversation that goes on as another, and what it remembered when it was read."""

    into: str
    memory: Memory
    language: str | None


@dataclass
class Merging(Generic[W]):
    """A batch's working set: the service's own, and the conversations of the batch that ended or took others in."""

    inner: W
    ended: dict[str, Ended] = field(default_factory=dict)
    taken: Mapping[str, Memory] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def took_in(self, conversation: str) -> list[tuple[str, Ended]]:
        return [(source, ended) for source, ended in self.ended.items() if ended.into == conversation]


def merging(loop: Loop[W], part: Part[W], join: Join[W]) -> Loop[Merging[W]]:
    """The loop, which now takes part in merges. `part` gives up a conversation's rows as (what, document), in
    order, with effects of its own; `join` takes one of them in.
    """
    kinds = {**EVENT_TYPES, **{event.ce_type: event for event in loop.timer_events}}

    def wants(topic: str, headers: Headers) -> bool:
        if topic == COMMAND.name:
            kind = headers.get("ce_type")
            if kind == ConversationMerged.ce_type:
                return True
            if kind in (StateMoved.ce_type, EventForwarded.ce_type):
                return headers.get(OWNER) == loop.name
        return (topic != COMMAND.name or COMMAND in loop.topics) and loop.wants(topic, headers)

    async def load(connection: Connection, batch: Sequence[Received]) -> Merging[W]:
        inner = await loop.load(connection, [_unwrapped(received, kinds) for received in batch])
        return await _load(connection, loop.name, inner, batch)

    def decide(world: Merging[W], received: Received) -> Sequence[Effect]:
        conversation = getattr(received.event, "conversation", "")
        ended = world.ended.get(conversation)
        match received.event:
            case ConversationMerged() as merged:
                return _part(world, merged, received, part, loop.name)
            case StateMoved() | EventForwarded() as passing if ended is not None:
                return (Publish(replace(passing, conversation=ended.into)),)
            case StateMoved() as moved:
                return join(world.inner, moved, received)
            case EventForwarded() as forwarded:
                inner = _unwrapped(received, kinds)
                return () if _is_repeat(world, inner, forwarded) else loop.decide(world.inner, _spoken(world, inner))
            case event if ended is not None:
                return (Publish(_forwarded(received, event, ended.into, loop.name)),)
            case _:
                if _is_repeat(world, received):
                    return (NotTaken(),)  # by the other it may be on its way here, forwarded
                return loop.decide(world.inner, _spoken(world, received))

    async def save(connection: Connection, world: Merging[W]) -> None:
        await loop.save(connection, world.inner)
        if world.changed:
            await _save(connection, loop.name, {one: world.ended[one].into for one in sorted(world.changed)})

    committed = loop.on_commit
    return Loop(
        **{one.name: getattr(loop, one.name) for one in dataclasses.fields(loop)}
        | {
            "topics": loop.topics if COMMAND in loop.topics else (*loop.topics, COMMAND),
            "wants": wants,
            "load": load,
            "decide": decide,
            "save": save,
            "on_commit": None if committed is None else lambda world: committed(world.inner),
        }
    )


def merging_memories(loop: Loop[W]) -> Loop[Merging[W]]:
    """For a service without rows of a conversation: its language and what it answered still go along."""
    return merging(loop, lambda *_: ((), ()), lambda *_: ())


def _part(
    world: Merging[W], merged: ConversationMerged, received: Received, part: Part[W], owner: str
) -> Sequence[Effect]:
    """Move everything once; a notice with a still lesser id only corrects where the rest is sent."""
    known = world.ended.get(merged.conversation)
    if merged.into >= merged.conversation or (known is not None and known.into <= merged.into):
        return ()  # told before
    memory, language = (known.memory, known.language) if known is not None else (Memory(), None)
    world.ended[merged.conversation] = Ended(merged.into, memory, language)
    world.changed.add(merged.conversation)
    if known is not None:
        return ()
    rows, effects = part(world.inner, merged, received)
    moved = (
        StateMoved(merged.into, merged.conversation, owner, what, msgspec.Raw(msgspec.json.encode(row)), received.at)
        for what, row in rows
    )
    return (*(Publish(one) for one in moved), *effects)


def _forwarded(received: Received, event: Event, into: str, owner: str) -> EventForwarded:
    value = msgspec.Raw(encode(replace(event, conversation=into)))
    source = str(getattr(event, "conversation", ""))
    answered_by = received.headers.get(OWNER, "")
    return EventForwarded(
        into, source, owner, received.topic, received.id, event.ce_type, value, received.at, answered_by
    )


def _unwrapped(received: Received, kinds: Mapping[str, type[Event]]) -> Received:
    """What was forwarded, as though it had come here at first."""
    event = received.event
    if not isinstance(event, EventForwarded):
        return received
    inner = replace(msgspec.json.decode(event.value, type=kinds[event.type]), conversation=event.conversation)
    headers = {**received.headers, "ce_type": event.type, OWNER: event.answered_by}
    return Received(
        event.topic, received.partition, received.offset, event.id, event.at, inner, headers, received.language
    )


def _is_repeat(world: Merging[W], received: Received, forwarded: EventForwarded | None = None) -> bool:
    """Whether a message was taken by one of the conversations that are now this one."""
    if received.topic != INBOUND.name or not isinstance(received.event, MessageReceived):
        return False
    conversation = received.event.conversation
    memories = [
        ended.memory
        for source, ended in world.took_in(conversation)
        if forwarded is None or source != forwarded.source  # that one remembers it because it forwarded it
    ]
    if forwarded is not None and conversation in world.taken:
        memories.append(world.taken[conversation])
    return any(memory.look(received.id, received.at) is Seen.REPEAT for memory in memories)


def _spoken(world: Merging[W], received: Received) -> Received:
    """With the language that the customer chose under another id, when none was chosen under this one."""
    if received.language is None:
        for _, ended in world.took_in(getattr(received.event, "conversation", "")):
            received.language = received.language or ended.language
    return received


async def _load(connection: Connection, loop: str, inner: W, batch: Sequence[Received]) -> Merging[W]:
    conversations = sorted({str(getattr(received.event, "conversation", "")) for received in batch} - {""})
    rows = await connection.fetch(
        'SELECT m.conversation, m."into", c.memory, c.language FROM merged m LEFT JOIN conversation c '
        "ON c.loop = m.loop AND c.conversation = m.conversation "
        'WHERE m.loop = $1 AND (m.conversation = ANY($2::text[]) OR m."into" = ANY($2::text[]))',
        loop,
        conversations,
    )
    ended = {
        row["conversation"]: Ended(row["into"], Memory.unpack(row["memory"] or b""), row["language"]) for row in rows
    }
    forwarded = sorted({r.event.conversation for r in batch if isinstance(r.event, EventForwarded)})
    own = (
        await connection.fetch(
            "SELECT conversation, memory FROM conversation WHERE loop = $1 AND conversation = ANY($2::text[])",
            loop,
            forwarded,
        )
        if forwarded
        else ()
    )
    return Merging(inner, ended, {row["conversation"]: Memory.unpack(row["memory"]) for row in own})


async def _save(connection: Connection, loop: str, ended: Mapping[str, str]) -> None:
    await connection.execute(
        'INSERT INTO merged (loop, conversation, "into") SELECT $1, * FROM unnest($2::text[], $3::text[]) '
        'ON CONFLICT (loop, conversation) DO UPDATE SET "into" = excluded."into", at = now()',
        loop,
        list(ended),
        list(ended.values()),
    )
