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

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.trace import SpanKind

Value = str | int | float | bool
Send = Callable[[bytes], object]

MOST_KEPT = 20_000
"""Spans that wait to be sent; what comes beyond is dropped, and no service waits for a collector."""
AT_ONCE = 1000
EVERY_SECONDS = 0.5
SHUT_DOWN_SECONDS = 3.0

_KINDS = {
    SpanKind.SERVER: trace_pb2.Span.SPAN_KIND_SERVER,
    SpanKind.CLIENT: trace_pb2.Span.SPAN_KIND_CLIENT,
    SpanKind.PRODUCER: trace_pb2.Span.SPAN_KIND_PRODUCER,
    SpanKind.CONSUMER: trace_pb2.Span.SPAN_KIND_CONSUMER,
    SpanKind.INTERNAL: trace_pb2.Span.SPAN_KIND_INTERNAL,
}
_random, _now = random.getrandbits, time.time_ns
_CONTEXT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SCOPE = trace_pb2.ScopeSpans(scope=InstrumentationScope(name="panier")).SerializeToString()
# Tags of the protocol: the number of the field and how it is written; where the length is fixed, with the length.
_RESOURCE_SPANS, _RESOURCE, _SCOPE_SPANS, _SPANS = b"\x0a", b"\x0a", b"\x12", b"\x12"
_RESOURCE_ATTRIBUTE, _SPAN_ATTRIBUTE, _KEY, _VALUE = b"\x0a", b"\x4a", b"\x0a", b"\x12"
_STRING, _BOOL, _INT, _DOUBLE = b"\x0a", b"\x10", b"\x18", b"\x21"
_TRACE_ID, _SPAN_ID, _PARENT_ID = b"\x0a\x10", b"\x12\x08", b"\x22\x08"
_TIMES = struct.Struct("<cQcQ")
_STARTED, _ENDED = b"\x39", b"\x41"
_REAL, _WORD = struct.Struct("<d"), 0xFFFF_FFFF_FFFF_FFFF
_SHORT = [bytes((length,)) for length in range(0x80)]


def parsed(traceparent: str | None) -> tuple[str, str, bool] | None:
    """(trace id, span id, whether it is kept) of a W3C header; None for what is none."""
    found = _CONTEXT.fullmatch(traceparent) if traceparent else None
    return (found[1], found[2], int(found[3], 16) & 1 == 1) if found else None


class Shape:
    """What many spans have in common, on the wire once and for all: name, kind, and attributes that do not differ."""

    __slots__ = ("attributes", "kind", "name", "wire")

    def __init__(self, name: str, kind: SpanKind, attributes: Mapping[str, Value]) -> None:
        self.name, self.kind, self.attributes = name, kind, attributes
        head = trace_pb2.Span(name=name, kind=_KINDS[kind], flags=0x101)
        self.wire = head.SerializeToString() + b"".join(_attribute(*item) for item in attributes.items())


class Span:
    """One span. Without a `keep` it is not recorded, and only its context counts. `own` is what no other span has."""

    __slots__ = (
        "_keep",
        "ended_at",
        "error",
        "failed",
        "links",
        "own",
        "parent_id",
        "shape",
        "span_id",
        "started_at",
        "trace_id",
    )

    def __init__(
        self,
        shape: Shape,
        parent: tuple[str, str, bool] | None,  # a root's has a trace and no span
        own: dict[str, Value],
        links: Sequence[tuple[str, str, bool]] = (),
        keep: "Callable[[Span], None] | None" = None,
    ) -> None:
        self.shape, self.own, self.links, self._keep = shape, own, links, keep
        self.trace_id = parent[0] if parent else f"{_random(128) or 1:032x}"
        self.parent_id = parent[1] if parent else ""
        self.span_id = f"{_random(64) or 1:016x}"
        self.started_at = _now()
        self.ended_at = 0
        self.failed, self.error = False, ""

    @property
    def name(self) -> str:
        return self.shape.name

    @property
    def kind(self) -> SpanKind:
        return self.shape.kind

    @property
    def attributes(self) -> dict[str, Value]:
        return {**self.shape.attributes, **self.own}

    @property
    def traceparent(self) -> str:
        """The W3C header that makes others this span's children."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self._keep else '00'}"

    def set_attribute(self, name: str, value: Value) -> None:
        self.own[name] = value

    def fail(self, why: str = "") -> None:
        """What was done failed; `why` is our own word, nothing that came in."""
        self.failed, self.error = True, why

    def end(self) -> None:
        """Once; later ends count for nothing."""
        if not self.ended_at:
            self.ended_at = _now()
            if self._keep is not None:
                self._keep(self)


class Recorder:
    """Keeps spans that have ended, and sends them twice a second."""

    def __init__(self, resource: Mapping[str, Value], send: Send) -> None:
        self._resource = b"".join(_attribute(*item, _RESOURCE_ATTRIBUTE) for item in resource.items())
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
        """Send what there is, and no more; a collector that does not take it holds up nobody's end."""
        self._stop.set()
        self._thread.join(SHUT_DOWN_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self.flush()
        self.flush()


def encoded(resource: bytes, spans: Sequence[Span]) -> bytes:
    """An OTLP request; `resource` is a Resource on the wire."""
    scope = _SCOPE + b"".join(map(_on_the_wire, spans))
    return _field(_RESOURCE_SPANS, _field(_RESOURCE, resource) + _field(_SCOPE_SPANS, scope))


def _on_the_wire(span: Span) -> bytes:
    """A message's bytes behind another's are merged into it: the shape's, the span's own, and what is seldom there."""
    above = _PARENT_ID + bytes.fromhex(span.parent_id) if span.parent_id else b""
    message = (
        span.shape.wire
        + _TRACE_ID
        + bytes.fromhex(span.trace_id)
        + _SPAN_ID
        + bytes.fromhex(span.span_id)
        + above
        + _TIMES.pack(_STARTED, span.started_at, _ENDED, span.ended_at)
    )
    for name, value in span.own.items():
        message += _attribute(name, value)
    if span.links or span.failed:
        message += _rest(span).SerializeToString()
    return _field(_SPANS, message)


def _rest(span: Span) -> trace_pb2.Span:
    message = trace_pb2.Span()
    for trace, of, _ in span.links:
        message.links.append(trace_pb2.Span.Link(trace_id=bytes.fromhex(trace), span_id=bytes.fromhex(of)))
    if span.failed:
        message.status.code = trace_pb2.Status.STATUS_CODE_ERROR
        message.status.message = span.error
    return message


def _attribute(name: str, value: Value, tag: bytes = _SPAN_ATTRIBUTE) -> bytes:
    match value:
        case str():
            said = _field(_STRING, value.encode())
        case bool():
            said = _BOOL + _varint(value)
        case int():
            said = _INT + _varint(value & _WORD)  # two's complement
        case float():
            said = _DOUBLE + _REAL.pack(value)
    return _field(tag, _key(name) + _field(_VALUE, said))


@lru_cache(maxsize=1024)
def _key(name: str) -> bytes:
    return _field(_KEY, name.encode())


def _field(tag: bytes, content: bytes) -> bytes:
    """A field of a message: its tag, its length, its bytes."""
    length = len(content)
    return tag + (_SHORT[length] if length < 0x80 else _varint(length)) + content


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
