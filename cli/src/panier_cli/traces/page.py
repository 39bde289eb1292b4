"""The pages: a list of traces, and one trace as a waterfall. Strings in, HTML out; nothing is loaded from elsewhere.

Everything that came by OTLP is escaped here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from zlib import crc32

from panier_cli.traces.spans import Trace
from panier_cli.traces.waterfall import Row, rows

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STYLE = """
:root { color-scheme: light dark; --line: #8883; --soft: #888; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1.2rem; }
h1 { font-size: 1.3rem; margin: 0 0 .2rem; } p { color: var(--soft); margin: 0 0 1.2rem; }
a { color: inherit; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .28rem .6rem .28rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; } .bad { color: #d33; font-weight: 600; }
td.bar { width: 45%; } svg { display: block; width: 100%; height: 1.2rem; }
summary { cursor: pointer; } dl { margin: .3rem 0; font-size: 13px; }
dt { color: var(--soft); float: left; clear: left; margin-right: .6em; } dd { margin: 0 0 0 1em; }
.service { border-left: .5rem solid; padding-left: .5rem; }
"""


def index(traces: Iterable[Trace]) -> str:
    """The list, newest first."""
    lines = []
    for trace in traces:
        one = trace.summary()
        state = ' <span class="bad">failed</span>' if one["failed"] else ""
        lines.append(
            f"<tr><td>{_time(one['start'])}</td>"
            f'<td><a href="/traces/{escape(trace.trace_id)}">{escape(one["name"])}</a>{state}</td>'
            f"<td>{escape(one['event'] or '')}</td>"
            f"<td>{escape(' '.join(one['services']))}</td>"
            f'<td class="n">{one["spans"]}</td><td class="n">{one["duration_ms"]:.1f}</td></tr>'
        )
    names = "".join(f"<th>{name}</th>" for name in ("when (UTC)", "what", "first event", "services"))
    head = f'<tr>{names}<th class="n">spans</th><th class="n">ms</th></tr>'
    body = f"<table>{head}{''.join(lines)}</table>" if lines else "<p>No trace yet: say something in the phone.</p>"
    return _page("Traces", f"<h1>Traces</h1><p>The last ones of this stack, newest first.</p>{body}")


def trace_page(trace: Trace) -> str:
    """One trace: each span with its place in time."""
    one, found = trace.summary(), rows(trace)
    total = max(one["duration_ms"], 0.001)
    cut = f"; {trace.cut} more spans were not kept" if trace.cut else ""
    head = (
        f"<h1>{escape(one['name'])}</h1><p><a href='/'>all traces</a> · <code>{escape(trace.trace_id)}</code> · "
        f"{_time(one['start'])} UTC · {total:.1f} ms · {one['spans']} spans{cut}</p>"
    )
    lines = "".join(_line(row, total) for row in found)
    columns = '<tr><th>service</th><th>span</th><th>time</th><th class="n">ms</th></tr>'
    return _page(f"Trace of {one['name']}", f"{head}<table>{columns}{lines}</table>")


def not_found() -> str:
    return _page(
        "No such trace", "<h1>No such trace</h1><p>It was forgotten, or not sampled. <a href='/'>All traces</a></p>"
    )


def _line(row: Row, total: float) -> str:
    span = row.span
    left, width = 100 * row.offset_ms / total, max(100 * row.duration_ms / total, 0.3)
    colour = "#d33" if span.failed else _colour(span.service)
    bar = (
        f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="from {row.offset_ms:.1f} ms on">'
        f'<rect x="{min(left, 99.7):.3f}" y="2" width="{width:.3f}" height="6" fill="{colour}"/></svg>'
    )
    name = f"<span class='bad'>{escape(span.name)}</span>" if span.failed else escape(span.name)
    return (
        f'<tr><td><span class="service" style="border-color:{_colour(span.service)}">{escape(span.service)}</span></td>'
        f'<td style="padding-left:{row.depth * 1.1:.1f}rem">'
        f"<details><summary>{name}</summary>{_details(row)}</details></td>"
        f'<td class="bar">{bar}</td><td class="n">{row.duration_ms:.2f}</td></tr>'
    )


def _details(row: Row) -> str:
    pairs: Sequence[tuple[str, object]] = (("kind", row.span.kind), *sorted(row.span.attributes.items()))
    facts = "".join(f"<dt>{escape(name)}</dt><dd><code>{escape(str(value))}</code></dd>" for name, value in pairs)
    links = "".join(
        f'<dt>linked</dt><dd><a href="/traces/{escape(link)}"><code>{escape(link)}</code></a></dd>'
        for link in row.span.links
    )
    return f"<dl>{facts}{links}</dl>"


def _colour(service: str) -> str:
    """The same for the same service, far enough from red, which means failed."""
    return f"hsl({40 + crc32(service.encode()) % 280} 60% 50%)"


def _time(nanoseconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(nanoseconds / 1e9, UTC):%H:%M:%S.%f}"[:-3]
    except (ValueError, OverflowError, OSError):
        return "unknown"


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><body>{body}</body></html>"
    )
