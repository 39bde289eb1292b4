"""Whether a well-formed request may be taken as things stand: catalogues, files, orders, reactions. Reads only."""

import copy
from typing import Any

from panier_simulator import media
from panier_simulator.errors import GraphError
from panier_simulator.shops import Shop
from panier_simulator.store import Store

Json = dict[str, Any]
FINAL_ORDER_STATES = frozenset({"completed", "canceled"})
REACTION_SECONDS = 30 * 24 * 3600.0


def with_known_products(shop: Shop, body: Json) -> Json:
    """The request without the products that the catalogue lacks; refused when none is left."""
    if body["type"] != "interactive":
        return body
    action = body["interactive"].get("action", {})
    cards = [card["action"] for card in action.get("cards", []) if "catalog_id" in card.get("action", {})]
    for part in (action, *cards):
        if "catalog_id" in part and part["catalog_id"] != shop.catalog_id:
            raise GraphError(131009, "The catalog_id is not the one connected to this business account")
        sku = part.get("product_retailer_id")
        if sku is not None and sku not in shop.products:
            raise GraphError(131009, "Products not found in FB Catalog")
    thumbnail = (action.get("parameters") or {}).get("thumbnail_product_retailer_id")
    if thumbnail is not None and thumbnail not in shop.products:
        raise GraphError(131009, "Products not found in FB Catalog: thumbnail_product_retailer_id")
    if body["interactive"].get("type") != "product_list":
        return body
    shown = copy.deepcopy(body)
    sections = shown["interactive"]["action"]["sections"]
    for section in sections:
        items = section["product_items"]
        section["product_items"] = [item for item in items if item["product_retailer_id"] in shop.products]
    shown["interactive"]["action"]["sections"] = [part for part in sections if part["product_items"]]
    if not shown["interactive"]["action"]["sections"]:
        raise GraphError(131009, "Products not found in FB Catalog")
    return shown


def check_files(store: Store, body: Json, now: float) -> None:
    """Raises the GraphError of a file that cannot be shown as what the message calls it."""
    for kind, content in media.parts(body):
        if content.get("id"):
            media.check_use(kind, content["id"], store.media_type(content["id"]), now)


def check_order(store: Store, number: str, body: Json) -> None:
    """Raises the GraphError of an order's state that cannot follow the one before."""
    content = body.get("interactive", {})
    if content.get("type") != "order_status":
        return
    parameters = content["action"]["parameters"]
    wanted, state = parameters["order"]["status"], None
    paid = False
    for message in store.order_messages(number, parameters["reference_id"]):
        before = message.body["interactive"]["action"]["parameters"]
        state = before["order"]["status"]
        paid = paid or before.get("payment", {}).get("status") == "captured"
    if state in FINAL_ORDER_STATES and wanted != state:
        raise GraphError(2046, f"An order cannot go from {state} to {wanted}")
    if wanted == "canceled" and paid:
        raise GraphError(2047, "An order that is paid for cannot be canceled")


def late_failure(store: Store, number: str, body: Json, now: float) -> GraphError | None:
    """What Meta finds out only after it has accepted a message."""
    for kind, content in media.parts(body):
        # `.invalid` is the domain that never exists (RFC 2606).
        host = (content.get("link") or "").partition("://")[2].partition("/")[0].partition(":")[0]
        if host.endswith(".invalid"):
            return GraphError(131053, f"The {kind} at this link could not be fetched")
    if body["type"] == "reaction":
        target = store.message(body["reaction"]["message_id"])
        if target is None or target.number != number or now - target.at > REACTION_SECONDS:
            return GraphError(131009, "The message reacted to is unknown or older than 30 days")
    return None
