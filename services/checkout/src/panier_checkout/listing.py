"""A shop's orders as an answer of any length: page by page from the database, so that memory does not grow."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec
from fastapi.responses import StreamingResponse
from panier_common.postgres import Connection, Pool

from panier_checkout import db
from panier_checkout.decision import Step
from panier_checkout.documents import Document, order_document, order_with_steps
from panier_checkout.order import Order

PAGE = 500
LINES = "application/x-ndjson"


async def orders_answer(
    pool: Pool, shop: str, since: datetime | None, accept: str, history: bool = False
) -> StreamingResponse:
    """The oldest first: one JSON array, or a document a line for whoever accepts LINES; with their history if asked.

    What cannot be read at all is a problem; what breaks off later ends the connection before the answer's end.
    """
    pages = _pages(pool, shop, since, history)
    first = await anext(pages)
    if LINES in accept:
        return StreamingResponse(_lines(first, pages), media_type=LINES)
    return StreamingResponse(_array(first, pages), media_type="application/json")


async def _pages(pool: Pool, shop: str, since: datetime | None, history: bool) -> AsyncIterator[Sequence[Document]]:
    """Pages in order, the last one not full. No connection is held while the reader reads."""
    after: tuple[datetime, str] | None = None
    while True:
        async with pool.acquire() as connection:
            page = await db.orders_of_shop(connection, shop, since, after, PAGE)
            steps = await _steps_of(connection, page) if history else None
        if steps is None:
            yield [order_document(order) for order in page]
        else:
            yield [order_with_steps(order, steps[order.order_id]) for order in page]
        if len(page) < PAGE:
            return
        after = (page[-1].placed_at, page[-1].order_id)


async def _steps_of(connection: Connection, page: Sequence[Order]) -> dict[str, list[Step]]:
    """The history of each order of a page, by one statement."""
    rows = await connection.fetch(
        "SELECT order_id, at, what, by FROM order_history WHERE order_id = ANY($1::text[]) ORDER BY order_id, id",
        [order.order_id for order in page],
    )
    steps: defaultdict[str, list[Step]] = defaultdict(list)
    for row in rows:
        steps[row["order_id"]].append(Step(**dict(row)))
    return steps


async def _lines(first: Sequence[Document], more: AsyncIterator[Sequence[Document]]) -> AsyncIterator[bytes]:
    yield _encoded(first, b"\n", b"\n")
    async for page in more:
        yield _encoded(page, b"\n", b"\n")


async def _array(first: Sequence[Document], more: AsyncIterator[Sequence[Document]]) -> AsyncIterator[bytes]:
    yield b"[" + _encoded(first, b",")
    async for page in more:
        if page:
            yield b"," + _encoded(page, b",")
    yield b"]"


def _encoded(page: Sequence[Document], between: bytes, after: bytes = b"") -> bytes:
    text = between.join([msgspec.json.encode(document) for document in page])
    return text + after if page else text
