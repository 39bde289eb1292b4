"""How long requests took, by endpoint: plain integers that are read when somebody asks.

The SDK's histogram takes some 7 µs for a request, a part that a door for thousands a second can tell, and it has none
that is looked up. This one takes less than 1; it has no exemplars.
"""

import time
from bisect import bisect_left
from dataclasses import replace
from math import inf

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
)

from panier_common.conventions import BY_NAME, SECONDS

HTTP: str = "panier.http.request"
# A stranger may send any word as a method.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BEGAN = time.time_ns()


class _Endpoint:
    """A route's answers of one method and class of status."""

    __slots__ = ("counts", "least", "most", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.total = 0.0
        self.least, self.most = inf, 0.0

    def point(self, labels: tuple[str, ...]) -> HistogramDataPoint:
        counts = list(self.counts)
        return HistogramDataPoint(
            dict(zip(BY_NAME[HTTP].labels, labels, strict=True)),
            _BEGAN,
            time.time_ns(),
            sum(counts),
            self.total,
            counts,
            SECONDS,
            self.least,
            self.most,
        )


_ENDPOINTS: dict[tuple[str, str, int], _Endpoint] = {}


def took(route: str, method: str, status: int, seconds: float) -> None:
    """One request was answered. `route` is a template of ours, never a path that was asked for."""
    key = (route, method, status // 100)
    found = _ENDPOINTS.get(key)
    if found is None:
        key = (route, method if method in _METHODS else "other", status // 100)
        found = _ENDPOINTS.setdefault(key, _Endpoint())
    found.counts[bisect_left(SECONDS, seconds)] += 1
    found.total += seconds
    if seconds > found.most:
        found.most = seconds
    if seconds < found.least:
        found.least = seconds


def with_endpoints(data: MetricsData | None) -> MetricsData | None:
    """The SDK's figures and these among them, for whoever shows or sends them."""
    points = [
        one.point((route, method, f"{hundreds}xx")) for (route, method, hundreds), one in _ENDPOINTS.copy().items()
    ]
    if data is None or not data.resource_metrics or not points:
        return data
    known = BY_NAME[HTTP]
    ours = Metric(known.name, known.says, known.unit, Histogram(points, AggregationTemporality.CUMULATIVE))
    resource, *others = data.resource_metrics
    scope, *scopes = resource.scope_metrics
    scope = replace(scope, metrics=[*scope.metrics, ours])
    return replace(data, resource_metrics=[replace(resource, scope_metrics=[scope, *scopes]), *others])
