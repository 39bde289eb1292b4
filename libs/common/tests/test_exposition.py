"""What /metrics shows: the registry's names, and exemplars that lead from a bucket to a trace."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes
from panier_common import conventions, telemetry
from panier_common.exposition import Exposition
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, DROPPED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"


class Page:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.provider = MeterProvider([Exposition(self.registry).reader])
        meter = self.provider.get_meter("panier")
        self.seconds = meter.create_histogram("panier.batch", unit="s", description="Time.")
        self.records = meter.create_counter("panier.records", description="Records.")
        meter.create_observable_gauge("panier.ready", [lambda _: []], description="Ready.")

    def open_metrics(self) -> list[str]:
        return str(open_metrics(self.registry).decode()).splitlines()


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setattr(telemetry._State, "tracing", True)
    page = Page()
    yield page
    page.provider.shutdown()


def test_a_bucket_shows_the_newest_trace_that_fell_into_it(page: Page) -> None:
    page.seconds.record(0.004, {"loop": "a"}, telemetry.during(SAMPLED))
    page.seconds.record(0.003, {"loop": "a"}, telemetry.during(DROPPED))
    for _ in range(2):  # also on the next page: a reader that comes later sees it too
        shown = [line for line in page.open_metrics() if " # {" in line]
        assert len(shown) == 1
        assert shown[0].startswith('panier_batch_seconds_bucket{le="5.0",loop="a"} 2.0 # {')
        assert f'span_id="{SPAN}",trace_id="{TRACE}"' in shown[0]


def test_without_tracing_nothing_is_kept(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry._State, "tracing", False)
    assert telemetry.during(SAMPLED) is None


def test_the_plain_page_has_the_registrys_names(page: Page) -> None:
    page.seconds.record(0.004, {"loop": "a"})
    page.records.add(2, {"loop": "a", "outcome": "taken"})
    page.records.add(3, {"loop": "b", "topic": "t", "outcome": "taken"})
    text = generate_latest(page.registry).decode()
    assert " # {" not in text
    assert 'panier_records_total{loop="a",outcome="taken",topic=""} 2.0' in text
    assert 'panier_records_total{loop="b",outcome="taken",topic="t"} 3.0' in text
    assert 'panier_batch_seconds_count{loop="a"} 1.0' in text
    assert text.count("# TYPE panier_batch_seconds histogram") == 1


def test_an_instrument_that_is_not_in_the_registry_cannot_be_made() -> None:
    for make in (telemetry.counter, telemetry.histogram, telemetry.tally):
        with pytest.raises(KeyError):
            make("panier.record")


def test_a_kind_that_is_another_in_the_registry_is_refused() -> None:
    with pytest.raises(AssertionError):
        telemetry.counter("panier.batch")


def test_what_is_not_our_own_is_a_name_of_the_conventions() -> None:
    modules = (messaging_attributes, http_attributes, server_attributes, error_attributes)
    known = {value for module in modules for value in vars(module).values() if isinstance(value, str)}
    used = {name for span in conventions.SPANS for name in span.attributes}
    assert {name for name in used if not name.startswith("panier.")} <= known


def test_names_are_as_prometheus_wants_them() -> None:
    assert len(conventions.BY_NAME) == len(conventions.METRICS) == len({m.exposed for m in conventions.METRICS})
    for metric in conventions.METRICS:
        assert metric.exposed.endswith("_total") == (metric.kind == "counter")
        assert metric.exposed.endswith("_seconds") == (metric.unit == "s") or metric.kind == "gauge"
        assert not {"le", "service", "pod", "instance"} & set(metric.labels)
