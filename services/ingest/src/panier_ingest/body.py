"""Reading a request's body within limits, and how much of bodies is held at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.types import Receive

LIMIT_BYTES: Final = 3_145_728
SMALL_BYTES: Final = 16 * 1024  # a webhook as it nearly always is
# A body that is too large is read to its end, so that its sender gets to see the answer; but not any body.
PATIENCE_BYTES: Final = 16 * 1024 * 1024


class TooLarge(Exception):  # noqa: N818 - a condition of the request, answered 413
    """The body is over the limit. `read_on` is False when its rest was not read: the connection must close."""

    def __init__(self, read_on: bool) -> None:
        super().__init__("the body is too large")
        self.read_on = read_on


class Gone(Exception):  # noqa: N818 - a condition of the connection
    """The sender closed the connection in the middle: nobody is there to be answered."""


class Full(Exception):  # noqa: N818 - a condition of the moment, answered 503
    """There is no room for more: as much is held as may be held at once."""


class Room:
    """The bytes and requests that may be held at once. A request takes its place and gives it back.

    What is larger than the usual webhook leaves half of the room free: whoever sends much must not keep the others out.
    """

    def __init__(self, limit_bytes: int, limit_requests: int) -> None:
        self._free_bytes = limit_bytes
        self._for_small = limit_bytes // 2
        self._free_requests = limit_requests

    def take(self, size: int) -> bool:
        """Whether there was room for a small request; if so it is taken."""
        if self._free_requests <= 0 or self._free_bytes < size:
            return False
        self._free_requests -= 1
        self._free_bytes -= size
        return True

    def give(self, size: int) -> None:
        self._free_requests += 1
        self._free_bytes += size

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """For a request whose body is still to come. Raises Full."""
        if not self.take(0):
            raise Full
        place = Place(self)
        try:
            yield place
        finally:
            self.give(place.size)

    def grow(self, size: int, more: int) -> None:
        """Let a request that holds `size` bytes hold `more`. Raises Full."""
        left = self._free_bytes - more
        if more and left < (self._for_small if size + more > SMALL_BYTES else 0):
            raise Full
        self._free_bytes = left


class Place:
    """What one request holds: what has come of its body, not what was announced, which costs its sender nothing."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.size = 0

    def grow(self, more: int) -> None:
        """Raises Full."""
        self._room.grow(self.size, more)
        self.size += more


def declared(content_length: bytes | str | None) -> int:
    """How long a body is said to be; the limit when its header says nothing usable."""
    if content_length is None or not content_length.isdigit() or len(content_length) > 18:
        return LIMIT_BYTES
    return min(int(content_length), LIMIT_BYTES)


async def read_body(receive: Receive, place: Place) -> bytes:
    """The whole body, for which room is taken as it comes. Raises TooLarge, Full or Gone."""
    message = await receive()
    body: bytes = message.get("body", b"")
    place.grow(len(body))
    if message["type"] == "http.request" and not message.get("more_body") and len(body) <= LIMIT_BYTES:
        return body  # nearly always: it came in one piece
    pieces, size = [body], len(body)
    while message["type"] == "http.request" and message.get("more_body"):
        if size > PATIENCE_BYTES:
            raise TooLarge(read_on=False)
        message = await receive()
        piece = message.get("body", b"")
        size += len(piece)
        if size <= LIMIT_BYTES:
            place.grow(len(piece))
            pieces.append(piece)
        else:
            pieces.clear()
    if message["type"] != "http.request":
        raise Gone
    if size > LIMIT_BYTES:
        raise TooLarge(read_on=size <= PATIENCE_BYTES)
    return b"".join(pieces)
