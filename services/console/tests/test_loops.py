"""The loops' SQL on a real database: constant in number, and true to the rows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from panier_common.contracts import events as e
from panier_common.contracts import inbound as m
from panier_common.contracts import outbound as o
from panier_common.event import OWNER, Received
from panier_common.read_progress import Progress
from panier_common.shops import ShopDirectory
from panier_common.topics import COMMAND, DELIVERY, ENQUIRY, INBOUND, OUTBOUND, SENT
from panier_console import db as rows
from panier_console import loops

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NUMBER = "106540352242922"


@pytest.fixture
async def db(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(await database("panier_console"))
    yield connection
    await connection.close()


def received(topic: str, event: e.Event, owner: str = "", message_id: str = "") -> Received:
    headers = {"ce_type": event.ce_type, OWNER: owner}
    return Received(topic, 0, 1, message_id or str(uuid4()), AT, event, headers)


def picture(n: int) -> e.MessageReceived:
    customer = e.Customer(f"FR.{n}")
    content = m.Media("image")
    return e.MessageReceived(f"{NUMBER}:FR.{n}", NUMBER, customer, f"wamid.{n}", AT, content, "shop")


def batch(size: int, first: int = 0) -> list[Received]:
    some = range(first, first + size)
    sent = (e.MessageSent(f"{NUMBER}:FR.{n}", NUMBER, str(uuid4()), f"w{n}", "text", AT) for n in some)
    return [received(INBOUND.name, picture(n), "console") for n in some] + [
        received(SENT.name, event) for event in sent
    ]


def news(size: int) -> list[Received]:
    said = o.packed(o.TextMessage(body="voilà"))
    found = []
    for n in range(size):
        request = e.MessageRequested(NUMBER, f"{NUMBER}:FR.{n}", "shop", e.Customer(f"FR.{n}"), said)
        found.append(received(OUTBOUND.name, request))
        found.append(received(DELIVERY.name, e.DeliveryChanged(NUMBER, f"w{n}", "read", AT)))
    return found


async def unread(*_: Any) -> dict[tuple[str, int], Progress]:
    return {}


async def take(loop: Any, db: asyncpg.Connection, records: list[Received]) -> int:
    """How many statements a batch cost."""
    queries: list[str] = []
    with db.query_logger(lambda record: queries.append(record.query)):
        world = await loop.load(db, records)
        for record in records:
            loop.decide(world, record)
        await loop.save(db, world)
        await asyncio.sleep(0)  # the driver logs a query in its loop's next turn
    return len(queries)


@pytest.mark.parametrize("size", [1, 50, 500])
async def test_a_batch_costs_the_same_statements_however_long(db: asyncpg.Connection, size: int) -> None:
    talk, deliveries = loops.conversations(ShopDirectory("")), loops.deliveries(unread)
    await take(talk, db, batch(1, first=1000))  # the driver asks for the types of the arrays once a connection
    await take(deliveries, db, news(1))
    assert await take(talk, db, batch(size)) == 4
    assert await take(deliveries, db, news(size)) == 2


async def test_what_is_known_is_never_replaced_by_less(db: asyncpg.Connection) -> None:
    loop, message_id = loops.deliveries(unread), str(uuid4())
    conversation = f"{NUMBER}:FR.1"
    said = o.packed(o.TextMessage(body="voilà"))
    request = e.MessageRequested(NUMBER, conversation, "shop", e.Customer("FR.1"), said)
    await take(loop, db, [received(OUTBOUND.name, request, message_id=message_id)])
    sent = e.MessageSent(conversation, NUMBER, message_id, "w1", "text", AT)
    await take(loops.conversations(ShopDirectory("")), db, [received(SENT.name, sent)])
    seen = []
    for statuses in (["delivered", "sent"], ["sent"], ["read"], ["delivered"]):
        events = [e.DeliveryChanged(NUMBER, "w1", status, AT) for status in statuses]
        await take(loop, db, [received(DELIVERY.name, event) for event in events])
        (row,) = await rows.load_messages(db, NUMBER, [conversation])
        seen.append(row["delivered"])
    assert seen == [3, 3, 4, 4]


async def test_a_message_that_was_given_up_is_failed(db: asyncpg.Connection) -> None:
    conversation, message_id = f"{NUMBER}:FR.1", str(uuid4())
    failed = e.MessageFailed(conversation, NUMBER, message_id, "text", 131047, "window", AT)
    await take(loops.conversations(ShopDirectory("")), db, [received(SENT.name, failed)] * 2)
    assert await db.fetchval("SELECT reached FROM sent_message WHERE id = $1", message_id) == 2


def test_only_what_concerns_the_console_is_read() -> None:
    wants = loops.conversations(ShopDirectory("")).wants
    assert wants(INBOUND.name, {OWNER: "cart"})
    assert wants(ENQUIRY.name, {OWNER: "console"})
    assert not wants(ENQUIRY.name, {OWNER: "catalog"})
    assert wants(COMMAND.name, {"ce_type": e.FloorReturned.ce_type})
    assert not wants(COMMAND.name, {"ce_type": e.PaymentRecorded.ce_type})
