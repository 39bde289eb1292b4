"""Writes what is generated from the code: schemas and examples' shapes, AsyncAPI, events, settings, telemetry.

`python docs/generate.py` writes; `--check` only compares and exits 1 with the names of what is out of date. A
schema that would break readers of the committed one is refused either way: make a `.v2` beside it instead.
"""

import argparse
import importlib
import inspect
import json
import pathlib
import re
import sys
from typing import Any

import meta_errors
import msgspec
import yaml
from panier_common import conventions, topics
from panier_common.contracts import outbound
from panier_common.settings import Settings
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from schemas import breaks

DOCS = pathlib.Path(__file__).resolve().parent
sys.path.append(str(DOCS.parent / "deploy" / "generator"))

import files as deployment  # noqa: E402

SETTINGS = (
    "panier_ingest",
    "panier_catalog",
    "panier_cart",
    "panier_checkout",
    "panier_sender",
    "panier_sales",
    "panier_console",
    "panier_simulator",
)
NOTE = "generated from the code by `make generate`; do not edit"


def schema_of(event: type) -> dict[str, Any]:
    """One event's JSON Schema, as it is on the wire."""

    def raw(kind: type) -> dict[str, Any]:
        return {"description": "JSON of another's making, kept whole"} if kind is msgspec.Raw else {}

    schema = msgspec.json.schema(event, schema_hook=raw)
    return {"$id": event.ce_type, "title": event.__name__, **schema}


def schemas() -> dict[str, str]:
    found = {
        f"schemas/{event.ce_type}.json": schema_of(event)
        for event in sorted(topics.TOPIC_OF, key=lambda event: event.ce_type)
    }
    found["schemas/outbound-message.json"] = outbound.MESSAGE.json_schema()
    return {name: json.dumps(schema, indent=1, ensure_ascii=False) + "\n" for name, schema in found.items()}


def _channel(name: str) -> str:
    return name.removeprefix("panier.").replace(".", "-")


def asyncapi() -> str:
    """AsyncAPI 3.0: every topic a channel, every event a message."""
    channels = {
        _channel(t.name): {
            "address": t.name,
            "description": f"Keyed by {t.key}; cleanup {t.cleanup}.",
            "messages": {e.__name__: {"$ref": f"#/components/messages/{e.__name__}"} for e in t.events},
        }
        for t in topics.TOPICS
    }
    operations: dict[str, Any] = {}
    for topic in topics.TOPICS:
        for action, services in (("send", topic.producers), ("receive", topic.consumers)):
            for service in services:
                operations[f"{service}-{action}-{_channel(topic.name)}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{_channel(topic.name)}"},
                    "tags": [{"name": service}],
                }
    messages = {
        event.__name__: {
            "name": event.ce_type,
            "title": event.__name__,
            "summary": summary(event),
            "contentType": "application/json",
            "payload": {"$ref": f"./schemas/{event.ce_type}.json"},
        }
        for event in topics.TOPIC_OF
    }
    document = {
        "asyncapi": "3.0.0",
        "info": {"title": "Panier", "version": "0.1.0", "description": f"Panier's topics; {NOTE}."},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def summary(thing: Any) -> str:
    """The first sentence of a docstring of its own; nothing for one that is only inherited."""
    text = inspect.cleandoc(thing.__dict__.get("__doc__") or "")
    return re.split(r"(?<=[.:;])\s", text.replace("\n", " "))[0].rstrip(":;") if text else ""


def events() -> str:
    lines = ["# Events", "", f"<!-- {NOTE} -->", ""]
    lines += [
        "Every topic has the same number of partitions: 12 unless `panier topics apply --partitions` says another.",
        "",
    ]
    for topic in topics.TOPICS:
        consumers = ", ".join(topic.consumers) or "nobody yet: it is kept"
        kept = "compacted" if topic.cleanup == "compact" else f"kept {topic.retention_ms // topics.DAY_MS} days"
        lines += [
            f"## `{topic.name}`",
            "",
            f"Key: {topic.key}; {kept}. From {', '.join(topic.producers)} to {consumers}.",
            "",
            "| event | type | fields |",
            "|---|---|---|",
        ]
        for event in topic.events:
            fields = ", ".join(f"`{f.name}`" if f.required else f"`{f.name}`?" for f in msgspec.structs.fields(event))
            what = summary(event)
            lines.append(
                f"| **{event.__name__}** {what} | [`{event.ce_type}`](schemas/{event.ce_type}.json) | {fields} |"
            )
        lines.append("")
    return "\n".join(lines)


def names_of(settings: type[Settings], field: str, info: FieldInfo) -> str:
    prefix = settings.model_config.get("env_prefix", "")
    return str(info.validation_alias) if info.validation_alias else f"{prefix}{field}".upper()


def settings_class(package: str) -> type[Settings] | None:
    try:
        module = importlib.import_module(f"{package}.settings")
    except ModuleNotFoundError:
        return None
    own = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__ and hasattr(kind, "model_fields") and hasattr(kind, "model_config")
    ]
    return next((kind for kind in own if kind.model_config.get("env_prefix") is not None), None)


def configuration() -> str:
    lines = ["# Settings", "", f"<!-- {NOTE} -->", ""]
    lines += [
        "From the environment only. Every setting can be given as a file: `<NAME>_FILE` names it.",
        "OpenTelemetry's own variables (`OTEL_…`) are honoured as they are.",
        "",
    ]
    for package in SETTINGS:
        kind = settings_class(package)
        if kind is None:
            raise SystemExit(f"{package} has no settings class")
        lines += [f"## {package.removeprefix('panier_')}", "", "| setting | default | meaning |", "|---|---|---|"]
        for field, info in sorted(kind.model_fields.items(), key=lambda item: names_of(kind, *item)):
            if info.default is PydanticUndefined and info.default_factory is None:
                default = "required"
            else:
                default = f"`{info.get_default(call_default_factory=True)}`"
            lines.append(f"| `{names_of(kind, field, info)}` | {default} | {info.description or ''} |")
        lines.append("")
    return "\n".join(lines)


def telemetry_page() -> str:
    """Spans, attributes and metrics, as the registry has them."""
    lines = ["# Telemetry", "", f"<!-- {NOTE} -->", "", conventions.__doc__ or "", "## Spans", ""]
    lines += ["| span | kind | parent | attributes |", "|---|---|---|---|"]
    for span in conventions.SPANS:
        attributes = ", ".join(f"`{name}`" for name in span.attributes)
        lines.append(f"| {span.shown} | {span.kind} | {span.parent} | {attributes} |")
    lines += [
        "",
        "`send panier.delivery.v1` links to the `process panier.outbound.v1` of the message that the status is about.",
        "",
        "## Metrics",
        "",
        "Histograms have exemplars: the newest trace of each bucket, for whoever asks in OpenMetrics. Only "
        "`panier_http_request_seconds` has none: it is kept as plain integers.",
        "",
        "| metric | of | kind | labels | what |",
        "|---|---|---|---|---|",
    ]
    for metric in sorted(conventions.METRICS, key=lambda metric: (metric.of or "every service", metric.exposed)):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        of = metric.of or "every service"
        lines.append(f"| `{metric.exposed}` | {of} | {metric.kind} | {labels} | {metric.says} |")
    return "\n".join([*lines, ""])


def all_files() -> dict[str, str]:
    return {
        **schemas(),
        "asyncapi.yaml": asyncapi(),
        "events.md": events(),
        "configuration.md": configuration(),
        "telemetry.md": telemetry_page(),
        "meta-errors.md": meta_errors.page(NOTE),
        **{f"../{name}": text for name, text in deployment.all_files().items()},
    }


def refuse_breaking_changes(files: dict[str, str]) -> None:
    for name, text in files.items():
        committed = DOCS / name
        if name.startswith("schemas/") and committed.exists():
            reasons = breaks(json.loads(committed.read_text(encoding="utf-8")), json.loads(text))
            if reasons:
                raise SystemExit(
                    f"docs/{name} would break its readers: {'; '.join(reasons)}. Make a new version beside it."
                )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    files = all_files()
    refuse_breaking_changes(files)
    stale = [
        n for n, text in files.items() if not (DOCS / n).exists() or (DOCS / n).read_text(encoding="utf-8") != text
    ]
    stale += [str(p.relative_to(DOCS)) for p in (DOCS / "schemas").glob("*.json") if f"schemas/{p.name}" not in files]
    if check and stale:
        sys.stderr.write("out of date, run `make generate`: " + ", ".join(stale) + "\n")
        return 1
    if not check:
        (DOCS / "schemas").mkdir(exist_ok=True)
        for name in stale:
            if name in files:
                (DOCS / name).write_text(files[name], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
