"""The shop of the benchmarks, and how it and other records get on their topics."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from panier_common.contracts.events import Number, ShopConfigured
from panier_common.kafka import Outgoing, Producer, partition_of

NUMBER = "106540352242922"
# Enough that their limits, the highest that Meta gives, are not what is measured.
NUMBERS = (NUMBER, *(f"10654035224293{n}" for n in range(7)))
TOKEN = "BENCH_TOKEN"
SHOP = ShopConfigured(
    shop="bench",
    version=1,
    name="Bench",
    languages=("fr",),
    currency="EUR",
    timezone="Europe/Paris",
    catalog_id="1",
    numbers=tuple(Number(number, f"+33 1 {number[-2:]}", TOKEN, messages_per_second=1000) for number in NUMBERS),
    collect=True,
    delivery=None,
    payment_provider="simulated",
    expires_after_seconds=1800,
)


async def configure(producer: Producer) -> None:
    """Make the shop known to every service that follows the topic."""
    await producer.publish(SHOP, "bench-shop", datetime.now(UTC), "bench")


async def publish(producer: Producer, records: Sequence[Outgoing]) -> None:
    """In order for each key, as fast as the broker takes them."""
    by_place: dict[tuple[str, int], list[Outgoing]] = {}
    for record in records:
        partition = partition_of(record.key, await producer.partitions(record.topic))
        by_place.setdefault((record.topic, partition), []).append(record)
    await asyncio.gather(*(producer.send_in_order(topic, p, rows) for (topic, p), rows in by_place.items()))
