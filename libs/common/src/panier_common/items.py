"""What a loop decides on, made of what it is given: records, due timers, letters to be replayed, results submitted.

No I/O: what cannot be decoded becomes an item that says so, and the runner a dead letter of it.
"""

from datetime import UTC, datetime
from typing import Generic, TypeAlias

import asyncpg
import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from panier_common import telemetry
from panier_common.batch import Loop, W
from panier_common.contracts.events import Event
from panier_common.dead_letters import reason_of
from panier_common.event import (
    EVENT_TYPES,
    TRACEPARENT,
    Gone,
    Headers,
    Received,
    UnknownEventError,
    caused_id,
    encode,
    from_wire,
    received,
    storable,
)
from panier_common.item import Item
from panier_common.timers import TIMER_TOPIC, DueTimer

SUBMITTED_TOPIC = "submitted"
UNKNOWN = "unknown"
OURS = "panier."  # how the types of all our events begin

KafkaRecord: TypeAlias = "ConsumerRecord[bytes, bytes]"

_EPOCH = datetime.fromtimestamp(0, UTC)


class Items(Generic[W]):
    """Makes the items of one loop, which consumes as `group`."""

    def __init__(self, loop: Loop[W], group: str) -> None:
        self._loop = loop
        self._group = group
        self._events = {event.ce_type: event for event in loop.timer_events}

    def of_record(self, tp: TopicPartition, record: KafkaRecord) -> Item:
        headers = from_wire(record.headers)
        key = storable(record.key.decode("utf-8", "replace")) if record.key else ""
        item = Item(tp.partition, tp.topic, tp.partition, record.offset, key, headers, record.value)
        if self._loop.wants(tp.topic, headers):
            self._decode(item)
        return item

    def _decode(self, item: Item) -> None:
        if item.value is None:
            item.received = Received(item.topic, item.partition, item.offset, "", _EPOCH, Gone(item.key), item.headers)
            return
        try:
            item.received = received(item.topic, item.partition, item.offset, item.headers, item.value)
        except UnknownEventError as error:
            ce_type = item.headers.get("ce_type", "")
            if item.is_record and ce_type.startswith(OURS) and ce_type not in EVENT_TYPES:
                # A newer version's: whoever is to act on it was brought up before whoever says it.
                telemetry.RECORDS.add(1, {"loop": self._loop.name, "outcome": "unknown"})
                return
            item.dead = reason_of(error)
        except (ValueError, KeyError) as error:
            item.dead = reason_of(error)
        trace = item.headers.get(TRACEPARENT)
        if telemetry.tracing() and telemetry.is_sampled(trace):
            ce_type = item.headers.get("ce_type", "")
            item.begin_span(
                telemetry.start_process(item.topic, self._group, ce_type, trace, item.partition, item.offset, item.key)
            )

    def type_of(self, item: Item) -> str:
        """The event's type as metrics may say it: of those that there are, or `unknown`."""
        if item.received is not None:
            return item.received.event.ce_type
        said = item.headers.get("ce_type", "")
        return said if said in EVENT_TYPES or said in self._events else UNKNOWN

    def of_timer(self, timer: DueTimer) -> Item:
        """Where nobody here can read it, as one that a newer version has set, an item that says so."""
        # The type as well: should it become a dead letter, its replay must know what it is.
        headers = {"ce_type": timer.ce_type, **({TRACEPARENT: timer.traceparent} if timer.traceparent else {})}
        try:
            event = msgspec.json.decode(timer.value, type=self._events[timer.ce_type])
        except (ValueError, KeyError) as error:
            why = reason_of(error)
            return Item(timer.home, TIMER_TOPIC, timer.home, -1, "", headers, timer.value, dead=why, timer=timer)
        if timer.cause is None:
            which = f"{timer.home}/{timer.key}", timer.ce_type, int(timer.due_at.timestamp() * 1e6)
        else:
            which = f"{timer.home}/{timer.key}/{timer.cause}", timer.ce_type, 0
        cause = caused_id(self._loop.name, *which)
        got = Received(TIMER_TOPIC, timer.home, -1, cause, timer.due_at, event, headers)
        key = str(getattr(event, "conversation", ""))
        item = Item(timer.home, TIMER_TOPIC, timer.home, -1, key, headers, timer.value, got, timer=timer)
        if telemetry.tracing() and telemetry.is_sampled(timer.traceparent):
            item.begin_span(
                telemetry.start_process(TIMER_TOPIC, self._group, timer.ce_type, timer.traceparent, timer.home, -1, key)
            )
        return item

    def of_dead_letter(self, row: asyncpg.Record) -> Item:
        headers: Headers = msgspec.json.decode(row["headers"], type=dict[str, str])
        item = Item(
            row["home"],
            row["topic"],
            row["partition"],
            row["offset"],
            row["key"],
            headers,
            row["value"],
            replays=row["id"],
        )
        if row["topic"] == TIMER_TOPIC or row["topic"] == SUBMITTED_TOPIC:
            try:
                event = msgspec.json.decode(row["value"], type=self._events[headers["ce_type"]])
            except (ValueError, KeyError) as error:
                item.dead = reason_of(error)
                return item
            item.received = Received(row["topic"], row["partition"], -1, str(row["id"]), row["at"], event, headers)
        else:
            self._decode(item)
        return item

    def of_submission(self, event: Event, home: int) -> Item:
        value = encode(event)
        headers = {"ce_type": event.ce_type}
        trace = getattr(event, "traceparent", None)
        if trace:
            headers[TRACEPARENT] = trace
        cause = caused_id(self._loop.name, value.decode(), event.ce_type, 0)
        got = Received(SUBMITTED_TOPIC, home, -1, cause, datetime.now(UTC), event, headers)
        key = str(getattr(event, self._loop.topics[0].key))
        return Item(home, SUBMITTED_TOPIC, home, -1, key, headers, value, got)
