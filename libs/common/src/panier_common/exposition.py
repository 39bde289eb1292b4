"""What /metrics shows: the SDK's figures as Prometheus' families, histograms with exemplars of the traces behind them.

OpenTelemetry's own exporter for Prometheus leaves exemplars out. Each bucket shows the newest it had.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from opentelemetry.sdk.metrics.export import Gauge as GaugeData
from opentelemetry.sdk.metrics.export import (
    Histogram,
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    NumberDataPoint,
    Sum,
)
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from panier_common.endpoints import with_endpoints

_NANOSECONDS = 1_000_000_000
_UNITS = {"s": "seconds"}
_Labels = tuple[tuple[str, str], ...]


def page(accept: str) -> tuple[bytes, str]:
    """The page of metrics and its content type: OpenMetrics, which has exemplars, for whoever accepts it."""
    encoder, content_type = choose_encoder(accept)
    return encoder(REGISTRY), content_type


class Exposition(Collector):
    """What Prometheus' registry collects from; `reader` belongs to the SDK's provider."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.reader = InMemoryMetricReader()
        self._newest: dict[tuple[str, _Labels, int], Exemplar] = {}
        registry.register(self)

    def describe(self) -> Iterable[Family]:
        """Nothing before the first figures; registering then collects nothing."""
        return ()

    def collect(self) -> Iterable[Family]:
        """Every metric as it is now."""
        data = with_endpoints(self.reader.get_metrics_data())
        for resource in data.resource_metrics if data is not None else ():
            about = {name.replace(".", "_"): str(value) for name, value in resource.resource.attributes.items()}
            yield InfoMetricFamily("target", "What the process is.", about)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if (family := self._family(metric)) is not None:
                        yield family

    def _family(self, metric: Metric) -> Family | None:
        name, says = metric.name.replace(".", "_"), metric.description or ""
        unit = _UNITS.get(metric.unit or "", "")
        match metric.data:
            case Histogram(data_points=points):
                histogram = HistogramMetricFamily(name, says, labels=_names(points), unit=unit)
                for point in points:
                    buckets = self._buckets(f"{name}_{unit}", point)
                    histogram.add_metric(_values(histogram._labelnames, point.attributes), buckets, point.sum)
                return histogram
            case Sum(data_points=points):
                counter = CounterMetricFamily(name, says, labels=_names(points), unit=unit)
                for number in points:
                    counter.add_metric(_values(counter._labelnames, number.attributes), number.value)
                return counter
            case GaugeData(data_points=points):
                gauge = GaugeMetricFamily(name, says, labels=_names(points), unit=unit)
                for number in points:
                    gauge.add_metric(_values(gauge._labelnames, number.attributes), number.value)
                return gauge
        return None

    def _buckets(self, name: str, point: HistogramDataPoint) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
        labels = tuple(sorted((key, str(value)) for key, value in (point.attributes or {}).items()))
        for found in point.exemplars:
            if found.trace_id and found.span_id:
                bucket = next((n for n, le in enumerate(point.explicit_bounds) if found.value <= le), -1)
                self._newest[name, labels, bucket] = Exemplar(
                    {"trace_id": f"{found.trace_id:032x}", "span_id": f"{found.span_id:016x}"},
                    found.value,
                    found.time_unix_nano / _NANOSECONDS,
                )
        bounds = [*(str(float(le)) for le in point.explicit_bounds), "+Inf"]
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        for n, (le, count) in enumerate(zip(bounds, accumulate(point.bucket_counts), strict=True)):
            exemplar = self._newest.get((name, labels, n if le != "+Inf" else -1))
            buckets.append((le, count) if exemplar is None else (le, count, exemplar))
        return buckets


def _names(points: Sequence[NumberDataPoint] | Sequence[HistogramDataPoint]) -> list[str]:
    """Every label of any of the points: one that lacks some has them empty."""
    return sorted({name for point in points for name in point.attributes or {}})


def _values(names: Sequence[str], attributes: Mapping[str, object] | None) -> list[str]:
    known = attributes or {}
    return [str(known.get(name, "")) for name in names]
