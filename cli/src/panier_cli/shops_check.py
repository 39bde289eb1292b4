"""What is right and wrong with a shops file and the catalogues it names, before anybody applies it.

Whether the Graph API knows the numbers is asked only on request; all else needs no network.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from panier_catalog import feed, shops
from panier_catalog.shops import NumberTable, ShopsFile, ShopTable

from panier_cli.errors import Refused
from panier_cli.stack.environment import given, has

GRAPH = "https://graph.facebook.com"
FIELDS = "display_phone_number,verified_name,quality_rating"
_SECONDS = 15.0


def check(file: Path, env: Mapping[str, str], online: bool) -> dict[str, Any]:
    """The document of `panier shop check`. Raises Refused when the file is no shops file at all."""
    try:
        read = shops.parse(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Refused("bad_shops_file", f"the shops file {file} cannot be read: {error}") from error
    except shops.ShopsError as error:
        return {"ok": False, "faults": list(error.faults), "shops": []}
    found = [_shop(shop, file.parent, env, online) for shop in read.shop]
    faults = [*_shared(read), *(fault for one in found for fault in one.pop("faults"))]
    return {"ok": not faults, "faults": faults, "shops": found}


def refuse_faulty(file: Path) -> None:
    """Refuse what no stack could apply; what is only missing for Meta, or a catalogue's bad rows, stops nobody."""
    try:
        read = shops.parse(file.read_text("utf-8"))
        faults = [*_shared(read), *(f"no file {c}" for c in _catalogues(read, file.parent) if not c.is_file())]
    except (OSError, UnicodeDecodeError, shops.ShopsError) as error:
        faults = [str(error)]
    if faults:
        raise Refused(
            "bad_shops_file",
            f"the shops file {file} cannot be applied: {'; '.join(faults)}",
            "correct it (see `panier shop check`), or name another by PANIER_SHOPS",
        )


def _catalogues(read: ShopsFile, folder: Path) -> list[Path]:
    return [folder / shop.catalogue for shop in read.shop if shop.catalogue is not None]


def _shared(read: ShopsFile) -> list[str]:
    return shops.numbers_taken_twice(shops.configured(shop, None) for shop in read.shop)


def _shop(shop: ShopTable, folder: Path, env: Mapping[str, str], online: bool) -> dict[str, Any]:
    faults: list[str] = []
    numbers = [_number(shop, number, env, online, faults) for number in shop.number]
    return {"id": shop.id, "numbers": numbers, "catalogue": _catalogue(shop, folder, faults), "faults": faults}


def _number(
    shop: ShopTable, number: NumberTable, env: Mapping[str, str], online: bool, faults: list[str]
) -> dict[str, Any]:
    name = number.access_token_env
    is_set = has(env, name)
    if not is_set:
        faults.append(f"shop `{shop.id}`: the variable {name} with the access token is not set")
    document = {"phone_number_id": number.phone_number_id, "access_token_env": name, "access_token_set": is_set}
    if not (online and is_set):
        return document
    try:
        return document | {"graph": ask_graph(number.phone_number_id, given(env, name), env)}
    except Refused as error:
        faults.append(f"shop `{shop.id}`: number {number.phone_number_id}: {error}")
        return document | {"graph": None}


def _catalogue(shop: ShopTable, folder: Path, faults: list[str]) -> dict[str, Any] | None:
    if shop.catalogue is None:
        return None
    try:
        rows = feed.read(feed.decoded((folder / shop.catalogue).read_bytes()), shop.currency, "")
    except (OSError, feed.FeedError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        faults.append(f"shop `{shop.id}`: the catalogue {shop.catalogue} cannot be read: {why}")
        return None
    faults += [f"shop `{shop.id}`: {shop.catalogue} row {bad.row}: {bad.reason}" for bad in rows.rejected]
    return {"products": len(rows.products), "rejected": len(rows.rejected)}


def ask_graph(phone_number_id: str, token: str, env: Mapping[str, str]) -> dict[str, Any]:
    """What Meta knows of a number: its display form and its name. Raises Refused with Meta's own reason."""
    parts = urlsplit((env.get("PANIER_GRAPH_URL") or GRAPH).rstrip("/"))
    version = env.get("PANIER_GRAPH_VERSION") or "v26.0"
    where = f"{parts.path}/{version}/{quote(phone_number_id, safe='')}?fields={FIELDS}"
    connection = (
        http.client.HTTPConnection(parts.netloc, timeout=_SECONDS)
        if parts.scheme == "http"
        else http.client.HTTPSConnection(parts.netloc, timeout=_SECONDS, context=ssl.create_default_context())
    )
    try:
        connection.request("GET", where, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        document = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Refused("graph_unreachable", f"the Graph API does not answer ({type(error).__name__})") from error
    finally:
        connection.close()
    if answer.status != 200 or not isinstance(document, dict):
        said = document.get("error", {}) if isinstance(document, dict) else {}
        why = said.get("message") or f"status {answer.status}"
        raise Refused("graph_refused", f"the Graph API says: {why} (code {said.get('code')})")
    return {name: document.get(name) for name in ("id", *FIELDS.split(","))}
