"""Spans as they come by OTLP, and the last traces of them. In memory and bounded: pure, no I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

MOST_TRACES = 2000
MOST_SPANS = 20_000
MOST_SPANS_OF_TRACE = 2000
_LONGEST_TEXT = 1000
_MESSAGE_ID = "messaging.message.id"
_EVENT = "panier.event.type"
_KINDS = ("", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Span:
    """Times are nanoseconds since 1970. `links` are the traces it points to."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    kind: str
    start: int
    end: int
    failed: bool
    attributes: dict[str, Value]
    links: tuple[str, ...] = ()


def decode(body: bytes) -> list[Span]:
    """The spans of an OTLP request. Raises google.protobuf.message.DecodeError."""
    request = ExportTraceServiceRequest.FromString(body)
    spans = []
    for resource in request.resource_spans:
        named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
        service = intern(_clipped(named.get("service.name", "")).removeprefix("panier-"))
        spans += [_span(service, wire) for scope in resource.scope_spans for wire in scope.spans]
    return spans


def _span(service: str, wire: WireSpan) -> Span:
    return Span(
        trace_id=wire.trace_id.hex(),
        span_id=wire.span_id.hex(),
        parent_id=wire.parent_span_id.hex(),
        service=service,
        name=intern(_clipped(wire.name)),
        kind=_KINDS[wire.kind] if wire.kind < len(_KINDS) else "",
        start=wire.start_time_unix_nano,
        end=max(wire.end_time_unix_nano, wire.start_time_unix_nano),
        failed=wire.status.code == Status.STATUS_CODE_ERROR,
        attributes={intern(_clipped(pair.key)): _value(pair.value) for pair in wire.attributes},
        links=tuple(link.trace_id.hex() for link in wire.links),
    )


def _value(value: AnyValue) -> Value:
    match value.WhichOneof("value"):
        case "string_value":
            return _clipped(value.string_value)
        case "bool_value":
            return bool(value.bool_value)
        case "int_value":
            return int(value.int_value)
        case "double_value":
            return float(value.double_value)
        case _:
            return _clipped(str(value))


def _clipped(text: str) -> str:
    return text[:_LONGEST_TEXT]


@dataclass(slots=True)
class Trace:
    """What has come of one trace so far; `cut` counts the spans beyond the most that are kept."""

    trace_id: str
    spans: dict[str, Span] = field(default_factory=dict)
    cut: int = 0

    @property
    def start(self) -> int:
        return min(span.start for span in self.spans.values())

    @property
    def end(self) -> int:
        return max(span.end for span in self.spans.values())

    @property
    def root(self) -> Span:
        """The first span whose parent is not here."""
        roots = [span for span in self.spans.values() if span.parent_id not in self.spans]
        return min(roots or self.spans.values(), key=lambda span: span.start)

    def summary(self) -> dict[str, Any]:
        """The trace in one line; `event` is the first that it tells of."""
        spans = sorted(self.spans.values(), key=lambda span: span.start)
        return {
            "trace_id": self.trace_id,
            "name": self.root.name,
            "service": self.root.service,
            "event": next((str(span.attributes[_EVENT]) for span in spans if _EVENT in span.attributes), None),
            "start": self.start,
            "duration_ms": round((self.end - self.start) / 1e6, 3),
            "spans": len(spans) + self.cut,
            "services": sorted({span.service for span in spans}),
            "failed": any(span.failed for span in spans),
        }


class Traces:
    """The last traces; the oldest are forgotten first, by their number and by that of all their spans."""

    def __init__(self, most: int = MOST_TRACES, most_spans: int = MOST_SPANS) -> None:
        self._most, self._most_spans = most, most_spans
        self._by_id: OrderedDict[str, Trace] = OrderedDict()
        self._count = 0

    def add(self, spans: Sequence[Span]) -> None:
        for span in spans:
            trace = self._by_id.get(span.trace_id)
            if trace is None:
                trace = self._by_id[span.trace_id] = Trace(span.trace_id)
            if span.span_id in trace.spans:
                continue  # sent again: its answer was lost on the way
            if len(trace.spans) >= MOST_SPANS_OF_TRACE:
                trace.cut += 1
                continue
            trace.spans[span.span_id] = span
            self._count += 1
        while len(self._by_id) > self._most or (self._count > self._most_spans and len(self._by_id) > 1):
            _, forgotten = self._by_id.popitem(last=False)
            self._count -= len(forgotten.spans)

    def get(self, trace_id: str) -> Trace | None:
        return self._by_id.get(trace_id)

    def newest(self) -> Iterator[Trace]:
        return reversed(self._by_id.values())

    def of_message(self, message_id: str) -> list[Trace]:
        """Those in which an event of this id was sent."""
        return [
            trace
            for trace in self.newest()
            if any(span.attributes.get(_MESSAGE_ID) == message_id for span in trace.spans.values())
        ]
