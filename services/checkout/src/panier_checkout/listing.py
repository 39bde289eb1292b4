"""A shop's orders as an answer of any length: page by page from the database, so that memory does not grow."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec
from fastapi.responses import StreamingResponse
from panier_common.postgres import Pool

from panier_checkout import db
from panier_checkout.documents import order_document
from panier_checkout.order import Order

PAGE = 500
LINES = "application/x-ndjson"


async def orders_answer(pool: Pool, shop: str, since: datetime | None, accept: str) -> StreamingResponse:
    """The oldest first: one JSON array, or a document a line for whoever accepts LINES.

    What cannot be read at all is a problem; what breaks off later ends the connection before the answer's end.
    """
    orders = _orders(pool, shop, since)
    first = await anext(orders)
    if LINES in accept:
        return StreamingResponse(_lines(first, orders), media_type=LINES)
    return StreamingResponse(_array(first, orders), media_type="application/json")


async def _orders(pool: Pool, shop: str, since: datetime | None) -> AsyncIterator[Sequence[Order]]:
    """Pages in order, the last one not full. No connection is held while the reader reads."""
    after: tuple[datetime, str] | None = None
    while True:
        async with pool.acquire() as connection:
            page = await db.orders_of_shop(connection, shop, since, after, PAGE)
        yield page
        if len(page) < PAGE:
            return
        after = (page[-1].placed_at, page[-1].order_id)


async def _lines(first: Sequence[Order], more: AsyncIterator[Sequence[Order]]) -> AsyncIterator[bytes]:
    yield _encoded(first, b"\n", b"\n")
    async for page in more:
        yield _encoded(page, b"\n", b"\n")


async def _array(first: Sequence[Order], more: AsyncIterator[Sequence[Order]]) -> AsyncIterator[bytes]:
    yield b"[" + _encoded(first, b",")
    async for page in more:
        if page:
            yield b"," + _encoded(page, b",")
    yield b"]"


def _encoded(page: Sequence[Order], between: bytes, after: bytes = b"") -> bytes:
    text = between.join([msgspec.json.encode(order_document(order)) for order in page])
    return text + after if page else text
