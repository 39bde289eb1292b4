"""Publishes how a shop's day stands, at most once a second for each day that changed."""

import asyncio
from datetime import UTC, datetime

import structlog
from aiokafka.errors import KafkaError
from panier_common.event import caused_id, encode
from panier_common.kafka import Producer
from panier_common.shops import ShopDirectory

from panier_sales.counting import total
from panier_sales.figures import snapshot
from panier_sales.worker import Worker

EVERY_SECONDS = 1.0

log = structlog.get_logger()


async def publish_changes(worker: Worker, shops: ShopDirectory, producer: Producer) -> None:
    """Until cancelled, the newest day first.

    What could not be published, or changed meanwhile, stays marked as changed; the latest figures win.
    """
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        for shop, day in sorted(worker.changed, key=lambda changed: changed[1], reverse=True):
            if worker.why_not_ready() is not None:
                break
            times = worker.changed[shop, day]
            try:
                await _publish(worker, shops, producer, shop, day)
            except (KafkaError, OSError) as error:
                log.warning("a sales snapshot was not published, again soon", error=type(error).__name__)
                break
            if worker.changed[shop, day] == times:
                del worker.changed[shop, day]


async def _publish(worker: Worker, shops: ShopDirectory, producer: Producer, shop: str, day: str) -> None:
    known = shops.by_id.get(shop)
    event = snapshot(shop, day, known.timezone if known else "UTC", total(worker.day(shop, day)))
    event_id = caused_id("sales", encode(event).hex(), event.ce_type, 0)
    await producer.publish(event, event_id, datetime.now(UTC), "sales")
