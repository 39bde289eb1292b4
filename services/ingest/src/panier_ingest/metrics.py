"""What the door counts, as plain integers that are read when somebody asks: a request pays nothing for them.

Labels are our own words (topics, kinds, statuses), never anything that came in.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation
from panier_common.contracts.events import Event, MessageReceived
from panier_common.contracts.inbound import Content
from panier_common.conventions import BY_NAME

WEBHOOKS: Final = "panier.ingest.webhooks"
PAYMENTS: Final = "panier.ingest.payment_notifications"
UPDATES: Final = "panier.ingest.updates"
STRANGERS: Final = "panier.ingest.unknown_number_messages"
BATCHES: Final = "panier.ingest.batches"
BATCH_RECORDS: Final = "panier.ingest.batch_records"
BATCH_SECONDS: Final = "panier.ingest.batch_seconds"

_webhooks: Counter[int] = Counter()
_payments: Counter[int] = Counter()
_updates: Counter[str] = Counter()
_strangers: Counter[str] = Counter()
_batches: Counter[str] = Counter()
_records: Counter[str] = Counter()
_seconds: dict[str, float] = {}


def webhook_answered(status: int) -> None:
    _webhooks[status] += 1


def payment_answered(status: int) -> None:
    _payments[status] += 1


def update_kept(event: Event) -> None:
    """By kind of message or of event; a message to a number of no shop is counted besides."""
    if isinstance(event, MessageReceived):
        _updates[_kind_of(type(event.content))] += 1
        if event.shop is None:
            _strangers[""] += 1
    else:
        _updates[event.ce_type] += 1


@cache
def _kind_of(content: type[Content]) -> str:
    return str(content.__struct_config__.tag)


def published(topic: str, records: int, seconds: float) -> None:
    """One batch acknowledged: records ÷ batches is its size, seconds ÷ batches its latency."""
    _batches[topic] += 1
    _records[topic] += records
    _seconds[topic] = _seconds.get(topic, 0.0) + seconds


TABLE: tuple[tuple[str, Mapping[Any, float]], ...] = (
    (WEBHOOKS, _webhooks),
    (PAYMENTS, _payments),
    (UPDATES, _updates),
    (STRANGERS, _strangers),
    (BATCHES, _batches),
    (BATCH_RECORDS, _records),
    (BATCH_SECONDS, _seconds),
)


def register() -> None:
    """Once per process, after telemetry is set up."""
    meter = metrics.get_meter("panier")
    for name, counts in TABLE:
        known = BY_NAME[name]
        label = known.labels[0] if known.labels else ""
        meter.create_observable_counter(name, [_reader(counts, label)], description=known.says)


def _reader(counts: Mapping[Any, float], label: str) -> Callable[[CallbackOptions], list[Observation]]:
    def read(_: CallbackOptions) -> list[Observation]:
        items = dict(counts).items()
        return [Observation(value, {label: str(name)} if label else {}) for name, value in items]

    return read
