"""Turns CustomResourceDefinitions into the JSON Schemas beside this file: `python convert.py CRD.yaml …`.

Where the definitions come from: KEDA 2.21.0, Gateway API 1.6.3, cert-manager 1.21.2, External Secrets 1.3.2,
prometheus-operator 0.85.0 and plugin-barman-cloud 0.15.0 as Go modules (`go mod download -json MODULE@VERSION` names
the folder); Strimzi 1.2.0 by Maven's io.strimzi:crd-generator over io.strimzi:api; see NOTICE. CloudNativePG's are made
by cnpg.py. Without descriptions and status, and strict: a field that a definition does not have is an error, as it is
for `kubectl --validate=strict`.
"""

import json
import pathlib
import sys
from typing import Any

import yaml

_KEPT = {
    "type", "properties", "items", "required", "enum", "pattern", "format", "minimum", "maximum", "minLength",
    "maxLength", "minItems", "maxItems", "uniqueItems", "additionalProperties", "anyOf", "oneOf", "allOf", "not",
    "default", "nullable", "minProperties", "maxProperties", "const",
}  # fmt: skip


def strict(schema: Any) -> Any:
    """The schema as plain JSON Schema; an object says whether it may have more than its properties."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key not in _KEPT or key in ("default", "nullable"):
            continue
        if key == "properties":
            made[key] = {name: strict(one) for name, one in value.items()}
        elif key in ("anyOf", "oneOf", "allOf"):
            made[key] = [{k: strict(v) for k, v in one.items()} for one in value]
        elif key in ("items", "additionalProperties", "not"):
            made[key] = strict(value)
        else:
            made[key] = value
    if made.get("format") in ("int32", "int64", "double", "float"):
        del made["format"]
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in made
    if "properties" in made and made.get("type") == "object" and not open_ended:
        made["additionalProperties"] = False
    if schema.get("nullable") and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def convert(definition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """File name → schema, for every version that is served."""
    spec = definition["spec"]
    made = {}
    for version in spec["versions"]:
        if not version["served"]:
            continue
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"].pop("status", None)
        schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
        schema["properties"]["metadata"] = {"type": "object"}
        made[f"{spec['names']['kind'].lower()}-{spec['group']}-{version['name']}.json"] = schema
    return made


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        for one in yaml.safe_load_all(pathlib.Path(argument).read_text("utf-8")):
            for name, schema in convert(one).items() if one and one["kind"] == "CustomResourceDefinition" else ():
                text = json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n"
                pathlib.Path(__file__).with_name(name).write_text(text, encoding="utf-8")
