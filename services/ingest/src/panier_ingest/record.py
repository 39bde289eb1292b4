"""Events into Kafka records: topic, key, value and the headers that spare consumers the body. Pure."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from panier_common import routing
from panier_common.contracts.events import Event, MessageReceived, ShopConfigured
from panier_common.contracts.inbound import Text
from panier_common.event import LANGUAGE, OWNER, TRACEPARENT, WireHeaders, cloud_headers, encode, to_wire
from panier_common.topics import TOPIC_OF, key_of

SOURCE = "ingest"


class Record(msgspec.Struct, frozen=True):
    """One record, ready for the wire."""

    topic: str
    key: str
    value: bytes
    headers: WireHeaders


def record_of(
    event: Event, event_id: str, at: datetime, shop: ShopConfigured | None, traceparent: str | None = None
) -> Record:
    """The record. A message says who answers it, when it is to a number of a shop (`shop`)."""
    headers = cloud_headers(event, event_id, SOURCE, at)
    if isinstance(event, MessageReceived) and shop is not None:
        headers |= _routing(event, shop)
    if traceparent is not None:
        headers[TRACEPARENT] = traceparent
    return Record(TOPIC_OF[type(event)].name, key_of(event), encode(event), to_wire(headers))


def _routing(event: MessageReceived, shop: ShopConfigured) -> Mapping[str, str]:
    """The owner, and the language when the whole text is a word of one of the shop's languages only."""
    headers = {OWNER: routing.owner_of(event.content, event.context, shop.languages)}
    word = routing.word_of(event.content.body, shop.languages) if isinstance(event.content, Text) else None
    if word is not None and word.language is not None:
        headers[LANGUAGE] = word.language
    return headers
