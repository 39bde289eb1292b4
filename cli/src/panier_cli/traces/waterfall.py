"""A trace in the order in which it is read: each span under its parent, the earlier first. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from panier_cli.traces.spans import Span, Trace


@dataclass(frozen=True, slots=True)
class Row:
    """One span, how deep it stands, and when it began and how long it took, in milliseconds."""

    span: Span
    depth: int
    offset_ms: float
    duration_ms: float


def rows(trace: Trace) -> list[Row]:
    """All spans of a trace. One whose parent is unknown, or its own ancestor, stands at the top."""
    children: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(trace.spans.values(), key=lambda span: (span.start, -span.end, span.span_id)):
        children[span.parent_id if span.parent_id in trace.spans else ""].append(span)
    start, placed, found = trace.start, set[str](), list[Row]()

    def place(tops: list[Span]) -> None:
        waiting = [(span, 0) for span in reversed(tops)]
        while waiting:
            span, depth = waiting.pop()
            if span.span_id in placed:
                continue
            placed.add(span.span_id)
            found.append(Row(span, depth, (span.start - start) / 1e6, (span.end - span.start) / 1e6))
            waiting += [(child, depth + 1) for child in reversed(children[span.span_id])]

    place(children[""])
    place([span for span in trace.spans.values() if span.span_id not in placed])
    return found


def document(trace: Trace) -> dict[str, Any]:
    """The trace as JSON, spans in the order of the waterfall."""
    return {
        **trace.summary(),
        "waterfall": [
            {
                "span_id": row.span.span_id,
                "parent_id": row.span.parent_id or None,
                "depth": row.depth,
                "service": row.span.service,
                "name": row.span.name,
                "kind": row.span.kind,
                "offset_ms": round(row.offset_ms, 3),
                "duration_ms": round(row.duration_ms, 3),
                "failed": row.span.failed,
                "attributes": row.span.attributes,
                "links": row.span.links,
            }
            for row in rows(trace)
        ],
    }
