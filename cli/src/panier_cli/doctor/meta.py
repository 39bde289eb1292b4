"""What Meta says of the shops' numbers: tokens, numbers, and whether webhooks are sent to us. Never shows a token."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from panier_catalog.shops import NumberTable, ShopsError, ShopTable
from panier_catalog.shops import parse as parse_shops

from panier_cli.doctor.findings import Finding, fail, ok, skipped, warn
from panier_cli.doctor.postgres import clock
from panier_cli.errors import Refused
from panier_cli.shops_check import GRAPH
from panier_cli.stack.environment import given, has

_SECONDS = 15.0
_DAY = 86400
NEEDED = ("whatsapp_business_messaging",)
_SCOPES_OF_ACCOUNT = ("whatsapp_business_management",)


class Graph:
    """The Graph API as one token sees it."""

    def __init__(self, env: Mapping[str, str], token: str) -> None:
        self._url = urlsplit((env.get("PANIER_GRAPH_URL") or GRAPH).rstrip("/"))
        self._version = env.get("PANIER_GRAPH_VERSION") or "v26.0"
        self._token = token
        self.ahead: float | None = None

    def get(self, where: str, **query: str) -> tuple[int, dict[str, Any]]:
        """(status, document). Raises OSError or HTTPException when nobody answers."""
        connection = (
            http.client.HTTPConnection(self._url.netloc, timeout=_SECONDS)
            if self._url.scheme == "http"
            else http.client.HTTPSConnection(self._url.netloc, timeout=_SECONDS, context=ssl.create_default_context())
        )
        path = f"{self._url.path}/{self._version}/{where}"
        try:
            connection.request(
                "GET",
                f"{path}?{urlencode(query)}" if query else path,
                headers={"Authorization": f"Bearer {self._token}"},
            )
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if (date := answer.getheader("Date")) is not None:
            self.ahead = (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
        try:
            said = json.loads(body)
        except ValueError:
            said = {}
        return answer.status, said if isinstance(said, dict) else {}


def look(env: Mapping[str, str]) -> Iterator[Finding]:
    """Every number of the shops file that PANIER_SHOPS names."""
    file = env.get("PANIER_SHOPS")
    if not file:
        yield skipped("meta.shops", "PANIER_SHOPS is not given: the numbers are not known", "name the shops file")
        return
    try:
        shops = parse_shops(Path(file).read_text("utf-8")).shop
    except (OSError, UnicodeDecodeError, ShopsError) as error:
        yield fail("meta.shops", f"the shops file {file} cannot be read ({type(error).__name__})", "panier shop check")
        return
    for shop in shops:
        for number in shop.number:
            yield from _number(env, number)
        yield from _account(env, shop)


def _number(env: Mapping[str, str], number: NumberTable) -> Iterator[Finding]:
    named = f"number {number.phone_number_id}"
    check = f"meta.token.{number.phone_number_id}"
    if not has(env, number.access_token_env):
        yield fail(check, f"{named}: {number.access_token_env} is not set", "put the token there, or into its _FILE")
        return
    try:
        token = given(env, number.access_token_env)
        graph = Graph(env, token)
        status, said = graph.get("debug_token", input_token=token)
        yield judge_token(check, named, status, said, time.time())
        if graph.ahead is not None:
            yield clock("clock.meta", graph.ahead, "the Graph API's clock", exact=1.0)
        yield judge_number(number.phone_number_id, *graph.get(quote(number.phone_number_id, safe=""), fields=_FIELDS))
    except Refused as error:
        yield fail(check, f"{named}: {error}", error.hint)
    except (OSError, UnicodeDecodeError, http.client.HTTPException) as error:
        what = f"{named}: the Graph API does not answer ({type(error).__name__})"
        yield fail(check, what, "is PANIER_GRAPH_URL right, and may this machine speak to it?")


_FIELDS = "display_phone_number,verified_name,quality_rating,status"


def _refusal(status: int, said: Mapping[str, Any]) -> str:
    return f"status {status}, code {(said.get('error') or {}).get('code')}"


def judge_token(check: str, named: str, status: int, said: Mapping[str, Any], now: float) -> Finding:
    """What `debug_token` said of a token."""
    renew = "make a new one at Meta for a system user, and put it where the shop's access_token_env points"
    if status != http.client.OK:
        return fail(check, f"{named}: Meta refuses the token ({_refusal(status, said)})", renew)
    data = said.get("data") or {}
    if not data.get("is_valid"):
        return fail(check, f"{named}: Meta says that the token is not valid", renew)
    lacking = [scope for scope in NEEDED if scope not in (data.get("scopes") or ())]
    if lacking:
        return fail(check, f"{named}: the token lacks {', '.join(lacking)}", renew)
    ends = [data.get(name) or 0 for name in ("expires_at", "data_access_expires_at")]
    end = min(filter(None, ends), default=0)
    if not end:
        return ok(check, f"{named}: the token is good without an end")
    on = f"{datetime.fromtimestamp(end, UTC):%Y-%m-%d %H:%M} UTC"
    if end - now < _DAY:
        return fail(check, f"{named}: the token ends on {on}", renew)
    return warn(check, f"{named}: the token ends on {on}", renew) if end - now < 7 * _DAY else ok(check, f"until {on}")


def judge_number(number: str, status: int, said: Mapping[str, Any]) -> Finding:
    """What Meta says of a phone number."""
    check = f"meta.number.{number}"
    if status != http.client.OK:
        what = f"Meta does not show the number with this token ({_refusal(status, said)})"
        return fail(check, what, "is the phone_number_id right, and the token one of its account?")
    state, quality = said.get("status"), said.get("quality_rating")
    if state not in (None, "CONNECTED"):
        return fail(check, f"the number is {state}", "register it at Meta: docs/howto/your-own-number.md")
    if quality in ("RED", "YELLOW"):
        return warn(check, f"its quality is {quality}", "customers block or report it: send less that nobody asked for")
    return ok(check, f"the number is {state or 'there'}, its quality {quality or 'unknown'}")


def _account(env: Mapping[str, str], shop: ShopTable) -> Iterator[Finding]:
    check = f"meta.webhooks.{shop.id}"
    name = shop.number[0].access_token_env
    if shop.business_account_id is None:
        yield skipped(check, "whether Meta sends webhooks cannot be asked", "add business_account_id to the shop")
        return
    if not has(env, name):
        return  # said of the number
    account = quote(shop.business_account_id, safe="")
    try:
        status, said = Graph(env, given(env, name)).get(f"{account}/subscribed_apps")
    except Refused:
        return  # said of the number
    except (OSError, UnicodeDecodeError, http.client.HTTPException) as error:
        yield fail(check, f"the Graph API does not answer ({type(error).__name__})", "is PANIER_GRAPH_URL right?")
        return
    do = f"POST /{account}/subscribed_apps with the app's token, and set the webhook's address in the app"
    if status != http.client.OK:
        scopes = ", ".join(_SCOPES_OF_ACCOUNT)
        yield warn(
            check, f"Meta does not show the subscription ({_refusal(status, said)})", f"the token needs {scopes}"
        )
    elif not said.get("data"):
        yield fail(check, "no app is subscribed to the account: Meta sends us nothing", do)
    else:
        apps = [str((one.get("whatsapp_business_api_data") or {}).get("name", "?")) for one in said["data"]]
        yield ok(check, f"subscribed: {', '.join(apps)}")
