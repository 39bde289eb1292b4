"""The internal API: what people look up about a customer's cart. It changes nothing."""

from datetime import datetime
from typing import Annotated

from asyncpg import Pool
from fastapi import APIRouter, Query
from panier_common.web import Problem
from pydantic import BaseModel

from panier_cart.cart import Cart
from panier_cart.db import find_cart


class LineDocument(BaseModel):
    sku: str
    title: str
    quantity: int
    unit_minor: int
    total_minor: int


class CartDocument(BaseModel):
    """The open cart as `panier carts show` prints it; `updated_at` is None for one that never had a line."""

    conversation: str
    lines: list[LineDocument]
    currency: str
    total_minor: int
    note: str
    updated_at: datetime | None


def document(cart: Cart) -> CartDocument:
    return CartDocument(
        conversation=cart.conversation,
        lines=[
            LineDocument(
                sku=line.sku,
                title=line.title,
                quantity=line.quantity,
                unit_minor=line.unit_minor,
                total_minor=line.total_minor,
            )
            for line in cart.lines
        ],
        currency=cart.currency,
        total_minor=cart.total_minor,
        note=cart.note,
        updated_at=cart.updated_at,
    )


def router(pool: Pool) -> APIRouter:
    routes = APIRouter()

    @routes.get("/carts")
    async def show_cart(
        phone_number_id: Annotated[str, Query(min_length=1, max_length=64)],
        customer: Annotated[str, Query(min_length=1, max_length=140, description="User id or WhatsApp id.")],
    ) -> CartDocument:
        """One customer's open cart. 404 for a customer who never spoke of a cart."""
        async with pool.acquire() as connection:
            cart = await find_cart(connection, phone_number_id, customer.removeprefix("+"))
        if cart is None:
            raise Problem(
                404,
                "unknown_customer",
                "No cart is known for this customer on this number.",
                "Give the number's phone_number_id and the customer's user id or WhatsApp id.",
            )
        return document(cart)

    return routes
