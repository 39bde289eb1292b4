"""Signed webhooks as WhatsApp sends them, as the bytes of whole HTTP requests. Pure."""

import hashlib
import hmac
import json
from typing import Any

PATH = "/webhooks/whatsapp"


def text(body: str) -> dict[str, Any]:
    return {"type": "text", "text": {"body": body}}


def press(reply_id: str, title: str) -> dict[str, Any]:
    """A customer's press on one of our buttons."""
    reply = {"id": reply_id, "title": title}
    return {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": reply}}


def webhook(number: str, customer: str, wamid: str, at: int, message: dict[str, Any]) -> bytes:
    """One message of one customer, who has a phone number (`customer`), a user id and a name."""
    user = f"FR.{customer}"
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "33612345678", "phone_number_id": number},
        "contacts": [{"profile": {"name": "Zoé"}, "wa_id": customer, "user_id": user}],
        "messages": [{"from": customer, "from_user_id": user, "id": wamid, "timestamp": str(at), **message}],
    }
    entry = {"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}
    document = {"object": "whatsapp_business_account", "entry": [entry]}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def request(body: bytes, secret: str, path: str = PATH, host: str = "127.0.0.1") -> bytes:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nX-Hub-Signature-256: sha256={signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
