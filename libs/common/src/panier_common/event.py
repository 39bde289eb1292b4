"""From event to Kafka record and back: JSON values, CloudEvents' binary mode in the headers, and ids.

Ids are name-based (uuid5), so that doing a thing again makes the same ids again.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from hashlib import sha1
from typing import ClassVar
from uuid import UUID

import msgspec

from panier_common.contracts.events import Event
from panier_common.topics import TOPIC_OF

OWNER = "panier_owner"
LANGUAGE = "panier_language"
SEQUENCE = "panier_seq"
TRACEPARENT = "traceparent"

_NAMESPACE = sha1(UUID("6f1d5f0e-5f0b-5f35-9c7e-0c2a7f0f5a11").bytes, usedforsecurity=False)
_VARIANT = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}
_ENCODER = msgspec.json.Encoder()

Headers = dict[str, str]
WireHeaders = list[tuple[str, bytes]]


class UnknownEventError(ValueError):
    """A record whose type this version does not know."""


class Received(msgspec.Struct):
    """One record, decoded: `at` is when the fact happened (`ce_time`), not when it was read.

    `language` is what the conversation speaks, None when it never said; the runner fills it in.
    """

    topic: str
    partition: int
    offset: int
    id: str
    at: datetime
    event: Event
    headers: Headers
    language: str | None = None


class Gone(Event, frozen=True):
    """What a tombstone says: this key of a compacted topic is no more."""

    ce_type: ClassVar[str] = "panier.key.gone.v1"
    key: str


EVENT_TYPES: dict[str, type[Event]] = {event.ce_type: event for event in TOPIC_OF}


def name_based_id(name: str) -> str:
    """The version 5 UUID of the name in our namespace; the standard library's own takes six times as long."""
    sha = _NAMESPACE.copy()
    sha.update(name.encode("utf-8", "surrogatepass"))
    text = sha.hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


def inbound_id(phone_number_id: str, wamid: str, status: str = "") -> str:
    """The id of what Meta sent: the same for every repeat of one message or one of its statuses."""
    return name_based_id(f"{phone_number_id}\n{wamid}\n{status}")


def caused_id(service: str, cause: str, ce_type: str, ordinal: int) -> str:
    """The id of an event of ours: who made it, because of what, and the how-manyth of that cause."""
    return name_based_id(f"{service}\n{cause}\n{ce_type}\n{ordinal}")


def encode(event: Event) -> bytes:
    return _ENCODER.encode(event)


def cloud_headers(event: Event, event_id: str, source: str, at: datetime | str) -> Headers:
    """CloudEvents 1.0 attributes as Kafka headers (binary content mode)."""
    return {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_type": event.ce_type,
        "ce_source": f"/panier/{source}",
        "ce_time": at if isinstance(at, str) else at.isoformat(),
        "content-type": "application/json",
    }


def cloud_wire(event: Event, event_id: str, source: str, at: datetime) -> WireHeaders:
    """The same as they go on the wire, for those who publish thousands a second."""
    version, kind, origin, content = _fixed_headers(event.ce_type, source)
    return [version, ("ce_id", event_id.encode()), kind, origin, ("ce_time", _iso_format(at)), content]


@lru_cache(maxsize=64)
def _iso_format(at: datetime) -> bytes:
    """Meta's times are whole seconds: thousands are the same."""
    return at.isoformat().encode()


@cache
def _fixed_headers(ce_type: str, source: str) -> WireHeaders:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", ce_type.encode()),
        ("ce_source", f"/panier/{source}".encode()),
        ("content-type", b"application/json"),
    ]


def to_wire(headers: Mapping[str, str]) -> WireHeaders:
    return [(name, value.encode()) for name, value in headers.items()]


def from_wire(headers: Iterable[tuple[str, bytes]]) -> Headers:
    return {name: storable(value.decode("utf-8", "replace")) for name, value in headers}


def storable(text: str) -> str:
    """As PostgreSQL takes it, which has no U+0000: neither a dead letter nor a memory could be kept of it."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


@cache
def _decoder(ce_type: str) -> msgspec.json.Decoder[Event]:
    try:
        return msgspec.json.Decoder(EVENT_TYPES[ce_type])
    except KeyError:
        raise UnknownEventError(f"unknown event type {ce_type!r}") from None


def decode(ce_type: str, value: bytes) -> Event:
    """The event. Raises UnknownEventError or msgspec.DecodeError: either makes the record a dead letter."""
    return _decoder(ce_type).decode(value)


def received(topic: str, partition: int, offset: int, headers: Headers, value: bytes) -> Received:
    """A record as services see it. Raises ValueError (of which the decoding errors are kinds)."""
    ce_type = headers.get("ce_type", "")
    return Received(
        topic=topic,
        partition=partition,
        offset=offset,
        id=headers.get("ce_id", ""),
        at=datetime.fromisoformat(headers["ce_time"]) if "ce_time" in headers else _no_time(),
        event=decode(ce_type, value),
        headers=headers,
    )


def second_of(headers: Headers) -> int:
    """When it happened, in seconds of Unix; 0 where a record does not say so."""
    try:
        return min(max(int(datetime.fromisoformat(headers.get("ce_time", "")).timestamp()), 0), 2**32 - 1)
    except ValueError:
        return 0


def _no_time() -> datetime:
    raise UnknownEventError("the record has no ce_time")


def types_of(events: Sequence[type[Event]]) -> frozenset[str]:
    """The CloudEvents types of these classes, for a loop's `wants`."""
    return frozenset(event.ce_type for event in events)


# What Meta is given with a message and gives back with its statuses: our id, and where it is traced its context.
_BETWEEN = " "
_CONTEXT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def with_context(name: str, traceparent: str | None) -> str:
    """`name`, with the context behind it where the trace is kept (the lowest bit of its flags)."""
    return f"{name}{_BETWEEN}{traceparent}" if traceparent and traceparent[-1:] in "13579bdf" else name


def without_context(text: str) -> tuple[str, str | None]:
    """The name and the context that `with_context` put together."""
    name, _, traceparent = text.rpartition(_BETWEEN)
    return (name, traceparent) if name and _CONTEXT.fullmatch(traceparent) else (text, None)
