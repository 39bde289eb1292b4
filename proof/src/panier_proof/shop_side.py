"""The shop's own doors for people: the internal APIs of the running stack, its databases' ends, its topics."""

import asyncio
import hashlib
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from panier_cli.stack.local import LocalStack

from panier_proof import shop
from panier_proof.evidence import Evidence, Inbound, Json, Letter, OrderEvent, Requested
from panier_proof.ledger import Customer, Ledger

_READERS = 8
_REPLAY_SECONDS = 60.0
DATABASES = ("catalog", "cart", "checkout", "sender", "console")


class ShopSide:
    """Asks what people of the shop can ask. Raises RuntimeError when the shop does not answer as promised."""

    def __init__(self, stack: LocalStack, session: aiohttp.ClientSession, token: str) -> None:
        self._stack = stack
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}

    async def ask(self, service: str, path: str, method: str = "GET", *, missing: Any = ..., **query: str) -> Any:
        """The answer's JSON; `missing`, where there is one, for a 404."""
        return await self._send(service, path, method, missing=missing, params=query)

    async def command(self, order_id: str, what: str, document: Json, key: str) -> None:
        """Ask something of an order as a person of the shop; returns when it is done."""
        await self._send("checkout", f"orders/{order_id}/{what}", "POST", json=document, key=key)

    async def _send(
        self, service: str, path: str, method: str, *, missing: Any = ..., key: str = "", **body: Any
    ) -> Any:
        admin = next(p.admin for p in self._stack.processes if p.service.name == service)
        url, headers = f"{admin}/internal/{path}", {**self._headers, **({"Idempotency-Key": key} if key else {})}
        async with self._session.request(method, url, headers=headers, **body) as answer:
            if answer.status == 404 and missing is not ...:
                return missing
            if not answer.ok:
                raise RuntimeError(f"{service} answered {answer.status} to {path}: {(await answer.text())[:300]}")
            return await answer.json()

    async def listed(self, minutes: float | None = None) -> list[Json]:
        """All orders as the list has them, or those of the last minutes."""
        since = {} if minutes is None else {"since": (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()}
        found: list[Json] = await self.ask("checkout", "orders", shop=shop.ID, **since)
        return found

    async def orders(self) -> list[Json]:
        """Every order with its history."""
        listed = await self.listed()
        return await _some_at_once(self.ask("checkout", f"orders/{order['order_id']}") for order in listed)

    async def products(self) -> list[Json]:
        found: list[Json] = await self.ask("catalog", f"shops/{shop.ID}/products")
        return found

    async def carts(self, customers: Sequence[Customer]) -> dict[str, dict[str, int]]:
        """What is in each customer's open cart, by conversation: sku → quantity."""
        empty: Json = {"lines": []}
        found = await _some_at_once(
            self.ask("cart", "carts", phone_number_id=page.number, customer=page.user_id, missing=empty)
            for page in customers
        )
        return {
            page.conversation: {line["sku"]: line["quantity"] for line in cart["lines"]}
            for page, cart in zip(customers, found, strict=True)
        }

    async def conversations(self, customers: Sequence[Customer]) -> dict[str, list[str]]:
        """The ids of all messages that the console has of each customer's conversation."""
        found = await _some_at_once(
            self.ask("console", "messages", phone_number_id=page.number, customer=page.user_id) for page in customers
        )
        ids = [[message["id"] for message in messages] for messages in found]
        return {page.conversation: kept for page, kept in zip(customers, ids, strict=True)}

    async def letters(self) -> list[Letter]:
        found = []
        for service in DATABASES:
            for one in await self.ask(service, "dead-letters"):
                place = one["topic"], one["partition"], one["offset"]
                found.append(Letter(one["id"], service, *place, one["reason"]))
        return found

    async def replay(self, letters: Iterable[Letter]) -> list[Letter]:
        """Have each tried again, and wait until that was done; what is a dead letter then."""
        asked = list(letters)
        try:
            for letter in asked:
                await self.ask(letter.service, f"dead-letters/{letter.id}/replay", "POST")
            async with asyncio.timeout(_REPLAY_SECONDS):
                for letter in asked:
                    while await self._waits(letter):  # noqa: ASYNC110
                        await asyncio.sleep(0.2)
            return await self.letters()
        except (aiohttp.ClientError, OSError, TimeoutError, RuntimeError):
            return []  # a service that a replay ends has lost the letters, as far as anybody can see

    async def _waits(self, letter: Letter) -> bool:
        shown = await self.ask(letter.service, f"dead-letters/{letter.id}")
        return bool(shown and shown["replay_requested"])


async def _some_at_once(asked: Iterable[Awaitable[Any]]) -> list[Any]:
    """The answers in order, with a few questions on their way at a time."""
    room = asyncio.Semaphore(_READERS)

    async def one(question: Awaitable[Any]) -> Any:
        async with room:
            return await question

    return list(await asyncio.gather(*(one(question) for question in asked)))


async def loose_rows(superuser: str) -> dict[str, int]:
    """What is still to be done, by what the databases hold: outbox rows, timers that are due, unsent messages."""
    found = {}
    for service in DATABASES:
        url = urlunsplit(urlsplit(superuser)._replace(path=f"/panier_{service}"))
        connection = await asyncpg.connect(url, timeout=5)
        try:
            found[f"{service} outbox"] = await connection.fetchval("SELECT count(*) FROM outbox")
            due = "SELECT count(*) FROM timer WHERE due_at < now() - interval '3 seconds'"
            found[f"{service} timers due"] = await connection.fetchval(due)
            if service == "sender":
                found["messages unsent"] = await connection.fetchval("SELECT count(*) FROM message")
        finally:
            await connection.close()
    return found


async def read_topic(servers: str, topic: str) -> list[ConsumerRecord[bytes, bytes]]:
    """Every record that the topic holds now, by partition and offset."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        partitions = sorted(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
        left = {p for p in partitions if ends[p] > begins[p]}
        found: list[ConsumerRecord[bytes, bytes]] = []
        while left:
            for partition, records in (await consumer.getmany(*left, timeout_ms=1000)).items():
                found += [record for record in records if record.offset < ends[partition]]
            for partition in list(left):
                if await consumer.position(partition) >= ends[partition]:
                    left.discard(partition)
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


def _headers(record: ConsumerRecord[bytes, bytes]) -> dict[str, str]:
    return {name: value.decode("utf-8", "replace") for name, value in record.headers}


def _bodies(
    records: Iterable[ConsumerRecord[bytes, bytes]],
) -> Iterable[tuple[Mapping[str, str], Json, ConsumerRecord[bytes, bytes]]]:
    """Headers and document of each record that is one; ours that are poison are none."""
    for record in records:
        headers = _headers(record)
        if headers.get("ce_source") != "/panier/proof":
            yield headers, msgspec.json.decode(record.value or b"{}"), record


async def read_log(servers: str, evidence: Evidence) -> None:
    """Fill in what the topics hold."""
    inbound, outbound, order = [
        await read_topic(servers, topic) for topic in ("panier.inbound.v1", "panier.outbound.v1", "panier.order.v1")
    ]
    read_records(evidence, inbound, outbound, order)


def read_records(
    evidence: Evidence,
    inbound: Iterable[ConsumerRecord[bytes, bytes]],
    outbound: Iterable[ConsumerRecord[bytes, bytes]],
    order: Iterable[ConsumerRecord[bytes, bytes]],
) -> None:
    """Fill in what these topics' records say."""
    for headers, body, record in _bodies(inbound):
        owner, at = headers.get("panier_owner", ""), record.timestamp / 1000
        evidence.inbound.append(Inbound(body["conversation"], body["wamid"], owner, at, record.partition))
    for headers, body, record in _bodies(outbound):
        digest = hashlib.blake2b(msgspec.json.encode(body["message"]), digest_size=8).hexdigest()
        source = headers["ce_source"].rpartition("/")[2]
        told = body.get("answers") or "", body.get("lane", "answer"), digest, record.partition
        evidence.requested.append(Requested(headers["ce_id"], source, body["conversation"], *told))
    for headers, body, _ in _bodies(order):
        kind = headers["ce_type"].removeprefix("panier.").removesuffix(".v1")
        evidence.order_events.append(OrderEvent(body.get("order_id", ""), kind, headers["ce_id"]))


async def gather(side: ShopSide, servers: str, ledger: Ledger) -> Evidence:
    """All that the shop tells, but for dead letters' replay and loose ends."""
    evidence = Evidence(orders=await side.orders(), products=await side.products(), letters=await side.letters())
    evidence.carts = await side.carts(ledger.customers)
    evidence.conversations = await side.conversations(ledger.customers)
    await read_log(servers, evidence)
    return evidence
