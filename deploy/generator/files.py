"""Every generated file of the deployment by its path from the root; docs/generate.py writes and compares them."""

from typing import Any

import yaml
from alerts import ALERTS, Alert, burn_alerts
from grafana import as_json
from manifests import manifests
from objectives import OBJECTIVES, recordings
from panels import BOARDS

NOTE = "# Generated from deploy/generator by `make generate`; do not edit.\n"
_K8S = "deploy/k8s"


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasts,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "runbook_url": f"docs/runbooks/{alert.runbook}.md"},
    }


def groups() -> list[dict[str, Any]]:
    """Prometheus' rule groups: first what is recorded, then what is alerted on."""
    return [
        *({"name": f"panier-{o.name}", "interval": "30s", "rules": recordings(o)} for o in OBJECTIVES),
        {"name": "panier-budgets", "rules": [_rule(alert) for alert in burn_alerts()]},
        {"name": "panier-alerts", "rules": [_rule(alert) for alert in ALERTS]},
    ]


class _Plain(yaml.SafeDumper):
    """Without anchors: what is the same twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _yaml(*documents: object) -> str:
    return NOTE + yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=118)


def all_files() -> dict[str, str]:
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "panier", "labels": {"app.kubernetes.io/name": "alerts"}},
        "spec": {"groups": groups()},
    }
    monitoring = f"{_K8S}/components/monitoring"
    return {
        f"{monitoring}/rules.yaml": _yaml(resource),
        "deploy/compose/prometheus/rules.yaml": _yaml({"groups": groups()}),
        **{f"{monitoring}/dashboards/{board.uid}.json": as_json(board) for board in BOARDS},
        **{f"{_K8S}/{path}": _yaml(*objects) for path, objects in manifests().items()},
    }
