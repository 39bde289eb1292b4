"""Micro-batches: what waits together goes together, and order within a partition is kept."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from panier_common.kafka import Producer, partition_of
from panier_common.topics import INBOUND
from panier_ingest import metrics
from panier_ingest.publisher import NotAcknowledged, Publisher
from panier_ingest.record import Record


def record(key: str, value: bytes) -> Record:
    return Record(INBOUND.name, key, value, [("ce_id", b"x")])


async def test_what_waits_together_is_few_batches(
    publisher: Publisher, door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(metrics, "published", lambda topic, records, seconds: sizes.append(records))
    await asyncio.gather(*(publisher.publish([record("one", b"%d" % n)]) for n in range(500)))
    assert sum(sizes) == 500
    assert len(sizes) <= 3
    values = [int(found.value) for found in await door.records(500)]
    assert values == list(range(500))


async def test_more_than_a_batch_holds_goes_on_in_order(publisher: Publisher, door: Any) -> None:
    """Records of 100 kB each: a batch holds a few, the next follows its acknowledgement."""
    await asyncio.gather(*(publisher.publish([record("one", b"%06d" % n * 16_000)]) for n in range(40)))
    assert [int(found.value[:6]) for found in await door.records(40)] == list(range(40))


async def test_a_request_waits_for_all_its_partitions(publisher: Publisher, door: Any) -> None:
    keys = [f"key-{n}" for n in range(100)]
    await publisher.publish([record(key, key.encode()) for key in keys])
    found = Counter(int(one.partition) for one in await door.records(100))
    assert found == Counter(partition_of(key, 12) for key in keys)


async def test_without_a_broker_nothing_is_promised() -> None:
    lonely = Publisher(Producer("127.0.0.1:9", "ingest-tests"), (INBOUND,), acknowledge_seconds=0.2)
    running = asyncio.create_task(lonely.run())
    try:
        async with asyncio.timeout(20):
            while "does not answer" not in str(lonely.trouble()):  # noqa: ASYNC110 - probes ask, nobody tells
                await asyncio.sleep(0.01)
        with pytest.raises(NotAcknowledged):
            await lonely.publish([record("one", b"x")])
    finally:
        running.cancel()
        await asyncio.wait([running])
