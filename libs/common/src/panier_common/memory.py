"""Which of a customer's messages were already taken: bounded, and honest about where it ends.

Meta repeats a webhook for 7 days. A conversation's row keeps the ids of two generations, 8 bytes each, at
most 512 together. A generation ends after 8 days or 256 ids, and the one before it is then forgotten. When
messages were forgotten because there were too many, a message as old as those cannot be judged any more.
"""

import struct
from datetime import datetime
from enum import Enum

import msgspec

ID_BYTES = 8
GENERATION_IDS = 256
GENERATION_SECONDS = 8 * 24 * 3600
_HEAD = struct.Struct("<IIIIH")
# SQL for when the newest message of a row's packed memory was sent; 1970 when there is none. `newest` of _HEAD.
NEWEST = (
    "to_timestamp(CASE WHEN length(memory) < 8 THEN 0 ELSE get_byte(memory, 4) + get_byte(memory, 5) * 256 "
    "+ get_byte(memory, 6) * 65536 + get_byte(memory, 7)::bigint * 16777216 END)"
)


class Seen(Enum):
    NEW = "new"
    REPEAT = "repeat"
    DOUBTFUL = "doubtful"


class Memory(msgspec.Struct):
    """`before` and `ids` are the ids of the two generations, one after the other.

    `reach`: messages up to this second (Unix) may have been forgotten; 0 when none were.
    """

    started: int = 0
    newest: int = 0
    newest_before: int = 0
    reach: int = 0
    before: bytes = b""
    ids: bytes = b""

    @classmethod
    def unpack(cls, packed: bytes) -> "Memory":
        if not packed:
            return cls()
        started, newest, newest_before, reach, count = _HEAD.unpack_from(packed)
        middle = _HEAD.size + count * ID_BYTES
        return cls(started, newest, newest_before, reach, packed[_HEAD.size : middle], packed[middle:])

    def pack(self) -> bytes:
        count = len(self.before) // ID_BYTES
        return _HEAD.pack(self.started, self.newest, self.newest_before, self.reach, count) + self.before + self.ids

    def look(self, message_id: str, at: datetime) -> Seen:
        """Whether the message with this id, sent at that time, was taken before. Raises ValueError: no UUID."""
        short = _short(message_id)
        if _place(self.ids, short) >= 0 or _place(self.before, short) >= 0:
            return Seen.REPEAT
        return Seen.DOUBTFUL if int(at.timestamp()) <= self.reach else Seen.NEW

    def taken(self, message_id: str, at: datetime) -> "Memory":
        """The memory with this message in it."""
        second = max(int(at.timestamp()), 0)
        short = _short(message_id)
        full = len(self.ids) >= GENERATION_IDS * ID_BYTES
        if full or (self.ids and second - self.started > GENERATION_SECONDS):
            reach = max(self.reach, self.newest_before) if full and self.before else self.reach
            return Memory(second, second, self.newest, reach, self.ids, short)
        return Memory(
            self.started or second,
            max(self.newest, second),
            self.newest_before,
            self.reach,
            self.before,
            self.ids + short,
        )

    def without(self, message_id: str) -> "Memory":
        """The memory before this message was taken, if it is among the last."""
        at = _place(self.ids, _short(message_id))
        return self if at < 0 else msgspec.structs.replace(self, ids=self.ids[:at] + self.ids[at + ID_BYTES :])

    def spoken(self, second: int) -> "Memory":
        """The same memory after a message of that second that told a language and was not taken."""
        return msgspec.structs.replace(self, newest=max(self.newest, second))


def _short(message_id: str) -> bytes:
    short = bytes.fromhex(message_id[:18].replace("-", ""))
    if len(short) != ID_BYTES:
        raise ValueError("not a UUID")
    return short


def _place(ids: bytes, short: bytes) -> int:
    """Where it stands among them, -1 when it is none; the end of one with the beginning of the next is none."""
    at = ids.find(short)
    while at % ID_BYTES and at > 0:
        at = ids.find(short, at + 1)
    return at
