"""Records that nobody can digest, put on topics past the door: each must become a dead letter, and nothing else."""

import asyncio
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from panier_proof.ledger import Ledger, Planted

_AT_ONCE = 3
_BROKER_SECONDS = 120.0
# What the records pretend to be; `inbound` and `enquiry` also say for whom.
_TOPICS = {
    "inbound": ("panier.inbound.v1", "panier.message.received.v1"),
    "stock": ("panier.stock.v1", "panier.stock.reserved.v1"),
    "payment": ("panier.payment.v1", "panier.payment.notified.v1"),
    "enquiry": ("panier.enquiry.v1", "panier.enquiry.raised.v1"),
}
_BODIES = (b"{broken", b'{"conversation": 7}', b"[]", b"null")


class Planter:
    """Plants, and writes down where. While a broker is away the producer tries again, idempotently."""

    def __init__(self, servers: str, ledger: Ledger) -> None:
        self._servers = servers
        self._ledger = ledger

    async def plant(self, target: str, which: int) -> None:
        """Some records among those of a customer who is shopping, so that there are neighbours."""
        kind, _, owner = target.partition("/")
        topic, ce_type = _TOPICS[kind]
        pages = self._ledger.customers
        key = pages[which % len(pages)].conversation if pages else "nobody"
        producer = await self._producer()
        try:
            for n in range(_AT_ONCE):
                headers = {
                    "ce_id": f"poison-{which}-{n}",
                    "ce_type": ce_type,
                    "ce_time": datetime.now(UTC).isoformat(),
                    "ce_source": "/panier/proof",
                    **({"panier_owner": owner or "catalog"} if kind in ("inbound", "enquiry") else {}),
                }
                wire = [(name, value.encode()) for name, value in headers.items()]
                body = _BODIES[(which + n) % len(_BODIES)]
                put = await producer.send_and_wait(topic, body, key=key.encode(), headers=wire)
                self._ledger.planted.append(Planted(topic, put.partition, put.offset, target))
        finally:
            await producer.stop()

    async def _producer(self) -> AIOKafkaProducer:
        """One that is connected: the broker may be the next fault's victim just now."""
        async with asyncio.timeout(_BROKER_SECONDS):
            while True:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._servers,
                    acks="all",
                    enable_idempotence=True,
                    request_timeout_ms=int(_BROKER_SECONDS * 1000),
                )
                try:
                    await producer.start()
                    return producer
                except KafkaError:
                    await producer.stop()
                    await asyncio.sleep(1)
