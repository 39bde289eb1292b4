"""One customer is shown everything that is held of them, and forgotten: in every table and on compacted topics.

What was said, under which ids and where to deliver is searched for in whole databases, compressed rows included.
"""

import asyncio
import json
import zlib
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from stack import NUMBER, SHOP, Customer, Stack, eventually, link_of, reply_ids, words_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

NAME, PHONE = "Zénobie Quatrefages", "33612340601"
SAID, STREET, NOTE = "un gâteau pour Barnabé Tournesol ?", "7 ruelle des Goélands, 35400 Saint-Malo", "sonner 2 fois"
WHO = ("--number", NUMBER, "--customer")
# Of what was sent the sender knows for 8 days which message it was, as long as Meta may still say that it failed.
BOUNDED = {("sender", "sent")}
DATABASES = ("catalog", "cart", "checkout", "sender", "console")


def has(prefix: str) -> Any:
    return lambda messages: any(i.startswith(prefix) for m in messages for i in reply_ids(m["body"]))


def ordered(stack: Stack, customer: Customer) -> dict[str, Any]:
    """Delivered to an address, paid; a person was called; something else is in the cart."""
    customer.act(text="Bonjour")
    customer.answers(has("catalog:menu"))
    customer.act(text=SAID)
    customer.answers()
    customer.act(cart=[{"sku": "pain-campagne", "quantity": 6}], text=NOTE)
    customer.answers(has("checkout:start"))
    customer.press("checkout:start", enough=has("checkout:deliver"))
    customer.press("checkout:deliver")
    customer.act(text=STREET)
    customer.answers(has("checkout:confirm:"))
    link = link_of(customer.press("checkout:confirm:", enough=lambda m: link_of(m) is not None))
    assert link is not None
    order: dict[str, Any] = stack.ask("orders", "show", link.partition("?")[0].rpartition("/")[2])
    assert stack.pay(order, "pay-erasure") == 200
    customer.answers()
    customer.act(text="conseiller")
    customer.answers()
    customer.act(cart=[{"sku": "croissant", "quantity": 3}])
    customer.answers(has("checkout:start"))
    return order


def databases(stack: Stack) -> dict[str, str]:
    data = stack.folder / "data"
    address = json.loads((data / "stack.json").read_text())["engines"]["postgres"]["address"].rpartition("/")[2]
    secrets = json.loads((data / "secrets.json").read_text())
    return {s: f"postgresql://panier_{s}:{secrets[f'database {s}']}@{address}/panier_{s}" for s in DATABASES}


async def found_in(service: str, url: str, words: set[str]) -> set[tuple[str, str]]:
    """(service, table) of every table with a row that holds one of the words, however it is kept."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = set()
        for (table,) in tables:
            rows = await connection.fetch(f'SELECT * FROM "{table}"')
            if any(word in text for row in rows for value in row.values() for text in texts(value) for word in words):
                found.add((service, table))
        return found
    finally:
        await connection.close()


def texts(value: Any) -> Iterator[str]:
    if not isinstance(value, bytes):
        yield str(value)
        return
    yield value.decode("utf-8", "replace")
    try:
        yield zlib.decompress(value).decode("utf-8", "replace")
    except zlib.error:
        return


def places(stack: Stack, words: set[str]) -> set[tuple[str, str]]:
    async def look() -> set[tuple[str, str]]:
        every = [await found_in(service, url, words) for service, url in databases(stack).items()]
        return set().union(*every)

    return asyncio.run(look())


def last_values(stack: Stack, topic: str) -> dict[bytes, bytes | None]:
    """What a compacted topic says of each of its keys now."""

    async def read() -> dict[bytes, bytes | None]:
        address = json.loads((stack.folder / "data" / "stack.json").read_text())["engines"]["kafka"]["address"]
        consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer._client.add_topic(topic)
            await consumer._client.force_metadata_update()
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends, said = await consumer.end_offsets(partitions), {}
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    said.update({record.key: record.value for record in records})
            return said
        finally:
            await consumer.stop()

    return asyncio.run(read())


def test_a_customer_is_shown_and_then_forgotten(stack: Stack) -> None:
    customer = Customer(stack, NAME, wa_id=PHONE)
    order = ordered(stack, customer)
    person = {customer.user_id, f'"{PHONE}"', f"{NUMBER}:{PHONE}", NAME, "Tournesol", "Goélands", NOTE}
    conversation = f"{NUMBER}:{customer.user_id}"

    shown = stack.ask("customer", "export", *WHO, PHONE)
    whole = json.dumps(shown, ensure_ascii=False)
    assert {word.strip('"') for word in person} - {f"{NUMBER}:{PHONE}"} <= {
        w.strip('"') for w in person if w.strip('"') in whole
    }
    assert shown["customer"]["conversations"][0] == conversation
    assert {"cart", "checkout", "console", "sender", "catalog"} == shown["services"].keys()
    assert {
        "panier.inbound.v1",
        "panier.outbound.v1",
        "panier.order.v1",
        "panier.payment.v1",
        "panier.sent.v1",
    } <= shown["topics"].keys()
    eventually("the outboxes to be empty", lambda: "outbox" not in {table for _, table in places(stack, person)})
    before = places(stack, person)
    assert {("console", "inbound_message"), ("checkout", "orders"), ("cart", "cart")} <= before

    code, _ = stack.panier("customer", "erase", *WHO, PHONE, check=False)
    assert code == 1, "an order is paid and was not handed over"
    assert places(stack, person) == before
    stack.ask("orders", "advance", order["order_id"], "completed")
    customer.answers()

    told = stack.ask("customer", "erase", *WHO, customer.user_id)
    assert told["gone_at"] == max(copy["gone_at"] for copy in told["copies"])
    # What was published leaves the outbox a moment later.
    eventually("the outboxes to be empty", lambda: {table for _, table in places(stack, person)}.isdisjoint({"outbox"}))
    assert places(stack, person) - BOUNDED == set()
    floor = last_values(stack, "panier.floor.v1")
    assert conversation.encode() in floor
    assert floor[conversation.encode()] is None
    kept = stack.ask("orders", "show", order["order_id"])
    assert (kept["number"], kept["total_minor"], kept["paid_minor"]) == (order["number"], 2370, 2370)
    assert [line["sku"] for line in kept["lines"]] == ["pain-campagne"]
    assert kept["customer"] == {"user_id": None, "wa_id": None}
    assert kept["fulfilment"] == {"way": "deliver", "address": None}
    assert stack.ask("customer", "export", *WHO, customer.user_id, "--no-topics")["services"] == {}
    stack.ask("customer", "erase", *WHO, customer.user_id)
    assert stack.ask("dead", "list") == []

    seen = len(customer.received())
    customer.act(text="hello")
    # News of the order that was still under way may come first.
    eventually("the menu", lambda: "catalog:menu" in words_of(customer.received()[seen:]))
    again = stack.ask("messages", "list", "--number", NUMBER, "--customer", customer.user_id)
    assert [m["text"] for m in again if m["direction"] == "in"] == ["hello"]
    assert stack.panier("carts", "show", *WHO, customer.user_id, check=False)[0] == 1
    assert order["order_id"] in {one["order_id"] for one in stack.ask("orders", "list", "--shop", SHOP)}
