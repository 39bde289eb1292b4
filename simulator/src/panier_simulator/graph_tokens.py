"""The Graph API's routes about access tokens and about which apps hear of an account. Answers are Meta's."""

import hmac
from typing import Any

from fastapi import APIRouter, Request

from panier_simulator.entrance import Entrance
from panier_simulator.errors import GraphError
from panier_simulator.exchange import Exchange
from panier_simulator.shops import Number

Json = dict[str, Any]
SCOPES = ["whatsapp_business_management", "whatsapp_business_messaging"]
APP = {"id": "314159265358979", "name": "Panier", "link": "https://www.facebook.com/games/?app_id=314159265358979"}


def token_routes(routes: APIRouter, exchange: Exchange, entrance: Entrance, check_tokens: bool) -> None:
    deaf: set[str] = set()

    @routes.get("/{version}/debug_token")
    async def debug_token(version: str, request: Request, input_token: str = "") -> Json:
        entrance.token(request)
        if not input_token:
            raise GraphError(100, "(#100) The parameter input_token is required.")
        numbers = _numbers_of(exchange, input_token, check_tokens)
        if not numbers:
            error = {"code": 190, "message": "Invalid OAuth access token.", "subcode": 463}
            return {"data": {"app_id": APP["id"], "is_valid": False, "error": error, "scopes": []}}
        ends = [exchange.business.number(number.phone_number_id).token_expires_at for number in numbers]
        return {
            "data": {
                "app_id": APP["id"],
                "type": "SYSTEM_USER",
                "application": APP["name"],
                "data_access_expires_at": 0,
                "expires_at": min(filter(None, ends), default=0),
                "is_valid": True,
                "issued_at": 1_750_000_000,
                "scopes": SCOPES,
            }
        }

    @routes.get("/{version}/{account_id}/subscribed_apps")
    async def subscribed(version: str, account_id: str, request: Request) -> Json:
        entrance.account(request, account_id)
        return {"data": [] if account_id in deaf else [{"whatsapp_business_api_data": APP}]}

    @routes.post("/{version}/{account_id}/subscribed_apps")
    async def subscribe(version: str, account_id: str, request: Request) -> Json:
        entrance.account(request, account_id)
        deaf.discard(account_id)
        return {"success": True}

    @routes.delete("/{version}/{account_id}/subscribed_apps")
    async def unsubscribe(version: str, account_id: str, request: Request) -> Json:
        """Meta's answer only: the simulator goes on posting, so that a test can look at one thing at a time."""
        entrance.account(request, account_id)
        deaf.add(account_id)
        return {"success": True}


def _numbers_of(exchange: Exchange, token: str, check_tokens: bool) -> list[Number]:
    """The numbers that a token is for; all where tokens are not checked and nobody's is known to be this."""
    every = [number for _, number in exchange.shops.by_number.values()]
    own = [number for number in every if hmac.compare_digest((number.token or "").encode(), token.encode())]
    return own or ([] if check_tokens else every)
