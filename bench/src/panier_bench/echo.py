"""`python -m panier_bench.echo PORT`: a bare ASGI echo under the server and the settings that ingest runs under."""

import asyncio
import gc
import signal
import sys

from panier_common.connections import Bounds
from panier_common.process import main
from panier_common.web import Server
from starlette.types import Receive, Scope, Send


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what it was sent."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve() -> None:
    # As ingest has them.
    bounds = Bounds(connections=10_000, body_bytes=16 * 1024 * 1024, request_seconds=15.0)
    server = Server(echo, "127.0.0.1", int(sys.argv[1]), bounds=bounds, proxy_headers=False)
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    gc.collect()
    gc.freeze()  # as every service does
    gc.set_threshold(10_000, 20, 20)
    await stop.wait()
    await server.stop()


if __name__ == "__main__":
    main(serve)
