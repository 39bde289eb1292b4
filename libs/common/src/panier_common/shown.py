"""When messages with buttons were sent: what a conversation remembers of them, so that a press knows its age.

A press names the message that held the button, never when that was. A memory is bytes: 12 for each message,
8 of a digest of its wamid and 4 of its time in seconds, the newest last. Pure.
"""

from datetime import datetime, timedelta
from hashlib import blake2b

# A button older than this shows the present state instead of acting.
OLD_AFTER = timedelta(hours=24)
# More than one customer is sent in years; what is older than all of them is old.
LIMIT = 512

_DIGEST, _TIME = 8, 4
_ENTRY = _DIGEST + _TIME
# SQL for when the newest message of a row's memory was sent; 1970 when there is none.
NEWEST = (
    "to_timestamp(CASE WHEN length(memory) < 12 THEN 0 "
    "ELSE ('x' || encode(substr(memory, length(memory) - 3), 'hex'))::bit(32)::bigint END)"
)


def remembered(memory: bytes, wamid: str, sent_at: datetime) -> bytes:
    """The memory with this message; the oldest one is forgotten when it is full."""
    return (memory + _digest(wamid) + int(sent_at.timestamp()).to_bytes(_TIME))[-LIMIT * _ENTRY :]


def joined(mine: bytes, theirs: bytes) -> bytes:
    """What two conversations of one customer remember, in the order of time; the oldest are forgotten."""
    both = mine + theirs
    entries = sorted((both[at : at + _ENTRY] for at in range(0, len(both), _ENTRY)), key=lambda one: one[_DIGEST:])
    return b"".join(entries[-LIMIT:])


def is_old(memory: bytes, wamid: str, pressed_at: datetime) -> bool:
    """Whether the message that holds the button was sent too long before the press.

    A message that is not remembered was sent a moment ago, its `MessageSent` not read yet; or it is older than
    all that a full memory holds.
    """
    wanted = _digest(wamid)
    for at in range(len(memory) - _ENTRY, -1, -_ENTRY):
        if memory[at : at + _DIGEST] == wanted:
            sent = int.from_bytes(memory[at + _DIGEST : at + _ENTRY])
            return pressed_at.timestamp() - sent > OLD_AFTER.total_seconds()
    return len(memory) >= LIMIT * _ENTRY


def _digest(wamid: str) -> bytes:
    return blake2b(wamid.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
