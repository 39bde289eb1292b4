"""Reading a request's body within limits, and how much of bodies is held at once."""

from typing import Final

from starlette.types import Receive

LIMIT_BYTES: Final = 3_145_728
# A body that is too large is read to its end, so that its sender gets to see the answer; but not any body.
PATIENCE_BYTES: Final = 16 * 1024 * 1024


class TooLarge(Exception):  # noqa: N818 - a condition of the request, answered 413
    """The body is over the limit. `read_on` is False when its rest was not read: the connection must close."""

    def __init__(self, read_on: bool) -> None:
        super().__init__("the body is too large")
        self.read_on = read_on


class Gone(Exception):  # noqa: N818 - a condition of the connection
    """The sender closed the connection in the middle: nobody is there to be answered."""


class Room:
    """The bytes and requests that may be held at once. A request takes its place and gives it back."""

    def __init__(self, limit_bytes: int, limit_requests: int) -> None:
        self._free_bytes = limit_bytes
        self._free_requests = limit_requests

    def take(self, size: int) -> bool:
        """Whether there was room; if so it is taken."""
        if self._free_requests <= 0 or self._free_bytes < size:
            return False
        self._free_requests -= 1
        self._free_bytes -= size
        return True

    def give(self, size: int) -> None:
        self._free_requests += 1
        self._free_bytes += size


def declared(content_length: bytes | str | None) -> int:
    """How much room a body needs: what its header says, the limit when it says nothing usable."""
    if content_length is None or not content_length.isdigit() or len(content_length) > 18:
        return LIMIT_BYTES
    return min(int(content_length), LIMIT_BYTES)


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises TooLarge, or Gone."""
    message = await receive()
    body: bytes = message.get("body", b"")
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
            pieces.append(piece)
        else:
            pieces.clear()
    if message["type"] != "http.request":
        raise Gone
    if size > LIMIT_BYTES:
        raise TooLarge(read_on=size <= PATIENCE_BYTES)
    return b"".join(pieces)
