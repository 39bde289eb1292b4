"""A record as it may be shown to whoever looks for a fault: its shape and its numbers, without the words in it.

Names of fields stay. Of texts only those stay that name a thing of ours or of the shop; of all others their length.
"""

from collections.abc import Set
from typing import Any

import msgspec

# Fields whose text is no customer's: what kind of thing, which product, which order, in what state.
_SHOWN = frozenset(
    {
        "at",
        "carrier",
        "cart_id",
        "catalog_id",
        "currency",
        "draft",
        "kind",
        "lane",
        "message_id",
        "number",
        "order_id",
        "origin",
        "owner",
        "payment_provider",
        "phone_number_id",
        "placed_at",
        "provider",
        "reason",
        "reply_id",
        "shop",
        "sku",
        "state",
        "status",
        "type",
        "version",
        "way",
    }
)
# Meta's name of a message holds the customer's phone number.
_WAMID = "wamid."


def redacted(value: bytes | None) -> Any:
    """The JSON document of these bytes without its words; how long they are where they are no JSON."""
    if value is None:
        return None
    try:
        return _hidden(msgspec.json.decode(value), _SHOWN)
    except ValueError:
        return f"no JSON, {len(value)} bytes"


def _hidden(document: Any, shown: Set[str], name: str = "") -> Any:
    match document:
        case dict():
            # Of Meta's own JSON any field may be a customer's.
            return {key: _hidden(inner, shown if key != "raw" else frozenset(), key) for key, inner in document.items()}
        case list():
            return [_hidden(inner, shown, name) for inner in document]
        case str() if name not in shown or document.startswith(_WAMID):
            return f"({len(document)} characters)" if document else ""
        case float():  # where somebody is: amounts and quantities are integers
            return "(a number)"
    return document
