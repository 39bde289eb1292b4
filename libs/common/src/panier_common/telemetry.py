"""Traces, metrics and logs: their set-up, and how services make spans and instruments.

Every name comes from `conventions`; a metric that is not there cannot be made.
"""

import hashlib
import logging
import os
import random
import sys
from collections import Counter as TallyOf
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

import structlog
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler, _get_from_env_or_default
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from structlog.typing import EventDict, WrappedLogger

from panier_common.conventions import (
    BY_NAME,
    CONVERSATION,
    DESTINATION,
    EVENT_TYPE,
    GROUP,
    MESSAGE_ID,
    OFFSET,
    OPERATION_NAME,
    OPERATION_TYPE,
    PARTITION,
    PROCESS,
    SECONDS,
    SEND,
    SYSTEM,
)
from panier_common.exposition import Exposition
from panier_common.spans import Recorder, Shape, Span, Value, parsed

_ODD = frozenset("13579bdf")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_METER = metrics.get_meter("panier")


def counter(name: str) -> Counter:
    """The counter of that name in the registry."""
    metric = BY_NAME[name]
    assert metric.kind == "counter", name
    return _METER.create_counter(name, description=metric.says)


def histogram(name: str) -> Histogram:
    """The histogram of that name in the registry; `record` it with `during(traceparent)` for an exemplar."""
    metric = BY_NAME[name]
    assert metric.kind == "histogram", name
    return _METER.create_histogram(name, unit=metric.unit, description=metric.says)


def gauge(name: str, read: Callable[[], Iterable[tuple[float, Mapping[str, str]]]]) -> None:
    """A figure that is looked up whenever the metrics are read."""

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        with suppress(RuntimeError):  # a dictionary that grew while it was read: the next reading has it
            return [Observation(value, dict(labels)) for value, labels in read()]
        return []

    metric = BY_NAME[name]
    assert metric.kind == "gauge", name
    _METER.create_observable_gauge(name, [observe], description=metric.says)


def tally(name: str) -> TallyOf[tuple[str, ...]]:
    """A counter by the values of its labels, in the registry's order, that costs what a dictionary does.

    It is looked up whenever the metrics are read.
    """
    metric = BY_NAME[name]
    assert metric.kind == "counter", name
    counted: TallyOf[tuple[str, ...]] = TallyOf()

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(value, dict(zip(metric.labels, labels, strict=True))) for labels, value in dict(counted).items()
        ]

    _METER.create_observable_counter(name, [observe], description=metric.says)
    return counted


RECORDS = counter("panier.records")
EVENTS = tally("panier.events")
DUPLICATES = counter("panier.duplicates")
DEAD_LETTERS = counter("panier.dead_letters")
PUBLISHED = counter("panier.published")
WAITS = counter("panier.waits")
BATCH_SECONDS = histogram("panier.batch")
PUBLISH_SECONDS = histogram("panier.publish")


class _State:
    tracing = False
    keyed = hashlib.blake2b(key=b"panier", digest_size=8)
    recorder: Recorder | None = None
    sampler: Sampler = ALWAYS_ON


def tracing() -> bool:
    """Whether spans go anywhere: without, none is made and nothing is paid."""
    return _State.tracing


def set_up(service: str, version: str, log_level: str, secret: str) -> None:
    """Once per process: JSON logs, Prometheus metrics, and OTLP when OpenTelemetry's variables ask for it."""
    _State.keyed = hashlib.blake2b(key=hash_key(secret), digest_size=8)
    _set_up_logs(service, log_level)
    resource = Resource.create({"service.name": f"panier-{service}", "service.version": version})
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    readers: list[MetricReader] = [Exposition().reader]
    if os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") or (
        endpoint and os.environ.get("OTEL_METRICS_EXPORTER", "otlp") != "none"
    ):
        from panier_common.otlp import MetricExporter

        readers.append(PeriodicExportingMetricReader(MetricExporter()))
    seconds = View(
        instrument_name="panier.*",
        instrument_unit="s",
        instrument_type=metrics.Histogram,
        aggregation=ExplicitBucketHistogramAggregation(SECONDS),
    )
    metrics.set_meter_provider(MeterProvider(readers, resource, views=[seconds]))
    if (endpoint or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) and os.environ.get(
        "OTEL_TRACES_EXPORTER", "otlp"
    ) != "none":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        # The exporter's own way to send: its settings, its retries; the bytes are ours.
        send: Callable[[bytes], object] = OTLPSpanExporter()._client.export
        about = {name: str(value) for name, value in resource.attributes.items()}
        _State.recorder = Recorder(about, send)
        _State.sampler = _get_from_env_or_default()
        _State.tracing = True


def flush() -> None:
    """Send what spans there are now."""
    if _State.recorder is not None:
        _State.recorder.flush()


def shut_down() -> None:
    """Send what is still held."""
    if _State.recorder is not None:
        _State.recorder.shut_down()
        _State.recorder, _State.tracing = None, False


def hash_key(secret: str) -> bytes:
    """What an installation hashes conversations under: made of its admin token."""
    return hashlib.sha256(b"panier telemetry " + secret.encode()).digest()


def conversation_hash(conversation: str, key: bytes | None = None) -> str:
    """A conversation as telemetry may know it: the same within one installation, worthless outside.

    Under this process's own key, unless another is given.
    """
    found = hashlib.blake2b(key=key, digest_size=8) if key else _State.keyed.copy()
    found.update(conversation.encode())
    return found.hexdigest()


def is_sampled(traceparent: str | None) -> bool:
    """Whether the trace is kept: the lowest bit of the flags, beside which others may be set."""
    return traceparent is not None and traceparent[-1:] in _ODD


def traceparent_of(span: Span) -> str:
    """The W3C header that makes others this span's children."""
    return span.traceparent


def during(traceparent: str | None) -> Context | None:
    """What a histogram is recorded in to keep this trace as an exemplar; None for one that is not sampled."""
    if not _State.tracing or not is_sampled(traceparent):
        return None
    found = parsed(traceparent)
    if found is None:
        return None
    context = SpanContext(int(found[0], 16), int(found[1], 16), is_remote=True, trace_flags=_SAMPLED)
    return trace.set_span_in_context(trace.NonRecordingSpan(context))


def trace_id_of(traceparent: str | None) -> str | None:
    return traceparent.split("-")[1] if traceparent and traceparent.count("-") == 3 else None


def start_root(shape: Shape) -> Span | None:
    """The first span of a trace, where the sampler keeps it.

    What is not kept has no context: it would travel with nine records in ten to say that nobody is to look.
    """
    if _State.recorder is None:
        return None
    trace_id = random.getrandbits(128) or 1
    if _State.sampler.should_sample(None, trace_id, shape.name).decision is not Decision.RECORD_AND_SAMPLE:
        return None
    return Span(shape, (f"{trace_id:032x}", "", True), {}, keep=_State.recorder.keep)


def start_span(shape: Shape, parent: Span | str | None, own: dict[str, Value], links: Sequence[str] = ()) -> Span:
    """A span under another, or under the context of a `traceparent` that `is_sampled`."""
    context = (parent.trace_id, parent.span_id, True) if isinstance(parent, Span) else parsed(parent)
    linked = [found for found in map(parsed, links) if found is not None] if links else ()
    keep = _State.recorder.keep if _State.recorder is not None else None
    return Span(shape, context, own, linked, keep)


def start_process(
    topic: str, group: str, ce_type: str, traceparent: str | None, partition: int, offset: int, key: str
) -> Span:
    """`process X`: the child of the span that sent the record."""
    own: dict[str, Value] = {OFFSET: offset, CONVERSATION: conversation_hash(key)}
    return start_span(_process(topic, group, ce_type, partition), traceparent, own)


@lru_cache(maxsize=4096)
def _process(topic: str, group: str, ce_type: str, partition: int) -> Shape:
    return Shape(
        f"{PROCESS} {topic}",
        SpanKind.CONSUMER,
        {
            SYSTEM: "kafka",
            OPERATION_NAME: PROCESS,
            OPERATION_TYPE: PROCESS,
            DESTINATION: topic,
            PARTITION: str(partition),
            GROUP: group,
            EVENT_TYPE: ce_type,
        },
    )


def start_send(topic: str, ce_type: str, event_id: str, parent: Span | str | None, link: str | None = None) -> Span:
    """`send X`: begun where the event is decided, ended when the broker has it; its context travels.

    `link` is the context of another action that this one tells about: a status of the message it sent.
    """
    return start_span(_send(topic, ce_type), parent, {MESSAGE_ID: event_id}, (link,) if link else ())


@lru_cache(maxsize=1024)
def _send(topic: str, ce_type: str) -> Shape:
    return Shape(
        f"{SEND} {topic}",
        SpanKind.PRODUCER,
        {
            SYSTEM: "kafka",
            OPERATION_NAME: SEND,
            OPERATION_TYPE: SEND,
            DESTINATION: topic,
            EVENT_TYPE: ce_type,
        },
    )


def with_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A line that was given a `traceparent` has the ids of its trace, where that is kept."""
    found = parsed(event.pop("traceparent", None))
    if found is not None and found[2]:
        event["trace_id"], event["span_id"] = found[:2]
    return event


def _set_up_logs(service: str, level: str) -> None:
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        with_trace,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Without the values of local variables: they hold customers' words and secrets.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
        lambda _, __, event: {"service": service, **event},
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper(), logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer(), foreign_pre_chain=shared)
    )
    logging.basicConfig(handlers=[handler], level=max(getattr(logging, level.upper(), 20), logging.WARNING), force=True)
    # Each of its retries is a line; that an engine is away is said by the runner, once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
