"""How long requests took is shown by route, method and class of status, and by nothing that came in."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import APIRouter
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from panier_common import endpoints
from panier_common.conventions import SECONDS
from panier_common.endpoints import took, with_endpoints
from panier_common.exposition import Exposition
from panier_common.web import admin_app
from prometheus_client import CollectorRegistry, generate_latest

Ask = Callable[..., Awaitable[int]]


@pytest.fixture(autouse=True)
def _counted_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "_ENDPOINTS", {})


def exposition() -> tuple[Exposition, CollectorRegistry]:
    registry = CollectorRegistry()
    shown = Exposition(registry)
    MeterProvider([shown.reader]).get_meter("panier").create_counter("panier.records").add(1)
    return shown, registry


def counted() -> dict[tuple[str, str, str], int]:
    """(route, method, status) → how many."""
    _, registry = exposition()
    return {
        (labels["route"], labels["method"], labels["status"]): int(value)
        for family in registry.collect()
        for name, labels, value, *_ in family.samples
        if name == "panier_http_request_seconds_count"
    }


@pytest.fixture
def ask() -> Ask:
    """An admin application, asked as a server would."""
    app, internal = admin_app("cart", "1", "secret", lambda: None, dict)
    things = APIRouter(prefix="/things")

    @things.get("/{thing}/parts/{part}")
    async def part(thing: str, part: int) -> str:
        if part == 0:
            raise ZeroDivisionError
        return thing

    internal.include_router(things)
    app.include_router(internal)

    async def asked(method: str, path: str, token: str = "secret") -> int:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
        more = {"headers": [(b"authorization", f"Bearer {token}".encode())], "scheme": "http", "http_version": "1.1"}
        await app(scope | more, receive, send)
        return int(sent[0]["status"])

    return asked


async def test_a_path_is_counted_under_its_template(ask: Ask) -> None:
    for thing in ("one", "two", "three"):
        assert await ask("GET", f"/internal/things/{thing}/parts/1") == 200
    assert await ask("GET", "/internal/things/one/parts/none") == 400
    assert await ask("DELETE", "/internal/things/one/parts/1") == 405
    route = "/internal/things/{thing}/parts/{part}"
    assert counted() == {(route, "GET", "2xx"): 3, (route, "GET", "4xx"): 1, (route, "DELETE", "4xx"): 1}


async def test_what_has_no_route_and_what_has_no_token_is_counted_under_none(ask: Ask) -> None:
    assert await ask("GET", "/internal/secrets/33612345678") == 404
    assert await ask("GET", "/internal/things/one/parts/1", token="wrong") == 401
    assert await ask("BREW", "/coffee") == 404
    assert counted() == {("none", "GET", "4xx"): 2, ("none", "other", "4xx"): 1}


async def test_a_fault_of_ours_is_counted_as_one(ask: Ask) -> None:
    with pytest.raises(ZeroDivisionError):  # answered with 500, and then raised for the server's log
        await ask("GET", "/internal/things/one/parts/0")
    assert counted() == {("/internal/things/{thing}/parts/{part}", "GET", "5xx"): 1}


async def test_probes_are_left_out_and_the_status_is_not(ask: Ask) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/status"):
        assert await ask("GET", path) == 200
    assert counted() == {("/status", "GET", "2xx"): 1}


def test_a_time_falls_into_the_bucket_that_ends_at_or_after_it() -> None:
    for seconds in (0.0, 0.001, 0.0011, 10.0, 10.1):
        took("/x", "GET", 200, seconds)
    _, registry = exposition()
    text = generate_latest(registry).decode()
    about = 'method="GET",route="/x",status="2xx"'
    for le, count in (("0.001", 2), ("0.0025", 3), ("5.0", 3), ("10.0", 4), ("+Inf", 5)):
        assert f'panier_http_request_seconds_bucket{{le="{le}",{about}}} {float(count)}' in text
    assert f"panier_http_request_seconds_count{{{about}}} 5.0" in text
    assert f"panier_http_request_seconds_sum{{{about}}} 20.1021" in text


def test_otlp_sends_the_same() -> None:
    shown, _ = exposition()
    took("/x", "GET", 503, 0.004)
    took("/x", "GET", 500, 2.0)
    data = with_endpoints(shown.reader.get_metrics_data())
    assert data is not None
    [resource] = encode_metrics(data).resource_metrics
    [scope] = resource.scope_metrics
    assert [metric.name for metric in scope.metrics] == ["panier.records", "panier.http.request"]
    [point] = scope.metrics[1].histogram.data_points
    assert (point.count, point.sum, point.min, point.max) == (2, 2.004, 0.004, 2.0)
    assert tuple(point.explicit_bounds) == SECONDS
    assert {pair.key: pair.value.string_value for pair in point.attributes}["status"] == "5xx"


def test_before_the_first_figures_there_is_nothing_to_add_to() -> None:
    took("/x", "GET", 200, 0.1)
    assert with_endpoints(None) is None
