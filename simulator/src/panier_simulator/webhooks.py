"""The webhooks that Meta posts, built and signed. Pure. Shapes: Meta's webhook examples.

Ids of a customer follow Meta's rules since 2026: the user id is always there, the phone number only when
the customer does not hide it, and then as an absent key, never an empty one.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Any

from panier_simulator.shops import Number, Shop
from panier_simulator.store import Customer, Message

Json = dict[str, Any]
WHATSAPP = "whatsapp_business_account"
SHARED = ("contacts", "messages", "statuses")  # arrays that may hold those of several updates


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


def system(shop: Shop, number: Number, wa_id: str | None, user_id: str, wamid: str, content: Json, at: float) -> Json:
    """WhatsApp's own word about a customer, under the ids from before the change. These have no contacts."""
    ids: Json = {"from": wa_id} if wa_id else {}
    body = {**ids, "from_user_id": user_id, "id": wamid, "timestamp": str(int(at)), "system": content, "type": "system"}
    return _envelope(shop, number, {"messages": [body]})


def status(shop: Shop, number: Number, customer: Customer, sent: Message, category: str | None, at: float) -> Json:
    """What became of a message of the shop's: its state, one of sent, delivered, read and failed."""
    state = sent.state
    by_phone = "to" in sent.body
    report: Json = {"id": sent.wamid, "status": state, "timestamp": str(int(at))}
    if customer.wa_id and by_phone:
        report["recipient_id"] = customer.wa_id
    if state != "failed" or not by_phone:
        report["recipient_user_id"] = customer.user_id
    if "biz_opaque_callback_data" in sent.body:
        report["biz_opaque_callback_data"] = sent.body["biz_opaque_callback_data"]
    if state in ("sent", "delivered"):
        report["pricing"] = _pricing(sent.kind, category)
    if state == "failed":
        report["errors"] = [sent.error]
        return _envelope(shop, number, {"statuses": [report]})
    contact: Json = {"profile": {"name": customer.name}, "user_id": customer.user_id}
    if "recipient_id" in report:
        contact["wa_id"] = customer.wa_id
    return _envelope(shop, number, {"contacts": [contact], "statuses": [report]})


def user_id_update(shop: Shop, number: Number, wa_id: str | None, previous: str, current: str, at: float) -> Json:
    """A customer has another user id, as the field of that name tells it."""
    update: Json = {
        "detail": "The user id has changed.",
        "user_id": {"previous": previous, "current": current},
        "timestamp": str(int(at)),
    }
    if wa_id:
        update["wa_id"] = wa_id
    value = _value(number, {"user_id_update": [update]})
    return _document(shop.account_id, {"field": "user_id_update", "value": value})


def account(shop: Shop, field: str, value: Json, at: float) -> Json:
    """What concerns the account, a number or a template rather than a conversation."""
    document = _document(shop.account_id, {"value": value, "field": field})
    document["entry"][0]["time"] = int(at)
    return document


def batched(bodies: Iterable[bytes]) -> bytes:
    """Many webhooks as one: an entry for each account, and in a value all that concerns one number.

    Messages stay apart from statuses, and what has a time of its own keeps its entry.
    """
    entries: list[Json] = []
    values: dict[tuple[str, str, str], Json] = {}
    by_account: dict[str, Json] = {}
    for body in bodies:
        for entry in json.loads(body)["entry"]:
            if "time" in entry:
                entries.append(entry)
                continue
            for change in entry["changes"]:
                value = change["value"]
                kind = next((name for name in ("messages", "statuses") if name in value), "")
                key = (entry["id"], value["metadata"]["phone_number_id"], kind)
                if kind and key in values:
                    _join(values[key], value)
                    continue
                values[key] = value
                if entry["id"] not in by_account:
                    by_account[entry["id"]] = {"id": entry["id"], "changes": []}
                    entries.append(by_account[entry["id"]])
                by_account[entry["id"]]["changes"].append(change)
    return encode({"object": WHATSAPP, "entry": entries})


def _join(value: Json, more: Json) -> None:
    for name in SHARED:
        for each in more.get(name, ()):
            known = value.setdefault(name, [])
            if name != "contacts" or each not in known[-20:]:
                known.append(each)


def _pricing(kind: str, category: str | None) -> Json:
    if kind == "template":
        return {
            "billable": True,
            "pricing_model": "PMP",
            "type": "regular",
            "category": (category or "UTILITY").lower(),
        }
    return {"billable": False, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"}


def _envelope(shop: Shop, number: Number, content: Json) -> Json:
    return _document(shop.account_id, {"field": "messages", "value": _value(number, content)})


def _value(number: Number, content: Json) -> Json:
    metadata = {"display_phone_number": number.digits, "phone_number_id": number.phone_number_id}
    return {"messaging_product": "whatsapp", "metadata": metadata, **content}


def _document(account_id: str, change: Json) -> Json:
    return {"object": WHATSAPP, "entry": [{"id": account_id, "changes": [change]}]}
