"""`python -m panier_ingest`: builds the door's parts and runs them. The only place that builds things."""

import asyncio
import socket

from panier_common.compacted import keep_moving
from panier_common.connections import Bounds
from panier_common.process import Process, main
from panier_common.topics import ACCOUNT, COMMAND, DELIVERY, IDENTITY, INBOUND, PAYMENT
from panier_common.web import Server

from panier_ingest import erasure, metrics
from panier_ingest.app import create_app
from panier_ingest.body import PATIENCE_BYTES
from panier_ingest.identity_directory import IdentityDirectory
from panier_ingest.publisher import Publisher
from panier_ingest.settings import IngestSettings
from panier_ingest.shortcut import Shortcut

# Longer than a load balancer keeps an idle connection (60 s is usual): who closes first must not be the server.
KEEP_ALIVE_SECONDS = 75
TOPICS = (INBOUND, DELIVERY, PAYMENT, ACCOUNT, IDENTITY, COMMAND)


async def serve() -> None:
    settings = IngestSettings()
    async with Process("ingest", settings) as process:
        metrics.register()
        shops = process.follow_shops()
        identities = IdentityDirectory(settings.kafka_bootstrap_servers)
        process.add_task("identities", identities.follow())
        process.add_check("identities", identities.why_not_ready)
        process.add_router(erasure.router(identities, process.producer))
        process.add_task("identity", keep_moving(process.producer, IDENTITY))
        publisher = Publisher(process.producer, TOPICS, settings.acknowledge_seconds)
        process.add_check("kafka", publisher.trouble)
        app = create_app(settings, shops, identities, publisher)
        public = Server(
            app,
            settings.host,
            settings.port,
            bounds=Bounds(connections=settings.waiting_requests, body_bytes=PATIENCE_BYTES, request_seconds=15.0),
            connection=Shortcut,
            headers={},  # the door sets them itself where they matter: an empty 200 to a machine goes without
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        process.add_task("door", _open(public, publisher, settings))
        process.add_drain(public.stop)
        await process.run()


async def _open(public: Server, publisher: Publisher, settings: IngestSettings) -> None:
    """Serve until cancelled, publishing to the end: what is in flight when the process stops is still answered."""
    _check_port(settings.host, settings.port)
    publishing = asyncio.create_task(publisher.run(), name="publisher")
    try:
        await public.start()
        await asyncio.wait([publishing])  # not awaited itself: being cancelled here must not cancel it yet
        publishing.result()
    finally:
        await public.stop()
        publishing.cancel()
        await asyncio.wait([publishing])


def _check_port(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise RuntimeError(f"cannot listen on {host}:{port} ({error}): set PANIER_INGEST_PORT") from None


if __name__ == "__main__":
    main(serve)
