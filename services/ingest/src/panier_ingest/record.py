"""Events into Kafka records: topic, key, value and the headers that spare consumers the body. Pure."""

from datetime import datetime

import msgspec
from panier_common import routing
from panier_common.contracts.events import Event, MessageReceived, ShopConfigured
from panier_common.event import LANGUAGE, OWNER, TRACEPARENT, WireHeaders, cloud_wire, encode
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
    """The record. A message says who answers it, when it is to a number of a shop (`shop`) and not to a group."""
    headers = cloud_wire(event, event_id, SOURCE, at)
    if shop is not None and isinstance(event, MessageReceived) and event.group_id is None:
        owner, language = routing.owner_and_language(event.content, event.context, shop.languages)
        headers.append((OWNER, owner.encode()))
        if language is not None:
            headers.append((LANGUAGE, language.encode()))
    if traceparent is not None:
        headers.append((TRACEPARENT, traceparent.encode()))
    return Record(TOPIC_OF[type(event)].name, key_of(event), encode(event), headers)
