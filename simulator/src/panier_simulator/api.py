"""The simulator's own API under `/api`: what tests, demos and the page do as customers, and what they see."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from panier_simulator.actions import ImpossibleError
from panier_simulator.courier import WHOLE
from panier_simulator.exchange import BusyError, Exchange, topic
from panier_simulator.problems import ProblemError, known_customer, known_number, known_shop
from panier_simulator.requests import USER_ID
from panier_simulator.shops import Shop
from panier_simulator.store import Customer
from panier_simulator.webhooks import encode

Json = dict[str, Any]
KEEP_ALIVE_SECONDS = 15.0


class NewCustomer(BaseModel):
    """Without `wa_id` the phone number stays hidden from the shop; a user id is made when none is given."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    wa_id: str | None = Field(None, pattern=r"^[0-9]{5,20}$")
    user_id: str | None = Field(None, pattern=USER_ID.pattern)


class NewIds(BaseModel):
    """What changes: the phone number, the user id or both."""

    model_config = ConfigDict(extra="forbid")

    wa_id: str | None = Field(None, pattern=r"^[0-9]{5,20}$")
    user_id: str | None = Field(None, pattern=USER_ID.pattern)


class ReadUpTo(BaseModel):
    number: str
    up_to: int | None = None


def api_routes(exchange: Exchange) -> APIRouter:
    routes = APIRouter(prefix="/api")
    _customer_routes(routes, exchange)
    _chat_routes(routes, exchange)
    _shop_routes(routes, exchange)
    return routes


def _customer_routes(routes: APIRouter, exchange: Exchange) -> None:
    @routes.get("/customers")
    async def customers() -> list[Json]:
        return [_customer(customer) for customer in exchange.store.customers()]

    @routes.post("/customers", status_code=201)
    async def add_customer(new: NewCustomer) -> Json:
        customer = exchange.add_customer(new.name, new.wa_id, new.user_id)
        if customer is None:
            raise ProblemError(409, "customer_exists", "Another customer has this phone number or user id")
        await exchange.store.settled()
        return _customer(customer)

    @routes.patch("/customers/{customer_id}")
    async def change_ids(customer_id: str, new: NewIds) -> Json:
        """A customer has another phone number or user id; the shop is told as Meta tells it."""
        changed = exchange.change_ids(known_customer(exchange, customer_id), new.wa_id, new.user_id)
        if changed is None:
            raise ProblemError(409, "customer_exists", "Another customer has this phone number or user id")
        await exchange.store.settled()
        return _customer(changed)

    @routes.post("/customers/{customer_id}/messages", status_code=201)
    async def act(
        customer_id: str, action: Annotated[Json, Body()], number: Annotated[str | None, Query()] = None
    ) -> Json:
        customer = known_customer(exchange, customer_id)
        shop, shop_number = known_number(exchange, action.get("number") or number)
        try:
            message = exchange.act(customer, shop, shop_number, action)
        except ImpossibleError as error:
            raise ProblemError(400, "impossible_action", str(error)) from None
        except BusyError:
            raise ProblemError(503, "webhooks_waiting", "Too many webhooks wait for the shop") from None
        await exchange.store.settled()
        return message.document()

    @routes.post("/customers/{customer_id}/read")
    async def read(customer_id: str, seen: ReadUpTo) -> Json:
        customer = known_customer(exchange, customer_id)
        known_number(exchange, seen.number)
        return {"read": exchange.read_by_customer(customer, seen.number, seen.up_to)}


def _chat_routes(routes: APIRouter, exchange: Exchange) -> None:
    @routes.get("/customers/{customer_id}/chat")
    async def chat(
        customer_id: str,
        number: str | None = None,
        after: Annotated[int, Query(ge=0)] = 0,
        wait: Annotated[float, Query(ge=0, le=60)] = 0.0,
    ) -> list[Json]:
        """Messages after `after` (a `seq`), oldest first; waits up to `wait` seconds for the first."""
        customer = known_customer(exchange, customer_id)
        _, shop_number = known_number(exchange, number)
        phone_number_id = shop_number.phone_number_id
        deadline = asyncio.get_running_loop().time() + wait
        with exchange.hub.reading(topic(customer.id, phone_number_id)) as queue:
            while not (messages := exchange.store.chat(customer.id, phone_number_id, after)):
                remaining = deadline - asyncio.get_running_loop().time()
                if remaining <= 0 or exchange.hub.closed:
                    break
                try:
                    async with asyncio.timeout(remaining):
                        await queue.get()
                except TimeoutError:
                    break
        return [message.document() for message in messages]

    @routes.get("/events")
    async def events() -> StreamingResponse:
        """Everything that changes, as server-sent events."""
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(_stream(exchange), media_type="text/event-stream", headers=headers)

    @routes.get("/webhooks")
    async def webhooks() -> Json:
        return exchange.courier.stats()

    @routes.post("/webhooks", status_code=202)
    async def post_webhook(document: Annotated[Json, Body()]) -> Json:
        """Post a whole webhook as it is given, signed: echoes, calls, what nobody has seen yet."""
        if exchange.courier.full:
            raise ProblemError(503, "webhooks_waiting", "Too many webhooks wait for the shop")
        exchange.courier.send("whatsapp", f"{WHOLE}/{secrets.token_hex(8)}", WHOLE, encode(document))
        await exchange.store.settled()
        return exchange.courier.stats()


def _shop_routes(routes: APIRouter, exchange: Exchange) -> None:
    @routes.get("/shops")
    async def shops() -> list[Json]:
        return [_shop(shop) for shop in exchange.shops.all.values()]

    @routes.get("/shops/{shop_id}/products")
    async def products(shop_id: str) -> list[Json]:
        shop = known_shop(exchange, shop_id)
        return [product.document(shop_id) for product in shop.products.values()]

    @routes.put("/shops/{shop_id}/catalogue")
    async def replace_catalogue(shop_id: str, request: Request) -> Json:
        """Replace what Meta has of a shop's catalogue by a product feed (CSV)."""
        shop = known_shop(exchange, shop_id)
        try:
            text = (await request.body()).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ProblemError(400, "not_utf8", "A product feed is CSV in UTF-8") from None
        shop.load(text)
        exchange.store.set_feed(shop_id, text)
        await exchange.store.settled()
        return {"products": len(shop.products)}


async def _stream(exchange: Exchange) -> AsyncIterator[str]:
    yield ": connected\n\n"
    with exchange.hub.reading() as queue:
        while not exchange.hub.closed:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    event = await queue.get()
                yield f"data: {json.dumps(event)}\n\n"
            except TimeoutError:
                yield ": still here\n\n"


def _customer(customer: Customer) -> Json:
    return {
        "id": customer.id,
        "name": customer.name,
        "wa_id": customer.wa_id,
        "user_id": customer.user_id,
    }


def _shop(shop: Shop) -> Json:
    numbers = [{"phone_number_id": number.phone_number_id, "display": number.display} for number in shop.numbers]
    return {
        "id": shop.id,
        "name": shop.name,
        "account_id": shop.account_id,
        "catalog_id": shop.catalog_id,
        "currency": shop.currency,
        "languages": shop.languages,
        "numbers": numbers,
    }
