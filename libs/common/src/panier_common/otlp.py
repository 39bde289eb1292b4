"""What is sent by OTLP of the metrics: the SDK's and the endpoints'. Imported only where it is asked for."""

from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

from panier_common.endpoints import with_endpoints


class MetricExporter(OTLPMetricExporter):
    """OpenTelemetry's own, with its settings and retries."""

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **options: Any
    ) -> MetricExportResult:
        return super().export(with_endpoints(metrics_data) or metrics_data, timeout_millis, **options)
