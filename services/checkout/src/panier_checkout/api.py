"""The internal API: orders and payment problems to look at, and what people of the shop ask of an order.

A command is published to the order's home and answered from its result row: no row of an order is changed here.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from panier_common.contracts.events import CancelRequested, Event, OrderAdvanced, RefundRequested
from panier_common.event import caused_id
from panier_common.kafka import Producer
from panier_common.postgres import Connection, Pool
from panier_common.web import Problem
from pydantic import BaseModel, Field

from panier_checkout import db, documents
from panier_checkout.decision import Result
from panier_checkout.desk import Shops
from panier_checkout.documents import Document
from panier_checkout.listing import orders_answer
from panier_checkout.order import LAWFUL, Order

RESULT_SECONDS = 10.0
POLL_SECONDS = 0.05
PROBLEMS = 1000
BY = "shop"

Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


class Wanted(BaseModel):
    """The body of a command; `state` is only for advance."""

    state: Annotated[str, Field(max_length=40)] = ""


def routes(pool: Pool, producer: Producer, shops: Shops) -> APIRouter:
    router = APIRouter()

    @router.get("/orders")
    async def listed(
        shop: str, since: datetime | None = None, history: bool = False, accept: Annotated[str, Header()] = ""
    ) -> StreamingResponse:
        """With `history` each order tells its steps as well, as it does on its own."""
        if shop not in shops.by_id:
            raise _no_such_shop(shop)
        if since is not None and since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
        return await orders_answer(pool, shop, since, accept, history)

    @router.get("/orders/{reference}")
    async def shown(reference: str) -> Document:
        async with pool.acquire() as connection:
            return await _shown(connection, await _named(connection, reference))

    @router.get("/payment-problems")
    async def problems(shop: str | None = None) -> list[Document]:
        """The latest, of all shops and of no shop, or of one shop's orders."""
        if shop is not None and shop not in shops.by_id:
            raise _no_such_shop(shop)
        async with pool.acquire() as connection:
            kept = await db.latest_problems(connection, shop, PROBLEMS)
        return [documents.problem_of_order(problem, order) for problem, order in kept]

    @router.post("/orders/{reference}/{what}")
    async def commanded(
        reference: str,
        what: Literal["advance", "cancel", "refund"],
        wanted: Wanted | None = None,
        idempotency_key: Key = None,
    ) -> Document:
        if idempotency_key is None:
            raise Problem(400, "no_key", "the header Idempotency-Key is missing", "send one for each command")
        async with pool.acquire() as connection:
            order = await _named(connection, reference)
        command = _command(order, what, wanted or Wanted(), idempotency_key)
        result = await carried_out(pool, producer, command, idempotency_key)
        if result.code:
            raise Problem(404 if result.code == "not_found" else 409, result.code, result.detail, result.hint)
        async with pool.acquire() as connection:
            return await _shown(connection, await _named(connection, result.order_id))

    return router


def _no_such_shop(shop: str) -> Problem:
    return Problem(404, "no_such_shop", f"there is no shop {shop!r}", "panier shop list")


async def _named(connection: Connection, reference: str) -> Order:
    orders = await db.orders_named(connection, reference.strip())
    if not orders:
        raise Problem(404, "no_such_order", f"there is no order {reference}", "panier orders list --shop ID")
    if len(orders) > 1:
        found = ", ".join(f"{order.order_id} of {order.shop}" for order in orders)
        raise Problem(409, "ambiguous", f"several shops have an order {reference}", f"use the id: {found}")
    return orders[0]


async def _shown(connection: Connection, order: Order) -> Document:
    steps = await db.history_of(connection, order.order_id)
    return documents.order_with_history(order, steps, await db.problem_of(connection, order.order_id))


def _command(order: Order, what: str, wanted: Wanted, key: str) -> Event:
    now = datetime.now(UTC)
    build: Callable[..., Event]
    match what:
        case "advance":
            if wanted.state not in LAWFUL:
                known = ", ".join(LAWFUL)
                raise Problem(400, "no_such_state", f"{wanted.state!r} is no state", f"states: {known}")
            return OrderAdvanced(order.conversation, order.order_id, wanted.state, key, BY, now)
        case "cancel":
            build = CancelRequested
        case _:
            build = RefundRequested
    return build(order.conversation, order.order_id, key, BY, now)


async def carried_out(pool: Pool, producer: Producer, command: Event, key: str) -> Result:
    """Publish the command and wait until its home has decided; the same key gives the first result again."""
    event_id = caused_id("checkout", key, command.ce_type, 0)
    try:
        await producer.publish(command, event_id, datetime.now(UTC), "checkout")
    except (KafkaError, OSError, TimeoutError):
        raise Problem(503, "no_broker", "the broker does not answer", "try again with the same key") from None
    until = time.monotonic() + RESULT_SECONDS
    while time.monotonic() < until:
        async with pool.acquire() as connection:
            result = await db.result_of(connection, key)
        if result is not None:
            return result
        await asyncio.sleep(POLL_SECONDS)
    raise Problem(504, "not_decided_yet", "the order's home has not answered", "try again with the same key")
