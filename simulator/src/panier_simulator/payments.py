"""The simulated payment provider: a page where a customer pays or refuses, and its signed notifications.

It believes the amount of its link, `/pay/<currency>/<minor>/<order>`, as it stands for a provider that a shop gave
the amount to before.
"""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Body, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from panier_simulator.exchange import Exchange
from panier_simulator.pages import PAGE_HEADERS
from panier_simulator.problems import ProblemError

Json = dict[str, Any]
ANSWER_SECONDS = 5.0
# Digits after the decimal point where they are not two (ISO 4217).
DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "XOF": 0, "XAF": 0, "ISK": 0, "TND": 3, "KWD": 3, "BHD": 3}


class Payment(BaseModel):
    """What the provider tells the shop; `minor` is the amount in the currency's smallest unit."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["paid", "failed"]
    minor: int = Field(ge=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    id: str | None = Field(None, min_length=1, max_length=200)


def payment_routes(exchange: Exchange) -> APIRouter:
    routes = APIRouter()
    folder = Path(__file__).parent / "templates"
    page = Environment(loader=FileSystemLoader(folder), autoescape=True).get_template("pay.html")

    def show(order_id: str, amount: tuple[int, str] | None, **more: Any) -> Response:
        record = exchange.store.payment(order_id)
        text = _money(*amount) if amount else None
        minor, currency = amount or (None, None)
        html = page.render(order=order_id, text=text, minor=minor, currency=currency, record=record, **more)
        return HTMLResponse(html, headers=PAGE_HEADERS)

    @routes.get("/pay/{order_id}")
    async def pay_page(order_id: str) -> Response:
        return show(order_id, _amount_of_link(exchange, order_id))

    @routes.get("/pay/{currency}/{minor}/{order_id}")
    async def pay_page_of_amount(currency: str, minor: str, order_id: str) -> Response:
        return show(order_id, _amount(currency, minor))

    @routes.post("/pay/{order_id}")
    async def pay(order_id: str, request: Request) -> Response:
        fields = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        try:
            payment = Payment.model_validate(fields)
        except ValidationError:
            raise ProblemError(400, "malformed_payment", "A payment is state, minor and currency") from None
        told = await notify(exchange, order_id, payment)
        return show(order_id, (payment.minor, payment.currency), done=payment.state, told=told)

    @routes.post("/api/payments/{order_id}")
    async def pay_by_script(order_id: str, payment: Annotated[Payment, Body()]) -> Json:
        """`told` says whether the shop has taken the notification; if not yet, it is tried again."""
        told = await notify(exchange, order_id, payment)
        return {"order_id": order_id, "state": payment.state, "told": told}

    return routes


async def notify(exchange: Exchange, order_id: str, payment: Payment) -> bool:
    """Tell the shop; true when it has answered 200 within a few seconds, else it is told again later."""
    notification = payment.id or str(uuid.uuid4())
    document = {
        "id": notification,
        "order_id": order_id,
        "state": payment.state,
        "minor": payment.minor,
        "currency": payment.currency,
    }
    exchange.store.set_payment(order_id, payment.state, payment.minor, payment.currency, exchange.clock.now())
    about = f"pay/{notification}"
    with exchange.hub.reading(about) as taken:
        exchange.courier.send("payment", f"pay/{order_id}", about, json.dumps(document).encode())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await taken.get()
        except TimeoutError:
            return False
    return True


def _amount(currency: str, minor: str) -> tuple[int, str] | None:
    if minor.isascii() and minor.isdigit() and len(currency) == 3 and currency.isascii() and currency.isalpha():
        return int(minor), currency.upper()
    return None


def _amount_of_link(exchange: Exchange, order_id: str) -> tuple[int, str] | None:
    """From the newest link that a shop sent for this order."""
    link = exchange.store.newest_link_with(order_id)
    *_, currency, minor, _ = ("", "", *urlsplit(link or "").path.split("/"))
    return _amount(currency, minor)


def _money(minor: int, currency: str) -> str:
    digits = DIGITS.get(currency, 2)
    whole, rest = divmod(minor, 10**digits)
    return f"{whole:,}{f'.{rest:0{digits}d}' if digits else ''} {currency}"
