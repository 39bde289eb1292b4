"""Kept examples of every event as it went over the wire: what the next version will find on topics when it comes up.

`kept/<type>.jsonl` has one a line; `kept/digests.txt` names each line that there ever was. Nothing of it is ever
changed or taken away. `python -m panier_common.testing.kept_events` adds examples of events that have none.
"""

from __future__ import annotations

import hashlib
import pathlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

FOLDER = pathlib.Path(__file__).parent / "kept"
DIGESTS = FOLDER / "digests.txt"
NUMBER, SHOP = "106540352242922", "boulangerie"
AT = datetime(2026, 11, 2, 8, 30, 15, 123456, tzinfo=UTC)

# What a field of this name holds, so that the events make sense together.
_VALUES: dict[str, Any] = {
    "conversation": f"{NUMBER}:FR.1029384756",
    "into": f"{NUMBER}:FR.1029384755",
    "conversations": (f"{NUMBER}:FR.1029384756",),
    "phone_number_id": NUMBER,
    "shop": SHOP,
    "order_id": "5b1f3c1e-7a1d-5d58-9d6b-0d7f5f3c9a11",
    "last_order": "5b1f3c1e-7a1d-5d58-9d6b-0d7f5f3c9a11",
    "message_id": "8f3b9a52-0c57-5a0e-8a57-5f1f6a1c2d33",
    "cart_id": "0d9f7d3a-1c0b-5b7e-a3a4-3f5a9c1e7b22",
    "user_id": "FR.1029384756",
    "wa_id": "33612345678",
    "name": "Zoé",
    "sku": "croissant",
    "title": "Croissant au beurre",
    "currency": "EUR",
    "wamid": "wamid.HBgLMzM2MTIzNDU2NzgVAgASGBQzQQ==",
    "caused_by": "wamid.HBgLMzM2MTIzNDU2NzgVAgASGBQzQQ==",
    "number": "K7QF2",
    "languages": ("fr", "en"),
    "timezone": "Europe/Paris",
    "day": "2026-11-02",
    "owner": "catalog",
    "origin": "cart",
    "way": "collect",
    "lane": "answer",
    "kind": "text",
    "by": "customer",
    "provider": "simulated",
    "payment_provider": "simulated",
    "reply_id": "cart:add:croissant",
    "ce_type": "panier.cart.state.v1",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
_STATES = {"OrderPlaced": "awaiting_payment", "OrderStatusChanged": "accepted", "OrderAdvanced": "accepted"}
_RAW = {"MessageRequested": b'{"kind":"text","body":"2 x Croissant : 2,80 EUR"}'}


class Example(msgspec.Struct, frozen=True):
    """One record: `value` is the very text that was written."""

    name: str
    topic: str
    key: str
    headers: dict[str, str]
    value: str

    @property
    def ce_type(self) -> str:
        return self.headers["ce_type"]


def kept() -> Iterator[Example]:
    """All of them, of all versions."""
    for file in sorted(FOLDER.glob("*.jsonl")):
        for line in file.read_bytes().splitlines():
            yield msgspec.json.decode(line, type=Example)


def digest_of(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _made(kind: Any, name: str, event: str, is_full: bool) -> Any:
    """A value of this type for a field of this name."""
    import msgspec.inspect as i

    match kind:
        case i.StructType(cls=cls):
            return _struct(cls, event, is_full)
        case i.RawType():
            return msgspec.Raw(_RAW.get(event, b'{"kept":true}'))
        case i.UnionType(types=types):
            some = [one for one in types if not isinstance(one, i.NoneType)]
            empty = not is_full and len(some) < len(types)
            return None if empty else _made(some[0], name, event, is_full)
    if name == "version" and event == "ShopConfigured":
        return 0  # older than any shop's: whoever plays the examples keeps the shop that there is
    if name == "state" and event in _STATES:
        return _STATES[event]
    if name in _VALUES:
        return _VALUES[name]
    match kind:
        case i.DateTimeType():
            return AT
        case i.BoolType():
            return True
        case i.IntType():
            return 2
        case i.FloatType():
            return 1800.0
        case i.StrType():
            return {"state": "paid", "status": "delivered", "key": "0a1b2c3d"}.get(name, name)
        case i.VarTupleType(item_type=item):
            return (_made(item, name.removesuffix("s"), event, is_full),)
    raise TypeError(f"{event}.{name}: no example of {kind}")


def _struct(cls: type, event: str, is_full: bool) -> Any:
    import msgspec.inspect as i

    told = i.type_info(cls)
    assert isinstance(told, i.StructType)
    # Of a customer one id is always known.
    fields = [field for field in told.fields if is_full or field.required or field.name == "user_id"]
    return cls(**{field.name: _made(field.type, field.name, event, is_full) for field in fields})


def _example(event: Any, name: str) -> Example:
    from panier_common.event import OWNER, SEQUENCE, cloud_headers, encode, name_based_id
    from panier_common.topics import TOPIC_OF, key_of

    topic = TOPIC_OF[type(event)]
    producer = topic.producers[0]
    headers = cloud_headers(event, name_based_id(f"kept {event.ce_type} {name}"), producer, AT)
    if name.startswith("full"):
        headers |= {"traceparent": _VALUES["traceparent"]}
    if producer != "ingest":
        headers |= {SEQUENCE: f"{producer}.kept/0/{1 if name.startswith('full') else 2}"}
    if owner := getattr(event, "owner", "checkout" if topic.name == "panier.inbound.v1" else ""):
        headers |= {OWNER: owner}
    return Example(name, topic.name, key_of(event), headers, encode(event).decode())


def _examples(event: type) -> Iterator[Example]:
    """The fullest and the barest; of a customer's message one of each kind."""
    from panier_common.contracts.events import MessageReceived
    from panier_common.contracts.inbound import Kind

    for name, is_full in (("full", True), ("minimal", False)):
        made = _struct(event, event.__name__, is_full)
        if not isinstance(made, MessageReceived):
            yield _example(made, name)
            continue
        for kind in sorted(Kind.__subclasses__(), key=lambda kind: kind.__name__):
            content: Any = _struct(kind, kind.__name__, is_full)
            wamid = f"wamid.kept.{kind.__name__}.{name}"
            yield _example(msgspec.structs.replace(made, content=content, wamid=wamid), f"{name} {kind.__name__}")


def write_missing() -> list[str]:
    """Add examples of events that have none, and their digests; what was added."""
    from panier_common.topics import TOPIC_OF

    FOLDER.mkdir(exist_ok=True)
    added = []
    for event in TOPIC_OF:
        file = FOLDER / f"{event.ce_type}.jsonl"
        if file.exists():
            continue
        lines = [msgspec.json.encode(example) for example in _examples(event)]
        file.write_bytes(b"\n".join(lines) + b"\n")
        with DIGESTS.open("a", encoding="utf-8") as digests:
            digests.writelines(f"{digest_of(line)} {event.ce_type}\n" for line in lines)
        added.append(event.ce_type)
    return added


if __name__ == "__main__":
    sys.stdout.write("\n".join([*write_missing(), ""]) or "nothing was missing\n")
