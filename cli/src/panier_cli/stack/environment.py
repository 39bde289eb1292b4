"""What each service of the local stack is told: pure functions from the stack's wiring to environments.

A setting that the user has made wins over ours; ours is what is missing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from panier_cli.errors import Refused
from panier_cli.stack.services import Service

SECRETS = (
    "PANIER_ADMIN_TOKEN",
    "PANIER_META_APP_SECRET",
    "PANIER_META_VERIFY_TOKEN",
    "PANIER_SIMULATED_PAYMENT_SECRET",
)


@dataclass(frozen=True)
class Wiring:
    """Everything that the services' environments are made from."""

    data: Path
    shops: Path
    kafka: str
    ports: Mapping[str, int]  # public ports by service
    databases: Mapping[str, str] = field(default_factory=dict)  # URLs by service
    secrets: Mapping[str, str] = field(default_factory=dict)
    traces: str | None = None  # our own receiver's address


# Tracing costs time on every message; a tenth of the actions is enough to look at on a stack that runs all day.
SAMPLED_SHARE = "0.1"
_OWN_TRACING = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")


def number(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A whole number from a setting, within bounds."""
    text = env.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        raise Refused("bad_setting", f"{name} is {text!r}, but must be a number from {least} to {most}")
    return int(text)


def has(env: Mapping[str, str], name: str) -> bool:
    """Whether the user has made a setting, itself or as a file."""
    return bool(env.get(name) or env.get(f"{name}_FILE"))


def given(env: Mapping[str, str], name: str) -> str:
    """A setting's value, from the variable or from the file that its ``_FILE`` form names. Raises Refused."""
    if path := env.get(f"{name}_FILE"):
        try:
            return Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            hint = f"name a file that this user may read, or set {name} itself"
            raise Refused("bad_setting", f"{name}_FILE cannot be read: {error}", hint) from error
    return env[name]


def wants_traces(env: Mapping[str, str]) -> bool:
    """Whether spans are to come to us: not when the user says where they go, or that there are none."""
    return not any(env.get(name) for name in _OWN_TRACING) and env.get("OTEL_SDK_DISABLED", "").lower() != "true"


def _tracing(address: str, env: Mapping[str, str]) -> dict[str, str]:
    """OpenTelemetry's settings for services that report to our receiver."""
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_METRICS_EXPORTER": "none"}
    if not env.get("OTEL_TRACES_SAMPLER"):
        # The share is only ours to say when the sampler is.
        settings |= {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": SAMPLED_SHARE}
    return settings


def missing_secrets(env: Mapping[str, str], shops: Path, make: Callable[[str], str]) -> dict[str, str]:
    """The secrets that the user has not set. With our own simulator, shops need no access token of Meta's."""
    names = list(SECRETS)
    if not env.get("PANIER_GRAPH_URL"):
        names += token_names(shops)
    return {name: make(name) for name in names if not has(env, name)}


def token_names(shops: Path) -> list[str]:
    """The variables that a shops file names for access tokens."""
    try:
        document = tomllib.loads(shops.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(
            "bad_shops_file",
            f"the shops file {shops} cannot be read: {error}",
            "name another by PANIER_SHOPS",
        ) from error
    numbers = [number for shop in document.get("shop", []) for number in shop.get("number", [])]
    return [number["access_token_env"] for number in numbers if "access_token_env" in number]


def service_environment(service: Service, admin_port: int, wiring: Wiring, env: Mapping[str, str]) -> dict[str, str]:
    """The settings of one process, on top of the user's environment."""
    simulator = f"http://127.0.0.1:{wiring.ports['simulator']}"
    ingest = f"http://127.0.0.1:{wiring.ports['ingest']}"
    ours = {
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": wiring.kafka,
        "PANIER_GRAPH_URL": f"{simulator}/graph",
        "PANIER_SIMULATED_PAYMENT_URL": f"{simulator}/pay/{{currency}}/{{minor}}",
        "PANIER_SIMULATOR_DATA": str(wiring.data / "simulator"),
        "PANIER_SIMULATOR_WEBHOOK_URL": f"{ingest}/webhooks/whatsapp",
        "PANIER_SIMULATOR_PAYMENT_WEBHOOK_URL": f"{ingest}/webhooks/payments/simulated",
        "PYTHONUNBUFFERED": "1",
        **{f"PANIER_{name.upper()}_PORT": str(port) for name, port in wiring.ports.items()},
        service.setting("ADMIN_HOST"): "127.0.0.1",
        **wiring.secrets,
        **(_tracing(wiring.traces, env) if wiring.traces else {}),
    }
    if url := wiring.databases.get(service.name):
        ours[service.setting("DATABASE_URL")] = url
    result = {name: value for name, value in ours.items() if not has(env, name)}
    # Paths are made whole, since a service may run in another folder; the port is this process's own.
    result |= {"PANIER_DATA": str(wiring.data), "PANIER_SHOPS": str(wiring.shops)}
    result[service.setting("ADMIN_PORT")] = str(admin_port)
    # The server's superuser is none of a service's business.
    result |= {"PANIER_POSTGRES_URL": "", "PANIER_POSTGRES_URL_FILE": ""}
    return result
