"""Spans: made and kept in a few microseconds, and sent by OTLP from a thread of their own.

OpenTelemetry's SDK takes over a hundred microseconds for each, as much as the runner for a whole event (ADR 28). This
does the part of it that we use: names, kinds, contexts, samplers and the wire format are OpenTelemetry's.
"""

import random
import re
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.trace import SpanKind

from panier_common.conventions import CONVERSATION, MESSAGE_ID, OFFSET

Value = str | int | float | bool
Send = Callable[[bytes], object]

MOST_KEPT = 20_000
"""Spans that wait to be sent; what comes beyond is dropped, and no service waits for a collector."""
AT_ONCE = 1000
EVERY_SECONDS = 0.5

_KINDS = {
    SpanKind.SERVER: trace_pb2.Span.SPAN_KIND_SERVER,
    SpanKind.CLIENT: trace_pb2.Span.SPAN_KIND_CLIENT,
    SpanKind.PRODUCER: trace_pb2.Span.SPAN_KIND_PRODUCER,
    SpanKind.CONSUMER: trace_pb2.Span.SPAN_KIND_CONSUMER,
    SpanKind.INTERNAL: trace_pb2.Span.SPAN_KIND_INTERNAL,
}
_CONTEXT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SCOPE = InstrumentationScope(name="panier")
# Tags of the protocol: the number of the field and how it is written; where the length is fixed, with the length.
_RESOURCE_SPANS, _SCOPE_SPANS, _SPANS = b"\x0a", b"\x12", b"\x12"
_TRACE_ID, _SPAN_ID, _PARENT_ID, _STARTED, _ENDED = b"\x0a\x10", b"\x12\x08", b"\x22\x08", b"\x39", b"\x41"
_TIMES = struct.Struct("<cQcQ")
# Different for every record: remembering them would push out what comes again.
_UNIQUE = frozenset({MESSAGE_ID, OFFSET, CONVERSATION})


def parsed(traceparent: str | None) -> tuple[str, str, bool] | None:
    """(trace id, span id, whether it is kept) of a W3C header; None for what is none."""
    found = _CONTEXT.fullmatch(traceparent) if traceparent else None
    return (found[1], found[2], int(found[3], 16) & 1 == 1) if found else None


class Span:
    """One span. Without a `keep` it is not recorded, and only its context counts."""

    __slots__ = (
        "_keep",
        "attributes",
        "ended_at",
        "error",
        "failed",
        "kind",
        "links",
        "name",
        "parent_id",
        "span_id",
        "started_at",
        "trace_id",
    )

    def __init__(
        self,
        name: str,
        kind: SpanKind,
        parent: tuple[str, str, bool] | None,
        attributes: Mapping[str, Value],
        links: Sequence[tuple[str, str, bool]] = (),
        keep: "Callable[[Span], None] | None" = None,
    ) -> None:
        self.name, self.kind, self.links, self._keep = name, kind, links, keep
        self.attributes = dict(attributes)
        self.trace_id = parent[0] if parent else f"{random.getrandbits(128) or 1:032x}"
        self.parent_id = parent[1] if parent else ""
        self.span_id = f"{random.getrandbits(64) or 1:016x}"
        self.started_at = time.time_ns()
        self.ended_at = 0
        self.failed, self.error = False, ""

    @property
    def traceparent(self) -> str:
        """The W3C header that makes others this span's children."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self._keep else '00'}"

    def set_attribute(self, name: str, value: Value) -> None:
        self.attributes[name] = value

    def fail(self, why: str = "") -> None:
        """What was done failed; `why` is our own word, nothing that came in."""
        self.failed, self.error = True, why

    def end(self) -> None:
        """Once; later ends count for nothing."""
        if not self.ended_at:
            self.ended_at = time.time_ns()
            if self._keep is not None:
                self._keep(self)


class Recorder:
    """Keeps spans that have ended, and sends them twice a second."""

    def __init__(self, resource: Mapping[str, Value], send: Send) -> None:
        self._resource = Resource(attributes=[_made(name, value) for name, value in resource.items()])
        self._send = send
        self._kept: deque[Span] = deque(maxlen=MOST_KEPT)
        self._sending = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def keep(self, span: Span) -> None:
        self._kept.append(span)

    def flush(self) -> None:
        """Send what there is."""
        with self._sending:
            while self._kept:
                spans = [self._kept.popleft() for _ in range(min(AT_ONCE, len(self._kept)))]
                self._send(encoded(self._resource, spans))

    def shut_down(self) -> None:
        """Send what there is, and no more."""
        self._stop.set()
        self._thread.join(10)
        self.flush()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self.flush()


def encoded(resource: Resource, spans: Sequence[Span]) -> bytes:
    """An OTLP request."""
    scope = trace_pb2.ScopeSpans(scope=_SCOPE).SerializeToString() + b"".join(map(_field_of_span, spans))
    of = trace_pb2.ResourceSpans(resource=resource).SerializeToString() + _field(_SCOPE_SPANS, scope)
    return _field(_RESOURCE_SPANS, of)


def _field_of_span(span: Span) -> bytes:
    """What is the same for many spans is made once; a message's bytes behind another's are merged into it."""
    same = tuple(item for item in span.attributes.items() if item[0] not in _UNIQUE)
    ids = _TRACE_ID + bytes.fromhex(span.trace_id) + _SPAN_ID + bytes.fromhex(span.span_id)
    above = _PARENT_ID + bytes.fromhex(span.parent_id) if span.parent_id else b""
    times = _TIMES.pack(_STARTED, span.started_at, _ENDED, span.ended_at)
    message = _common(span.name, span.kind, same) + ids + above + times
    own = [_made(name, value) for name, value in span.attributes.items() if name in _UNIQUE]
    if own or span.links or span.failed:
        message += _rest(own, span).SerializeToString()
    return _field(_SPANS, message)


@lru_cache(maxsize=4096)
def _common(name: str, kind: SpanKind, attributes: tuple[tuple[str, Value], ...]) -> bytes:
    made = [_made(*attribute) for attribute in attributes]
    return bytes(trace_pb2.Span(name=name, kind=_KINDS[kind], flags=0x101, attributes=made).SerializeToString())


def _rest(own: Sequence[KeyValue], span: Span) -> trace_pb2.Span:
    message = trace_pb2.Span(attributes=own)
    for trace, of, _ in span.links:
        message.links.append(trace_pb2.Span.Link(trace_id=bytes.fromhex(trace), span_id=bytes.fromhex(of)))
    if span.failed:
        message.status.code = trace_pb2.Status.STATUS_CODE_ERROR
        message.status.message = span.error
    return message


def _field(tag: bytes, content: bytes) -> bytes:
    """A field of a message: its tag, its length as a varint, its bytes."""
    length, digits = len(content), bytearray(tag)
    while length > 0x7F:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    digits.append(length)
    return bytes(digits) + content


def _made(name: str, value: Value) -> KeyValue:
    match value:
        case bool():
            return KeyValue(key=name, value=AnyValue(bool_value=value))
        case int():
            return KeyValue(key=name, value=AnyValue(int_value=value))
        case float():
            return KeyValue(key=name, value=AnyValue(double_value=value))
        case _:
            return KeyValue(key=name, value=AnyValue(string_value=value))
