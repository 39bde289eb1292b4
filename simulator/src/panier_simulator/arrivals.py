"""How long a request had waited in the system's buffers when it was read: a busy process reads late what came in time.

Linux says when a connection's last bytes came (`TCP_INFO`, tcp(7)); elsewhere nothing is known to have waited.
"""

import asyncio
import socket
import struct
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# In linux/tcp.h, `struct tcp_info`: eight bytes, then words of four; this is the twelfth, in milliseconds.
_LAST_DATA_RECEIVED = 8 + 4 * 11


class Arrivals(HttpToolsProtocol):
    """Gives every request `state.waited`, in seconds."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["waited"] = waited(self.transport)


def waited(transport: asyncio.Transport) -> float:
    """Seconds since the connection's last bytes came."""
    option = getattr(socket, "TCP_INFO", None)
    connection = cast("socket.socket | None", transport.get_extra_info("socket"))
    if option is None or connection is None:
        return 0.0
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, option, _LAST_DATA_RECEIVED + 4)
    except OSError:
        return 0.0
    milliseconds: int = struct.unpack_from("=I", info, _LAST_DATA_RECEIVED)[0]
    return milliseconds / 1000
