"""Just enough of HTTP/1.1 for both ends of a load: where one message with a Content-Length ends. Not a parser."""


def split(buffer: bytes) -> tuple[bytes, bytes, int] | None:
    """(head, body, where the next message begins) of the first whole message, None while some of it is missing."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = buffer[:end]
    at = head.lower().find(b"content-length:")
    length = int(head[at + 15 :].split(b"\r", 1)[0]) if at >= 0 else 0
    begin = end + 4
    if len(buffer) < begin + length:
        return None
    return head, buffer[begin : begin + length], begin + length


def is_last(head: bytes) -> bool:
    """Whether nothing more can be read on a connection after this answer: it ends, or its length is not known."""
    folded = head.lower()
    return b"\r\nconnection: close" in folded or b"\r\ntransfer-encoding:" in folded
