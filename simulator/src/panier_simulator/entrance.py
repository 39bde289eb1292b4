"""What every call of the Graph API begins with: its token, the object it names, its JSON."""

import hmac
import json
from typing import Any

from starlette.requests import Request

from panier_simulator.errors import GraphError
from panier_simulator.exchange import Exchange
from panier_simulator.shops import Number, Shop

Json = dict[str, Any]


class Entrance:
    """With `check_tokens` only the token that the shops file names for a number opens it, else any bearer token."""

    def __init__(self, exchange: Exchange, check_tokens: bool) -> None:
        self._exchange = exchange
        self._check_tokens = check_tokens

    def number(self, request: Request, phone_number_id: str) -> tuple[Shop, Number]:
        """The number called, after the access token was looked at."""
        found = self._exchange.shops.by_number.get(phone_number_id)
        self.token(request, (found[1],) if found and self._check_tokens else ())
        if found is None:
            raise unknown(phone_number_id)
        return found

    def account(self, request: Request, account_id: str) -> Shop:
        """The business account called; its calls are counted."""
        shop = self._exchange.business.shop_of(account_id)
        self.token(request, shop.numbers if shop and self._check_tokens else ())
        if shop is None:
            raise unknown(account_id)
        self._exchange.manage(account_id)
        return shop

    def token(self, request: Request, numbers: "tuple[Number, ...] | list[Number]" = ()) -> None:
        """Any bearer token will do, unless numbers are given: then it must be one of theirs."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise GraphError(190, "An access token is required", message="Invalid OAuth access token.")
        known = [(number.token or "").encode() for number in numbers]
        if known and not any(hmac.compare_digest(each, token.strip().encode()) for each in known):
            raise GraphError(190, "The access token is not this number's", message="Invalid OAuth access token.")


def unknown(object_id: str) -> GraphError:
    text = (
        f"Unsupported request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing"
        " permissions, or does not support this operation."
    )
    return GraphError(100, text, subcode=33, message=text)


async def read_json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        raise GraphError(100, "The body of the request is not JSON") from None
