"""What a decision may ask for. Free of I/O: rule modules import this, never the runner."""

from typing import TypeAlias

import msgspec

from panier_common.contracts.events import Event
from panier_common.topics import Topic


class Publish(msgspec.Struct, frozen=True):
    """An event for its topic, under its key; id, time and trace follow from what caused it."""

    event: Event


class Tombstone(msgspec.Struct, frozen=True):
    """The end of a key on a compacted topic."""

    topic: Topic
    key: str


class SetTimer(msgspec.Struct, frozen=True):
    """Decide on `event` after that long; a timer of the same key in the same home is replaced."""

    key: str
    after_seconds: float
    event: Event


class DropTimer(msgspec.Struct, frozen=True):
    key: str


class NotTaken(msgspec.Struct, frozen=True):
    """The message is not this conversation's to remember: who brings it rightly would not be heard."""


Effect: TypeAlias = Publish | Tombstone | SetTimer | DropTimer | NotTaken
