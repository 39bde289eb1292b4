"""A version comes up while topics hold what the former one wrote, and what a later one writes already."""

import asyncio
import json

import pytest
from aiokafka import AIOKafkaProducer
from panier_common.event import name_based_id
from panier_common.kafka import partition_of
from panier_common.testing.kept_events import Example, kept
from panier_common.topics import TOPICS
from stack import SHOP, Customer, Stack, eventually, words_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


async def put(servers: str, examples: list[Example]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
    await producer.start()
    try:
        for one in examples:
            partitions = len(await producer.partitions_for(one.topic))
            await producer.send_and_wait(
                one.topic,
                one.value.encode(),
                key=one.key.encode(),
                partition=partition_of(one.key, partitions),
                headers=[(name, value.encode()) for name, value in one.headers.items()],
            )
    finally:
        await producer.stop()


def of_a_newer_version() -> list[Example]:
    """Every example once more with a field that is not known, and on each topic a kind that is not."""
    newer = []
    for one in kept():
        known = json.loads(one.value) | {"added_since": {"of": ["a", "newer", "version"]}}
        headers = {**one.headers, "ce_id": name_based_id(f"newer {one.headers['ce_id']}")}
        headers.pop("panier_seq", None)
        newer.append(Example(one.name, one.topic, one.key, headers, json.dumps(known)))
    by_topic = {one.topic: one for one in newer}
    for topic in TOPICS:
        model = by_topic[topic.name]
        headers = {**model.headers, "ce_type": "panier.kind.added.v1"}
        newer.append(Example("added", topic.name, model.key, headers, '{"nobody":"knows this"}'))
    return newer


def test_what_other_versions_wrote_stops_nobody_and_is_no_dead_letter(stack: Stack) -> None:
    before = stack.ask("orders", "list", "--shop", SHOP)
    kafka = stack.ask_status()["engines"]["kafka"]["address"]
    asyncio.run(put(kafka, list(kept())))
    eventually("the former version's to be read", lambda: caught_up(stack), 90)
    asyncio.run(put(kafka, of_a_newer_version()))
    eventually("the newer version's to be read", lambda: caught_up(stack), 90)

    assert stack.ask("dead", "list") == []
    eventually("the stack to be ready", stack.is_ready)
    customer = Customer(stack, "Cléo")
    customer.act(text="bonjour")
    assert "catalog:menu" in words_of(customer.answers(lambda new: "catalog:menu" in words_of(new)))
    assert stack.ask("orders", "list", "--shop", SHOP) == before


def caught_up(stack: Stack) -> bool:
    lags = [lag["records"] for service in stack.ask_status()["services"] for lag in service["lag"].values()]
    return bool(lags) and not any(lags)
