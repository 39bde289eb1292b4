"""The internal API: what people of the shop hand in and look up. Rules live elsewhere; refusals are problems."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from asyncpg import Record
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from panier_common.contracts.events import ShopConfigured
from panier_common.postgres import Pool
from panier_common.web import Problem
from pydantic import BaseModel, ConfigDict

from panier_catalog import db, intake, shops
from panier_catalog.feed import Feed, FeedError
from panier_catalog.intake import Imported, Partitions

MAX_FEED_BYTES = 64 * 1024 * 1024


class ShopsDocument(BaseModel):
    """The shops file as JSON, `shops` as its `[[shop]]` tables, and the text of the catalogues it names."""

    model_config = ConfigDict(extra="forbid")

    shops: list[dict[str, Any]]
    catalogues: dict[str, str] = {}


def router(pool: Pool, partitions: Partitions) -> APIRouter:
    """The routes under /internal."""
    routes = APIRouter()

    @routes.put("/shops")
    async def apply_shops(document: ShopsDocument) -> dict[str, Any]:
        await _reachable(partitions)
        catalogues = {shop: text.encode() for shop, text in document.catalogues.items()}
        try:
            file = shops.checked({"shop": document.shops})
            applied, loaded = await intake.set_up(pool, file, catalogues, partitions)
        except shops.ShopsError as error:
            raise Problem(400, "shops_invalid", str(error), "Correct the shops file and apply it again.") from None
        except FeedError as error:
            raise _refused(error) from None
        return {
            "shops": [shop_document(one.shop) | {"changed": one.changed} for one in applied],
            "catalogues": {shop: result(imported) for shop, imported in loaded.items()},
        }

    @routes.get("/shops")
    async def list_shops() -> list[dict[str, Any]]:
        async with pool.acquire() as connection:
            return [shop_document(shop) for shop in (await db.load_shops(connection)).values()]

    @routes.post("/shops/{shop_id}/products")
    async def import_products(shop_id: str, request: Request) -> StreamingResponse:
        await _reachable(partitions)
        shop = await _shop(pool, shop_id)
        try:
            feed = await intake.read_feed(shop, await _body(request))
        except FeedError as error:
            raise _refused(error) from None
        return StreamingResponse(_told(pool, shop, feed, partitions), media_type="application/x-ndjson")

    @routes.get("/shops/{shop_id}/products")
    async def list_products(shop_id: str) -> list[dict[str, Any]]:
        await _shop(pool, shop_id)
        async with pool.acquire() as connection:
            return [product_document(row) for row in await db.list_products(connection, shop_id)]

    return routes


async def _reachable(partitions: Partitions) -> None:
    """Refuse early while the broker cannot say how many homes there are to publish from."""
    try:
        await partitions()
    except (KafkaError, OSError) as error:
        raise Problem(
            503, "broker_away", f"the broker does not answer ({type(error).__name__})", "Try again when it is back."
        ) from None


async def _shop(pool: Pool, shop_id: str) -> ShopConfigured:
    shop = await intake.get_shop(pool, shop_id)
    if shop is None:
        raise Problem(404, "no_such_shop", f"there is no shop `{shop_id}`", "`panier shop list` names them.")
    return shop


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_FEED_BYTES:
            raise Problem(
                413, "feed_too_large", f"the feed is larger than {MAX_FEED_BYTES} bytes", "Import it in parts."
            )
    return bytes(body)


def _refused(error: FeedError) -> Problem:
    return Problem(400, error.code, error.detail, error.hint)


async def _told(pool: Pool, shop: ShopConfigured, feed: Feed, partitions: Partitions) -> AsyncIterator[bytes]:
    """A line of progress after each chunk, and the result last."""
    async for imported in intake.import_feed(pool, shop, feed, partitions):
        yield _line({"progress": {"done": imported.done, "total": imported.total}})
        if imported.done == imported.total:
            yield _line({"result": result(imported)})


def _line(document: dict[str, Any]) -> bytes:
    return msgspec.json.encode(document) + b"\n"


def result(imported: Imported) -> dict[str, Any]:
    return {
        "created": imported.created,
        "updated": imported.updated,
        "unchanged": imported.unchanged,
        "rejected": [{"row": rejected.row, "reason": rejected.reason} for rejected in imported.rejected],
    }


def shop_document(shop: ShopConfigured) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(shop)
    return {"id": document.pop("shop")} | document


def product_document(row: Record) -> dict[str, Any]:
    """`state`: in_stock, sold_out (none is left), or out_of_stock (the feed says so)."""
    state = "sold_out" if row["sold_out"] else "in_stock"
    return {
        "sku": row["sku"],
        "title": row["title"],
        "price": {"minor": row["price_minor"], "currency": row["currency"]},
        "available": row["available"],
        "reserved": row["reserved"],
        "sold": row["sold"],
        "state": state if row["offered"] else "out_of_stock",
    }
