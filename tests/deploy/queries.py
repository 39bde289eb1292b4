"""Every query of alerts and dashboards, and what there is to be asked: the ground truth for their names and labels."""

import json
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import promql_parser as promql
import yaml
from panier_common.conventions import METRICS

ROOT = pathlib.Path(__file__).parents[2]
DASHBOARDS: dict[str, Any] = {
    path.name: json.loads(path.read_text("utf-8"))
    for path in sorted((ROOT / "deploy" / "k8s" / "components" / "monitoring" / "dashboards").glob("*.json"))
}

# What Prometheus and the scrape configurations put on every series.
TARGET = {"service", "pod", "namespace", "job", "instance"}
# The labels of our metrics. A test over the running stack compares what it can with what is exposed.
LABELS: dict[str, set[str]] = {metric.exposed: set(metric.labels) for metric in METRICS}
# What PodMonitors add from the pods' labels, by the names that Prometheus gives those.
_MONITORS = ROOT / "deploy" / "k8s" / "components" / "monitoring" / "pods.yaml"
_ADDED = {
    re.sub(r"\W", "_", label)
    for monitor in yaml.safe_load_all(_MONITORS.read_text("utf-8"))
    for label in monitor["spec"].get("podTargetLabels", [])
}
# Of others: prometheus_client's process figures, kubelet's volumes, what CloudNativePG and its Barman Cloud plugin say
# of themselves, CloudNativePG's default queries. Kafka's are those that the rules of the JMX exporter make
# (deploy/k8s/platform/kafka/metrics.yaml).
_FOREIGN: dict[str, tuple[str, set[str]]] = {
    "process_cpu_seconds_total": ("counter", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
    "kubelet_volume_stats_available_bytes": ("gauge", {"persistentvolumeclaim"}),
    "kubelet_volume_stats_capacity_bytes": ("gauge", {"persistentvolumeclaim"}),
    "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp": ("gauge", _ADDED),
    "cnpg_collector_up": ("gauge", {"cluster", *_ADDED}),
    "cnpg_backends_total": ("gauge", {"datname", "state"}),
    "cnpg_backends_max_tx_duration_seconds": ("gauge", {"datname"}),
    "cnpg_pg_database_size_bytes": ("gauge", {"datname"}),
    "cnpg_pg_replication_lag": ("gauge", set()),
    "cnpg_pg_stat_archiver_failed_count": ("counter", _ADDED),
    "cnpg_pg_stat_database_xact_commit": ("counter", {"datname"}),
}
_OVER_COUNTERS = {"rate", "increase", "irate"}


@dataclass(frozen=True)
class Query:
    where: str
    expr: str

    def __str__(self) -> str:
        return self.where


def rules() -> Any:
    return yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus" / "rules.yaml").read_text("utf-8"))


RECORDED = {rule["record"] for group in rules()["groups"] for rule in group["rules"] if "record" in rule}


def every_query() -> list[Query]:
    found = [
        Query(f"{rule.get('alert') or rule['record']} {rule.get('labels', {}).get('severity', '')}", rule["expr"])
        for group in rules()["groups"]
        for rule in group["rules"]
    ]
    for name, board in DASHBOARDS.items():
        for panel in board["panels"]:
            for n, target in enumerate(panel.get("targets", [])):
                found.append(Query(f"{name} {panel['title']} {n}", _with_values(target["expr"])))
    return found


def _with_values(expr: str) -> str:
    """The query as Grafana would ask it."""
    return expr.replace("$__rate_interval", "5m").replace("$service", ".+")


@cache
def known() -> dict[str, tuple[str, frozenset[str]]]:
    """Kind and labels of every metric by its name, histograms as the three series they are."""
    found: dict[str, tuple[str, set[str]]] = {name: ("gauge", set()) for name in RECORDED}
    for metric in METRICS:
        labels = set(metric.labels)
        if metric.kind == "histogram":
            found[f"{metric.exposed}_bucket"] = ("counter", labels | {"le"})
            found |= {f"{metric.exposed}_{part}": ("counter", labels) for part in ("count", "sum")}
        else:
            found[metric.exposed] = (metric.kind, labels)
    for query, asked in database_queries().items():
        columns = {name: what["usage"] for column in asked["metrics"] for name, what in column.items()}
        labels = {name for name, usage in columns.items() if usage == "LABEL"}
        found |= {f"cnpg_{query}_{n}": ("gauge", labels) for n, usage in columns.items() if usage == "GAUGE"}
    for rule in kafka_rules():
        found[rule["name"]] = (rule["type"].lower(), set(rule.get("labels", {})))
    return {name: (kind, frozenset(labels | TARGET)) for name, (kind, labels) in (found | _FOREIGN).items()}


def database_queries() -> dict[str, Any]:
    path = ROOT / "deploy" / "k8s" / "platform" / "postgres" / "queries.yaml"
    asked: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return asked


def kafka_rules() -> list[dict[str, Any]]:
    path = ROOT / "deploy" / "k8s" / "platform" / "kafka" / "metrics.yaml"
    made: list[dict[str, Any]] = yaml.safe_load(path.read_text("utf-8"))["rules"]
    return made


def parts(expr: Any) -> Iterator[Any]:
    """The expression and everything in it."""
    yield expr
    for name in ("expr", "lhs", "rhs", "param", "vector_selector"):
        inner = getattr(expr, name, None)
        if inner is not None and type(inner).__module__.startswith("promql_parser"):
            yield from parts(inner)
    for one in getattr(expr, "args", None) or ():
        yield from parts(one)


def selectors(text: str) -> list[Any]:
    found = [part for part in parts(promql.parse(text)) if isinstance(part, promql.VectorSelector)]
    assert found or "vector(" in text, text
    return found


def complaints(text: str) -> list[str]:
    """What a query asks for that is not there."""
    wrong: list[str] = []
    named = selectors(text)
    everywhere: set[str] = set()
    for selector in named:
        if selector.name not in known():
            return [f"no metric {selector.name}"]
        labels = known()[selector.name][1]
        everywhere |= labels
        missing = [matcher.name for matcher in selector.matchers.matchers if matcher.name not in labels]
        wrong += [f"{selector.name} has no label {name}" for name in missing]
    for part in parts(promql.parse(text)):
        if isinstance(part, promql.AggregateExpr) and part.modifier is not None:
            wrong += [f"no metric of the query has the label {n}" for n in part.modifier.labels if n not in everywhere]
        if isinstance(part, promql.Call) and part.func.name in _OVER_COUNTERS:
            for selector in (inner for inner in parts(part) if isinstance(inner, promql.VectorSelector)):
                if (kind := known()[selector.name][0]) != "counter":
                    wrong.append(f"{part.func.name} of {selector.name}, a {kind}")
    return wrong


FOREIGN = {name for name in _FOREIGN if not name.startswith("process_")} | {rule["name"] for rule in kafka_rules()}
