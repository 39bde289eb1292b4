"""A port for a process that is about to be started on this machine."""

import contextlib
import secrets
import socket

# Below the ports that Linux (32768 on) and macOS (49152 on) give to outgoing connections.
_PORTS = range(20_000, 32_768)
_given: set[int] = set()  # to processes that may not have begun yet


def free_port() -> int:
    """One that nobody listens on right now, that no outgoing connection takes before its owner has begun, and that
    this process was not given before.
    """
    while True:
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("0.0.0.0", port))
            if port not in _given:
                _given.add(port)
                return port
