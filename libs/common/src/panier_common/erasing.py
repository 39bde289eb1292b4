"""A customer is forgotten: around a loop, so that its service only says which of its rows are theirs.

`CustomerErased` reaches the home of each of the customer's conversations. The home waits until all is read that
was on its topics by then, and what others made of it a moment later. Then the service's rows go in one
transaction, and with them what the runner keeps of a conversation and dead letters with the customer's ids. What
was begun within those seconds and cannot be broken off stays whole, with its timers.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Generic, TypeVar

from panier_common.batch import Loop
from panier_common.contracts.events import CustomerErased, Event
from panier_common.effects import Effect, SetTimer
from panier_common.event import Headers, Received
from panier_common.postgres import Connection
from panier_common.process import Process
from panier_common.read_progress import Progress
from panier_common.runner import Runner
from panier_common.topics import COMMAND, Topic

W = TypeVar("W")

# For what the other services still made of the customer's last messages.
SETTLE_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 1.0

Erase = Callable[[Connection, Sequence[str]], Awaitable[Collection[str] | None]]
"""Forgets these conversations in the service's tables: a constant number of statements.

Gives back those that it left alone, since something began in them that needs its customer: there the runner forgets
nothing either.
"""
Also = Callable[[str], Sequence[Effect]]
"""What follows outside of the tables when a conversation is forgotten."""
Look = Callable[[Collection[str], Collection[int]], Awaitable[Mapping[tuple[str, int], Progress]]]
"""(topics, homes) → how far each was read: a runner's."""


class ErasureDue(Event, frozen=True):
    """Time to forget a conversation, if all that came before is read."""

    ce_type: ClassVar[str] = "panier.runner.erasure-due.v1"
    conversation: str
    ids: tuple[str, ...]
    at: datetime


@dataclass
class Erasing(Generic[W]):
    """A batch's working set: the service's own, how far its homes were read, and what it forgets, with its homes."""

    inner: W
    progress: Mapping[tuple[str, int], Progress] = field(default_factory=dict)
    due: list[ErasureDue] = field(default_factory=list)
    homes: set[int] = field(default_factory=set)


def _nothing(conversation: str) -> Sequence[Effect]:
    return ()


async def _unread(topics: Collection[str], homes: Collection[int]) -> Mapping[tuple[str, int], Progress]:
    return {}


async def _no_rows(connection: Connection, conversations: Sequence[str]) -> None:
    """A service that only answers keeps no rows of its own."""


@dataclass
class Eraser(Generic[W]):
    """A loop that takes part in erasures. `look` is its runner's, known once there is one."""

    inner: Loop[W]
    erase: Erase = _no_rows
    also: Also = _nothing
    look: Look = _unread

    @property
    def topics(self) -> tuple[Topic, ...]:
        return self.inner.topics if COMMAND in self.inner.topics else (*self.inner.topics, COMMAND)

    def loop(self) -> Loop[Erasing[W]]:
        inner = self.inner
        committed = inner.on_commit
        return Loop(
            **{one.name: getattr(inner, one.name) for one in dataclasses.fields(inner)}
            | {
                "topics": self.topics,
                "wants": self._wants,
                "load": self._load,
                "decide": self._decide,
                "save": self._save,
                "timer_events": (*inner.timer_events, ErasureDue),
                "on_commit": None if committed is None else lambda world: committed(world.inner),
            }
        )

    def _wants(self, topic: str, headers: Headers) -> bool:
        if topic == COMMAND.name and headers.get("ce_type") == CustomerErased.ce_type:
            return True
        return (topic != COMMAND.name or COMMAND in self.inner.topics) and self.inner.wants(topic, headers)

    async def _load(self, connection: Connection, batch: Sequence[Received]) -> Erasing[W]:
        homes = {received.partition for received in batch if isinstance(received.event, ErasureDue)}
        progress = await self.look([topic.name for topic in self.topics], homes) if homes else {}
        return Erasing(await self.inner.load(connection, batch), progress)

    def _decide(self, world: Erasing[W], received: Received) -> Sequence[Effect]:
        match received.event:
            case CustomerErased(conversation=conversation, ids=ids, at=at):
                return (SetTimer(timer_key(conversation), SETTLE_SECONDS, ErasureDue(conversation, ids, at)),)
            case ErasureDue() as due if not self._has_read(world, received, due.at + timedelta(seconds=SETTLE_SECONDS)):
                return (SetTimer(timer_key(due.conversation), LOOK_AGAIN_SECONDS, due),)
            case ErasureDue() as due:
                world.due.append(due)
                world.homes.add(received.partition)
                return self.also(due.conversation)
            case _:
                return self.inner.decide(world.inner, received)

    def _has_read(self, world: Erasing[W], received: Received, moment: datetime) -> bool:
        """Whether all is decided on that was written before that moment, by the log and not by the clock."""
        places = [(topic.name, received.partition) for topic in self.topics]
        return all(world.progress.get(place, Progress()).passed(moment, received.at) for place in places)

    async def _save(self, connection: Connection, world: Erasing[W]) -> None:
        await self.inner.save(connection, world.inner)
        if world.due:
            left = await self.erase(connection, sorted({due.conversation for due in world.due})) or ()
            gone = [due for due in world.due if due.conversation not in left]
            await forget(connection, self.inner.name, sorted(world.homes), gone)


def timer_key(conversation: str) -> str:
    return f"erase:{conversation}"


def add(process: Process, loop: Loop[W], erase: Erase = _no_rows, also: Also = _nothing) -> Runner[Erasing[W]]:
    """Run this loop, which forgets customers."""
    eraser = Eraser(loop, erase, also)
    runner = process.add_loop(eraser.loop())
    eraser.look = runner.progress
    return runner


async def forget(connection: Connection, loop: str, homes: Sequence[int], due: Sequence[ErasureDue]) -> None:
    """What the runner keeps of these conversations, and dead letters that name the customer."""
    conversations = sorted({one.conversation for one in due})
    await connection.execute(
        "DELETE FROM conversation WHERE loop = $1 AND conversation = ANY($2::text[])", loop, conversations
    )
    await connection.execute(
        "DELETE FROM merged WHERE loop = $1 AND conversation = ANY($2::text[])", loop, conversations
    )
    await connection.execute(
        "DELETE FROM timer WHERE loop = $1 AND home = ANY($2::int[]) "
        "AND EXISTS (SELECT FROM unnest($3::bytea[]) AS word WHERE position(word IN value) > 0)",
        loop,
        homes,
        quoted(conversations),
    )
    ids = {name for one in due for name in one.ids}
    await connection.execute(
        "DELETE FROM dead_letter WHERE key = ANY($1::text[]) "
        "OR EXISTS (SELECT FROM unnest($2::bytea[]) AS word "
        "WHERE position(word IN value) > 0 OR position(word IN edited) > 0)",
        conversations,
        quoted({*conversations, *ids}),
    )


def quoted(words: Sequence[str] | set[str]) -> list[bytes]:
    """Words as JSON has them whole: an id is no part of a longer one."""
    return [f'"{word}"'.encode() for word in sorted(words)]
