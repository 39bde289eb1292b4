"""What the simulator's own API answers when something is wrong: application/problem+json (RFC 9457)."""

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from panier_simulator.exchange import Exchange
from panier_simulator.shops import Number, Shop
from panier_simulator.store import Customer


class ProblemError(Exception):
    """Answered as a document of that kind; `hint` says what to do."""

    def __init__(self, status: int, code: str, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.document = {
            "type": "about:blank",
            "title": code.replace("_", " ").capitalize(),
            "status": status,
            "code": code,
            "detail": detail,
            "hint": hint,
        }


async def answer_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return JSONResponse(error.document, error.status, media_type="application/problem+json")


def known_customer(exchange: Exchange, customer_id: str) -> Customer:
    customer = exchange.store.customer(customer_id)
    if customer is None:
        raise ProblemError(404, "unknown_customer", "No customer has this id", "POST /api/customers makes one")
    return customer


def known_number(exchange: Exchange, phone_number_id: Any) -> tuple[Shop, Number]:
    """The number meant; the only one there is may go without saying."""
    if phone_number_id is None and len(exchange.shops.by_number) == 1:
        return next(iter(exchange.shops.by_number.values()))
    found = exchange.shops.by_number.get(str(phone_number_id))
    if found is None:
        raise ProblemError(404, "unknown_number", "No shop has this number", "GET /api/shops lists them")
    return found


def known_shop(exchange: Exchange, shop_id: str) -> Shop:
    shop = exchange.shops.all.get(shop_id)
    if shop is None:
        raise ProblemError(404, "unknown_shop", "No shop has this id", "GET /api/shops lists them")
    return shop
