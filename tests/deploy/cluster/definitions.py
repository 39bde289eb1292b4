"""The CustomResourceDefinitions that our objects need, for an API server that judges them.

Those of projects that publish a Go module are taken from it as they are, rules of validation and all. Strimzi's and
CloudNativePG's are made from the schemas beside this folder: there the API server knows fields and types, no more.
"""

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import yaml
from programs import module_folder

Json = dict[str, Any]
SCHEMAS = pathlib.Path(__file__).parents[1] / "schemas"
# Module and version → where its definitions are, and which of them.
MODULES = {
    "github.com/kedacore/keda/v2@v2.21.0": ("config/crd/bases", "keda.sh_(scaledobjects|triggerauth)"),
    "sigs.k8s.io/gateway-api@v1.6.3": ("config/crd/standard", "_(gateways|httproutes)"),
    "github.com/cert-manager/cert-manager@v1.21.2": ("deploy/crds", "cert-manager.io_(certificates|issuers)"),
    "github.com/external-secrets/external-secrets@v1.3.2": ("config/crds/bases", "^external-secrets.io_externals"),
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "example/prometheus-operator-crd",
        "_(podmonitors|prometheusrules)",
    ),
    "github.com/cloudnative-pg/plugin-barman-cloud@v0.15.0": ("config/crd/bases", "objectstores"),
}
MADE = re.compile(r"^(.+)-((?:kafka\.strimzi|postgresql\.cnpg)\.io)-(v\w+)\.json$")


def definitions() -> list[Json]:
    found = [one for module, (folder, names) in MODULES.items() for one in _of_module(module, folder, names)]
    return found + [_made(path) for path in sorted(SCHEMAS.glob("*.json")) if MADE.match(path.name)]


def _of_module(module: str, folder: str, names: str) -> Iterator[Json]:
    for path in sorted((module_folder(module) / folder).glob("*.yaml")):
        if re.search(names, path.name):
            yield from (one for one in yaml.safe_load_all(path.read_text("utf-8")) if one)


def _made(path: pathlib.Path) -> Json:
    found = MADE.match(path.name)
    assert found
    kind, group, version = found.groups()
    plural = f"{kind}s"
    schema = structural(json.loads(path.read_text("utf-8")))
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema["properties"] |= {"metadata": {"type": "object"}, "status": status}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": _KINDS[kind], "plural": plural, "singular": kind, "listKind": f"{_KINDS[kind]}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [served]},
    }


_KINDS = {
    "kafka": "Kafka",
    "kafkanodepool": "KafkaNodePool",
    "kafkatopic": "KafkaTopic",
    "kafkauser": "KafkaUser",
    "cluster": "Cluster",
    "scheduledbackup": "ScheduledBackup",
}


def structural(schema: Any) -> Any:
    """A schema as an API server takes it: fields that nobody knows are refused by it anyhow."""
    if not isinstance(schema, dict):
        return schema
    made = {key: _structural_part(key, value) for key, value in schema.items()}
    match made.get("type"):
        case ["integer", "string"]:
            del made["type"]
            made["x-kubernetes-int-or-string"] = True
        case [str() as kind, "null"]:
            made |= {"type": kind, "nullable": True}
    if "properties" in made and made.get("additionalProperties") is False:
        del made["additionalProperties"]
    if made.get("type") == "object" and not made.keys() & {"properties", "additionalProperties", "anyOf", "oneOf"}:
        made["x-kubernetes-preserve-unknown-fields"] = True
    if not made:
        made["x-kubernetes-preserve-unknown-fields"] = True
    return made


def _structural_part(key: str, value: Any) -> Any:
    if key == "properties":
        return {name: structural(one) for name, one in value.items()}
    if key in ("items", "additionalProperties"):
        return structural(value)
    return value
