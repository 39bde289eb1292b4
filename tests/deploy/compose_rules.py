"""What must hold of docker-compose.yml and its schema does not say; each rule yields one line per thing wrong."""

import re
from collections.abc import Iterator
from typing import Any

from known_settings import ROOT, SERVICES, WITH_DATABASE, is_opentelemetry, settings_of

Compose = dict[str, Any]
PROGRAMS = (*SERVICES, "simulator")
JOBS = ("topics", "migrate")
ENGINES = ("kafka", "postgres", "postgres-exporter", "jaeger", "prometheus", "grafana")
DRAIN_SECONDS = 20
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?P<rest>[^}]*)\}")
# Settings of an image's own, which is no service of ours.
_ENGINE_SECRETS = re.compile(r"PASSWORD|TOKEN|SECRET")


def variables(compose: Compose) -> dict[str, set[str]]:
    """Every `${NAME…}` with what follows the name wherever it is used."""
    found: dict[str, set[str]] = {}
    for match in _VARIABLE.finditer(repr(compose["services"])):
        found.setdefault(match["name"], set()).add(match["rest"])
    return found


def required(compose: Compose) -> set[str]:
    return {name for name, uses in variables(compose).items() if any(use.startswith(":?") for use in uses)}


def every_program_and_job_runs(compose: Compose) -> Iterator[str]:
    wanted = {*PROGRAMS, *JOBS, *ENGINES}
    yield from (f"{name} is missing" for name in sorted(wanted - set(compose["services"])))
    yield from (f"nobody knows {name}" for name in sorted(set(compose["services"]) - wanted))


def what_is_mounted_is_there(compose: Compose) -> Iterator[str]:
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./") and not (ROOT / source).exists():
                yield f"{name}: {source} is not there"


def what_is_built_has_a_dockerfile(compose: Compose) -> Iterator[str]:
    for name in set(compose["services"]) & {*PROGRAMS, *JOBS}:
        build = compose["services"][name].get("build", {})
        if not (ROOT / build.get("context", "") / build.get("dockerfile", "")).is_file():
            yield f"{name}: nothing says how it is built"


def every_database_is_asked_for_its_figures(compose: Compose) -> Iterator[str]:
    addresses = compose["services"]["postgres-exporter"]["environment"]["DATA_SOURCE_NAME"].split(",")
    asked = [address.rpartition("/")[2].partition("?")[0] for address in addresses]
    if asked != [f"panier_{service}" for service in WITH_DATABASE]:
        yield f"asked are {', '.join(asked)}"


def databases_are_those_of_the_services(compose: Compose) -> Iterator[str]:
    """A service has its own role; only the migration has the owner's."""
    services = compose["services"]
    for service in WITH_DATABASE:
        name = f"PANIER_{service.upper()}_DATABASE"
        at = f"@postgres:5432/panier_{service}"
        if services[service]["environment"][f"{name}_URL"] != f"postgresql://panier_{service}:${{{name}_PASSWORD}}{at}":
            yield f"{service}: has another's database"
        owners = f"postgresql://postgres:${{PANIER_POSTGRES_PASSWORD}}{at}"
        if services["migrate"]["environment"].get(f"{name}_URL") != owners:
            yield f"migrate: does not bring {service}'s database up to date"


def variables_are_required_or_have_a_default(compose: Compose) -> Iterator[str]:
    for name, uses in variables(compose).items():
        if not any(use.startswith((":?", ":-")) for use in uses):
            yield f"{name} may be empty"


def images_have_a_version(compose: Compose) -> Iterator[str]:
    for name, service in compose["services"].items():
        tag = service.get("image", "").rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest"):
            yield f"{name}: {service.get('image')} has no version"


def everything_is_watched_and_restarted(compose: Compose) -> Iterator[str]:
    for name, service in compose["services"].items():
        if name in JOBS:
            if not service.get("restart", "no").startswith("on-failure"):
                yield f"{name}: a job runs once, and again only when it failed"
        else:
            if service.get("restart") != "unless-stopped":
                yield f"{name}: is not restarted"
            if not service.get("healthcheck", {}).get("test"):
                yield f"{name}: has no health check"


def health_checks_ask_the_right_port(compose: Compose) -> Iterator[str]:
    for name in PROGRAMS:
        setting = f"PANIER_{name.upper()}_{'PORT' if name == 'simulator' else 'ADMIN_PORT'}"
        port = settings_of(name)[setting].default
        if f"http://127.0.0.1:{port}/readyz" not in " ".join(compose["services"][name]["healthcheck"]["test"]):
            yield f"{name}: is ready on port {port}, which its health check does not ask"


def services_wait_for_what_they_need(compose: Compose) -> Iterator[str]:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if other not in services:
                yield f"{name}: waits for {other}, which is not there"
            done = how["condition"] == "service_completed_successfully"
            if done != (other in JOBS):
                yield f"{name}: waits for {other} the wrong way"
    for name in SERVICES:
        if set(services[name].get("depends_on", {})) != set(JOBS):
            yield f"{name}: does not wait for {', '.join(JOBS)}"


def settings_are_known_and_whole(compose: Compose) -> Iterator[str]:
    for name in PROGRAMS:
        settings = settings_of(name)
        given = compose["services"][name]["environment"]
        for variable in given:
            is_token = name == "sender" and variable.endswith("_TOKEN")  # named by the shops file
            if variable not in settings and not is_opentelemetry(variable) and not is_token:
                yield f"{name}: does not know {variable}"
        for variable, setting in settings.items():
            if setting.required and variable not in given:
                yield f"{name}: {variable} is missing"


def no_secret_is_written_down(compose: Compose) -> Iterator[str]:
    """A secret is one variable; a database's URL may have the rest around it."""
    for name, service in compose["services"].items():
        known = settings_of(name) if name in PROGRAMS else {}
        for variable, value in service.get("environment", {}).items():
            is_secret = known[variable].secret if variable in known else bool(_ENGINE_SECRETS.search(variable))
            text = str(value)
            if "://" in text:
                if re.search(r"://[^/@:]*:(?!\$\{[A-Z_]+\}@)[^/@]*@", text):
                    yield f"{name}: {variable} holds a password"
            elif is_secret and not re.fullmatch(r"\$\{[A-Z_]+:\?[^}]*\}", text):
                yield f"{name}: {variable} holds a secret"


def containers_are_locked(compose: Compose) -> Iterator[str]:
    for name in (*PROGRAMS, *JOBS):
        service = compose["services"][name]
        locked = service.get("read_only") is True and service.get("cap_drop") == ["ALL"]
        if not locked or "no-new-privileges:true" not in service.get("security_opt", []) or service.get("privileged"):
            yield f"{name}: is not locked down"


def only_public_ports_are_published(compose: Compose) -> Iterator[str]:
    """On this machine alone; admin ports, broker and database on none."""
    public = {"ingest": "8080", "console": "8090", "simulator": "8070", "jaeger": "16686", "grafana": "3000"}
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            if not re.fullmatch(rf"127\.0\.0\.1:\$\{{[A-Z_]+:-{public.get(name)}\}}:{public.get(name)}", port):
                yield f"{name}: publishes {port}"


def stopping_takes_long_enough(compose: Compose) -> Iterator[str]:
    for name in PROGRAMS:
        grace = str(compose["services"][name].get("stop_grace_period", "10s"))
        if int(grace.removesuffix("s")) <= DRAIN_SECONDS:
            yield f"{name}: is killed while it drains"


def networks_and_volumes_are_declared(compose: Compose) -> Iterator[str]:
    for name, service in compose["services"].items():
        for network in service.get("networks", ["default"]):
            if network not in compose["networks"]:
                yield f"{name}: no network {network}"
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if not source.startswith((".", "$")) and source not in compose["volumes"]:
                yield f"{name}: no volume {source}"
    if not compose["networks"]["engines"]["internal"]:
        yield "the engines can be reached from outside"


RULES = (
    every_program_and_job_runs,
    what_is_mounted_is_there,
    what_is_built_has_a_dockerfile,
    every_database_is_asked_for_its_figures,
    databases_are_those_of_the_services,
    variables_are_required_or_have_a_default,
    images_have_a_version,
    everything_is_watched_and_restarted,
    health_checks_ask_the_right_port,
    services_wait_for_what_they_need,
    settings_are_known_and_whole,
    no_secret_is_written_down,
    containers_are_locked,
    only_public_ports_are_published,
    stopping_takes_long_enough,
    networks_and_volumes_are_declared,
)
