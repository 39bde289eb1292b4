"""The receiver of traces: what it keeps, what its pages say, and the process itself under a real exporter."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, set_span_in_context
from panier_cli.commands.demo import waterfall as as_text
from panier_cli.traces import page
from panier_cli.traces.spans import MOST_SPANS_OF_TRACE, Span, Traces
from panier_cli.traces.waterfall import document, rows
from panier_common.ports import free_port
from rich.console import Console


def span(trace: str, name: str, parent: str = "", start: int = 0, end: int = 10, **more: Any) -> Span:
    fields = {"service": "cart", "name": name, "kind": "CONSUMER", "failed": False, "attributes": {}, **more}
    return Span(trace_id=trace, span_id=f"{trace}-{name}", parent_id=parent, start=start, end=end, **fields)


def test_forgets_the_oldest_traces_first() -> None:
    traces = Traces(most=3)
    for n in range(5):
        traces.add([span(f"t{n}", "a"), span(f"t{n}", "b")])
    assert [trace.trace_id for trace in traces.newest()] == ["t4", "t3", "t2"]
    few = Traces(most=100, most_spans=5)
    for n in range(4):
        few.add([span(f"t{n}", "a"), span(f"t{n}", "b")])
    assert [trace.trace_id for trace in few.newest()] == ["t3", "t2"]


def test_one_endless_trace_is_cut_and_a_repeated_span_is_one() -> None:
    traces = Traces()
    traces.add([span("t", str(n)) for n in range(MOST_SPANS_OF_TRACE + 3)])
    traces.add([span("t", "0")])
    trace = traces.get("t")
    assert trace is not None
    assert (len(trace.spans), trace.cut) == (MOST_SPANS_OF_TRACE, 3)
    assert trace.summary()["spans"] == MOST_SPANS_OF_TRACE + 3


def test_reads_from_parent_to_child_and_survives_what_is_no_tree() -> None:
    traces = Traces()
    traces.add(
        [
            span("t", "grandchild", parent="t-child", start=30, end=60),
            span("t", "second", parent="t-root", start=50, end=90),
            span("t", "child", parent="t-root", start=20, end=70),
            span("t", "root", start=10, end=110),
            span("t", "stray", parent="elsewhere", start=15, end=16),
            span("t", "chicken", parent="t-egg", start=40),
            span("t", "egg", parent="t-chicken", start=41, end=42),
        ]
    )
    trace = traces.get("t")
    assert trace is not None
    read = [(row.depth, row.span.name) for row in rows(trace)]
    assert read[:5] == [(0, "root"), (1, "child"), (2, "grandchild"), (1, "second"), (0, "stray")]
    assert sorted(name for _, name in read[5:]) == ["chicken", "egg"]
    assert trace.root.name == "root"
    assert [one["offset_ms"] for one in document(trace)["waterfall"]][:2] == [0.0, 0.0]


class Tags(HTMLParser):
    """The tags and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "onclick", "onload")]


def test_everything_that_came_in_is_escaped() -> None:
    evil = '"><script>alert(1)</script><img src=x onload=y>'
    traces = Traces()
    more = {"service": evil, "attributes": {evil: evil, "panier.event.type": evil}, "links": (evil,)}
    traces.add([span(evil, evil, **more), span(evil, "failed" + evil, failed=True, **more)])
    for html in (page.index(traces.newest()), *(page.trace_page(trace) for trace in traces.newest())):
        found = Tags(html)
        assert {"script", "img"}.isdisjoint(found.tags)
        assert evil not in html
        assert all(address.startswith("/") for address in found.addresses)
    assert "default-src 'none'" in page.HEADERS["Content-Security-Policy"]


@pytest.fixture(scope="module")
def receiver() -> Iterator[str]:
    port = free_port()
    environment = {**os.environ, "PANIER_TRACES_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "panier_cli.traces"], env=environment)
    deadline = time.monotonic() + 30
    while True:
        try:
            ask(port, "GET", "/api/traces")
            break
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield f"127.0.0.1:{port}"
    process.terminate()
    assert process.wait(10) == 0


def ask(where: str | int, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(where if isinstance(where, str) else f"127.0.0.1:{where}", timeout=10)
    connection.request(method, path, body, {"content-type": kind} if kind else {})
    answer = connection.getresponse()
    status, content = answer.status, answer.read()
    connection.close()
    return status, content


def test_takes_spans_from_the_real_exporter_and_shows_them(receiver: str) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": "panier-ingest"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"http://{receiver}/v1/traces")))
    tracer = provider.get_tracer("test")
    other = tracer.start_span("before")
    other.end()
    root = tracer.start_span("POST /webhooks/whatsapp", kind=SpanKind.SERVER, links=[Link(other.get_span_context())])
    under = set_span_in_context(root)
    child = tracer.start_span("send x", under, SpanKind.PRODUCER, {"messaging.message.id": "m1", "n": 1, "f": 0.5})
    child.set_attribute("panier.event.type", "panier.message.received.v1")
    child.set_status(Status(StatusCode.ERROR))
    child.end()
    root.end()

    listed = json.loads(ask(receiver, "GET", "/api/traces?message_id=m1")[1])
    assert len(listed) == 1
    trace_id = f"{root.get_span_context().trace_id:032x}"
    found = json.loads(ask(receiver, "GET", f"/api/traces/{trace_id}")[1])
    assert {key: found[key] for key in listed[0]} == listed[0]
    assert (found["trace_id"], found["name"], found["services"]) == (trace_id, "POST /webhooks/whatsapp", ["ingest"])
    assert [(one["kind"], one["depth"], one["failed"]) for one in found["waterfall"]] == [
        ("SERVER", 0, False),
        ("PRODUCER", 1, True),
    ]
    assert found["waterfall"][1]["attributes"].items() >= {"messaging.message.id": "m1", "n": 1, "f": 0.5}.items()
    assert found["waterfall"][0]["links"] == [f"{other.get_span_context().trace_id:032x}"]

    assert found["event"] == "panier.message.received.v1"
    assert trace_id.encode() in ask(receiver, "GET", "/")[1]
    status, html = ask(receiver, "GET", f"/traces/{trace_id}")
    assert (status, b"send x" in html, b"<svg" in html) == (200, True, True)
    console = Console(width=120)
    with console.capture() as printed:
        console.print(as_text(found))
    assert " send x" in printed.get()


@pytest.mark.parametrize(
    ("method", "path", "kind", "body", "status"),
    [
        ("POST", "/v1/traces", "application/x-protobuf", b"\xff\xff\xff", 400),
        ("POST", "/v1/traces", "application/json", b"{}", 415),
        ("POST", "/v1/traces", "application/x-protobuf", b"", 200),
        ("POST", "/v1/metrics", "application/x-protobuf", b"anything", 200),
        ("POST", "/v1/logs", "application/x-protobuf", b"anything", 200),
        ("GET", "/traces/unknown", "", b"", 404),
        ("GET", "/api/traces/unknown", "", b"", 404),
    ],
)
def test_answers_what_is_no_trace(receiver: str, method: str, path: str, kind: str, body: bytes, status: int) -> None:
    assert ask(receiver, method, path, body, kind)[0] == status
