"""The webhooks that Meta posts, built and signed. Pure. Shapes: Meta's webhook examples.

Ids of a customer follow Meta's rules since 2026: the user id is always there, the phone number only when
the customer does not hide it, and then as an absent key, never an empty one.
"""

import hashlib
import hmac
import json
from typing import Any

from panier_simulator.shops import Number, Shop
from panier_simulator.store import Customer, Message

Json = dict[str, Any]


def encode(document: Json) -> bytes:
    """JSON with every character beyond ASCII escaped: the bytes that Meta signs and sends."""
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def signature(body: bytes, secret: bytes) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def message(shop: Shop, number: Number, customer: Customer, body: Json) -> Json:
    contact: Json = {"profile": {"name": customer.name}, "user_id": customer.user_id}
    if customer.wa_id:
        contact["wa_id"] = customer.wa_id
    return _envelope(shop, number, {"contacts": [contact], "messages": [body]})


def status(shop: Shop, number: Number, customer: Customer, sent: Message, state: str, at: float) -> Json:
    """What became of a message of the shop's: sent, delivered, read or failed."""
    by_phone = "to" in sent.body
    report: Json = {"id": sent.wamid, "status": state, "timestamp": str(int(at))}
    if customer.wa_id and by_phone:
        report["recipient_id"] = customer.wa_id
    if state != "failed" or not by_phone:
        report["recipient_user_id"] = customer.user_id
    if "biz_opaque_callback_data" in sent.body:
        report["biz_opaque_callback_data"] = sent.body["biz_opaque_callback_data"]
    if state in ("sent", "delivered"):
        report["pricing"] = _pricing(sent.kind)
    if state == "failed":
        report["errors"] = [sent.error]
        return _envelope(shop, number, {"statuses": [report]})
    contact: Json = {"profile": {"name": customer.name}, "user_id": customer.user_id}
    if "recipient_id" in report:
        contact["wa_id"] = customer.wa_id
    return _envelope(shop, number, {"contacts": [contact], "statuses": [report]})


def _pricing(kind: str) -> Json:
    if kind == "template":
        return {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}
    return {"billable": False, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"}


def _envelope(shop: Shop, number: Number, content: Json) -> Json:
    metadata = {"display_phone_number": number.digits, "phone_number_id": number.phone_number_id}
    value = {"messaging_product": "whatsapp", "metadata": metadata, **content}
    change = {"field": "messages", "value": value}
    return {"object": "whatsapp_business_account", "entry": [{"id": shop.account_id, "changes": [change]}]}
