"""Starts the simulator: `python -m panier_simulator`. The only place that builds things."""

import asyncio
import logging
import signal
import sys
from types import FrameType

import structlog
import uvicorn

from panier_simulator.arrivals import Arrivals
from panier_simulator.connections import Bounds, bounded, listen
from panier_simulator.hub import Hub
from panier_simulator.settings import Settings
from panier_simulator.web import build_app, build_exchange


class Server(uvicorn.Server):
    """Lets go of those who follow the chat first: their streams would keep the server from ending."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop:
            self._loop.call_soon_threadsafe(self._hub.close)
        super().handle_exit(sig, frame)


def log_as_json(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )


def main() -> int:
    settings = Settings()
    log_as_json(settings.log_level)
    log = structlog.get_logger()
    try:
        _ = settings.faults
    except ValueError as error:
        log.error("cannot start", setting="PANIER_SIMULATOR_FAULTS", why=str(error))
        return 1
    try:
        exchange = build_exchange(settings)
    except (OSError, ValueError, KeyError) as error:
        log.error("cannot start", setting="PANIER_SHOPS", path=str(settings.shops_file), why=repr(error))
        return 1
    try:
        listeners = listen(settings.simulator_host, settings.simulator_port)
    except OSError as error:
        log.error("cannot start", setting="PANIER_SIMULATOR_PORT", port=settings.simulator_port, why=repr(error))
        return 1
    config = uvicorn.Config(
        build_app(exchange, settings.simulator_check_tokens),
        log_level="warning",
        access_log=False,
        server_header=False,
        http=bounded(Bounds(connections=10_000, body_bytes=100 * 1024 * 1024), Arrivals),
        ws="none",
        headers=[("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")],
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
    host, port = listeners[0].getsockname()[:2]
    log.info("simulator starts", host=host, port=port)
    # uvicorn raises the signal that ended it again; by then there is nothing left to interrupt.
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, lambda *_: None)
    Server(config, exchange.hub).run(listeners)
    log.info("simulator stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
