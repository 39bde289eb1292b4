"""Traces, metrics and logs: their set-up, and every name of a span, attribute and metric in one place.

Names follow OpenTelemetry's messaging conventions v1.44 (Development). Nothing a customer wrote, no name,
number or id of theirs is ever put in here; a conversation appears as a keyed hash.
"""

import hashlib
import hmac
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

import structlog
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.typing import EventDict, WrappedLogger

# Spans: `send X` (PRODUCER), `process X` (CONSUMER), `POST /webhooks/whatsapp` (SERVER), `POST` (CLIENT).
SEND = "send"
PROCESS = "process"

# (name, kind, whose child): the registry behind docs/telemetry.md.
SPANS = (
    ("`POST /webhooks/whatsapp`", "SERVER", "none: a customer's action begins here"),
    ("`send <topic>`", "PRODUCER", "the span that decided it: a webhook's, or `process <topic>`"),
    ("`process <topic>`", "CONSUMER", "the `send` span of that record"),
    ("`POST` of the Graph API", "CLIENT", "the `process panier.outbound.v1` of the message"),
    (
        "`open payment session`, `close payment session`",
        "CLIENT",
        "the `process <topic>` that decided to ask the provider",
    ),
)

# Attributes.
SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
PARTITION = "messaging.destination.partition.id"
OFFSET = "messaging.kafka.offset"
GROUP = "messaging.consumer.group.name"
MESSAGE_ID = "messaging.message.id"
CONVERSATION = "panier.conversation.hash"
EVENT_TYPE = "panier.event.type"
PROVIDER = "panier.payment.provider"

_PROPAGATOR = TraceContextTextMapPropagator()
_ODD = frozenset("13579bdf")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METER = metrics.get_meter("panier")
_TRACER = trace.get_tracer("panier")

# Metrics (Prometheus appends `_total` and the unit).
RECORDS = _METER.create_counter("panier.records", description="Records taken, by loop, topic and outcome.")
DUPLICATES = _METER.create_counter("panier.duplicates", description="Repeats dropped, by loop and kind.")
DEAD_LETTERS = _METER.create_counter("panier.dead_letters", description="Records nobody could digest, by loop.")
PUBLISHED = _METER.create_counter("panier.published", description="Events published from outboxes, by topic.")
BATCH_SECONDS = _METER.create_histogram("panier.batch", unit="s", description="Time of a batch's transaction, by loop.")
PUBLISH_SECONDS = _METER.create_histogram(
    "panier.publish", unit="s", description="Time until a batch's events were acknowledged, by loop."
)
ORDERS = _METER.create_counter("panier.orders", description="Steps in the life of orders, by what happened.")
PAYMENT_PROBLEMS = _METER.create_counter(
    "panier.payment_problems", description="Payments that are no sale, kept for a person."
)
WAITS = _METER.create_counter("panier.waits", description="Times a loop waited for an engine to come back, by loop.")


class _State:
    tracing = False
    key = b"panier"


def tracing() -> bool:
    """Whether spans go anywhere: without, none is made and nothing is paid."""
    return _State.tracing


def set_up(service: str, version: str, log_level: str, secret: str) -> None:
    """Once per process: JSON logs, Prometheus metrics, and OTLP when OpenTelemetry's variables ask for it."""
    _State.key = hashlib.sha256(b"panier telemetry " + secret.encode()).digest()
    _set_up_logs(service, log_level)
    resource = Resource.create({"service.name": f"panier-{service}", "service.version": version})
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    readers: list[MetricReader] = [PrometheusMetricReader()]
    if os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") or (
        endpoint and os.environ.get("OTEL_METRICS_EXPORTER", "otlp") != "none"
    ):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    seconds = View(
        instrument_name="panier.*",
        instrument_unit="s",
        instrument_type=metrics.Histogram,
        aggregation=ExplicitBucketHistogramAggregation(_SECONDS),
    )
    metrics.set_meter_provider(MeterProvider(readers, resource, views=[seconds]))
    if (endpoint or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) and os.environ.get(
        "OTEL_TRACES_EXPORTER", "otlp"
    ) != "none":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider = TracerProvider(resource=resource)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=500))
        trace.set_tracer_provider(provider)
        _State.tracing = True


def shut_down() -> None:
    """Send what is still held."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def conversation_hash(conversation: str) -> str:
    """A conversation as telemetry may know it: the same within one installation, worthless outside."""
    return hmac.new(_State.key, conversation.encode(), hashlib.sha256).hexdigest()[:16]


def _context(traceparent: str | None) -> SpanContext | None:
    if not traceparent:
        return None
    context = trace.get_current_span(_PROPAGATOR.extract({"traceparent": traceparent})).get_span_context()
    return context if context.is_valid else None


def is_sampled(traceparent: str | None) -> bool:
    """Whether the trace is kept: the lowest bit of the flags, beside which others may be set."""
    return traceparent is not None and traceparent[-1:] in _ODD


def traceparent_of(span: Span) -> str:
    """The W3C header that makes others this span's children."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def trace_id_of(traceparent: str | None) -> str | None:
    return traceparent.split("-")[1] if traceparent and traceparent.count("-") == 3 else None


def start_span(
    name: str,
    kind: SpanKind,
    parent: str | None,
    attributes: Mapping[str, str | int | float | bool],
    links: Sequence[str] = (),
) -> Span:
    """A span under the context of a `traceparent`, or a new trace's root without one."""
    context = _context(parent)
    under = trace.set_span_in_context(trace.NonRecordingSpan(context)) if context else Context()
    linked = [Link(found) for found in map(_context, links) if found is not None]
    return _TRACER.start_span(name, under, kind, dict(attributes), linked)


def start_process(
    topic: str, group: str, ce_type: str, traceparent: str | None, partition: int, offset: int, key: str
) -> Span:
    """`process X`: the child of the span that sent the record."""
    return start_span(
        f"{PROCESS} {topic}",
        SpanKind.CONSUMER,
        traceparent,
        {
            SYSTEM: "kafka",
            OPERATION_NAME: PROCESS,
            OPERATION_TYPE: PROCESS,
            DESTINATION: topic,
            PARTITION: str(partition),
            OFFSET: offset,
            GROUP: group,
            EVENT_TYPE: ce_type,
            CONVERSATION: conversation_hash(key),
        },
    )


def start_send(topic: str, ce_type: str, event_id: str, parent: str | None) -> Span:
    """`send X`: begun where the event is decided, ended when the broker has it; its context travels."""
    return start_span(
        f"{SEND} {topic}",
        SpanKind.PRODUCER,
        parent,
        {
            SYSTEM: "kafka",
            OPERATION_NAME: SEND,
            OPERATION_TYPE: SEND,
            DESTINATION: topic,
            EVENT_TYPE: ce_type,
            MESSAGE_ID: event_id,
        },
    )


def gauge(name: str, description: str, read: Callable[[], Iterable[tuple[float, Mapping[str, str]]]]) -> None:
    """A figure that is looked up whenever the metrics are read."""

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        with suppress(RuntimeError):  # a dictionary that grew while it was read: the next reading has it
            return [Observation(value, dict(labels)) for value, labels in read()]
        return []

    _METER.create_observable_gauge(name, [observe], description=description)


def _with_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid and context.trace_flags & TraceFlags.SAMPLED:
        event["trace_id"] = f"{context.trace_id:032x}"
        event["span_id"] = f"{context.span_id:016x}"
    return event


def _set_up_logs(service: str, level: str) -> None:
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        _with_trace,
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
