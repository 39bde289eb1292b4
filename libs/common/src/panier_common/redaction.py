"""A record as it may be shown to whoever looks for a fault: its shape and its numbers, without the words in it.

Names of fields stay. Of texts only those stay that name a thing of ours or of the shop; of all others their length.
"""

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


def redacted(value: bytes | None) -> Any:
    """The JSON document of these bytes without its words; how long they are where they are no JSON."""
    if value is None:
        return None
    try:
        return _hidden(msgspec.json.decode(value))
    except ValueError:
        return f"no JSON, {len(value)} bytes"


def _hidden(document: Any, name: str = "") -> Any:
    match document:
        case dict():
            return {key: _hidden(inner, key) for key, inner in document.items()}
        case list():
            return [_hidden(inner, name) for inner in document]
        case str() if name not in _SHOWN:
            return f"({len(document)} characters)" if document else ""
    return document
