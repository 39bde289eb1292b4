"""docker-compose.yml by its schema and by rules; each rule is seen to fail once."""

import copy
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import compose_rules as rules
import pytest
import yaml
from compose_rules import Compose
from known_settings import SERVICES, WITH_DATABASE, settings_of
from programs import promtool

ROOT = pathlib.Path(__file__).parents[2]
COMPOSE: Compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


def keeps_to_the_schema(path: pathlib.Path) -> bool:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", path]
    return subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0


def test_compose_keeps_to_its_schema(tmp_path: pathlib.Path) -> None:
    assert keeps_to_the_schema(ROOT / "docker-compose.yml")
    misspelt = copy.deepcopy(COMPOSE)
    misspelt["services"]["cart"]["helthcheck"] = {}
    (tmp_path / "misspelt.yml").write_text(yaml.safe_dump(misspelt), encoding="utf-8")
    assert not keeps_to_the_schema(tmp_path / "misspelt.yml")


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_nothing_is_wrong(rule: Callable[[Compose], Any]) -> None:
    assert list(rule(COMPOSE)) == []


def test_prometheus_accepts_its_configuration_and_reads_every_service() -> None:
    path = ROOT / "deploy" / "compose" / "prometheus" / "prometheus.yaml"
    done = subprocess.run([promtool(), "check", "config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = {job["job_name"]: job["static_configs"] for job in yaml.safe_load(path.read_text("utf-8"))["scrape_configs"]}
    read = {one["labels"]["service"]: one["targets"] for one in jobs["services"]}
    admin = {s: settings_of(s)[f"PANIER_{s.upper()}_ADMIN_PORT"].default for s in SERVICES}
    assert read == {service: [f"{service}:{port}"] for service, port in admin.items()}
    assert [target for one in jobs["databases"] for target in one["targets"]] == ["postgres-exporter:9187"]


def test_the_example_names_exactly_what_is_required_and_holds_no_value() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    assert set(given) == rules.required(COMPOSE)
    assert not any(given.values())
    optional = {match[1] for line in lines if (match := re.match(r"# (\w+)=\S", line)) and match[1].isupper()}
    assert optional == rules.variables(COMPOSE).keys() - given.keys()


def test_the_shops_file_of_the_example_has_its_tokens() -> None:
    shops = (ROOT / "examples" / "bakery" / "shops.toml").read_text("utf-8")
    tokens = set(re.findall(r'access_token_env = "(\w+)"', shops))
    assert tokens
    assert tokens <= set(COMPOSE["services"]["sender"]["environment"])


# Each rule finds its fault.

Fault = Callable[[dict[str, Any]], object]
FAULTS: list[tuple[Callable[[Compose], Any], Fault]] = [
    (rules.every_program_and_job_runs, lambda s: s.update(karte={})),
    (rules.every_program_and_job_runs, lambda s: s.pop("jaeger")),
    (rules.what_is_mounted_is_there, lambda s: s["grafana"].update(volumes=["./deploy/grafana:/etc/grafana:ro"])),
    (rules.what_is_built_has_a_dockerfile, lambda s: s["cart"]["build"].update(dockerfile="services/carte/Dockerfile")),
    (rules.what_is_built_has_a_dockerfile, lambda s: s["topics"].pop("build")),
    (
        rules.every_database_is_asked_for_its_figures,
        lambda s: s["postgres-exporter"]["environment"].update(DATA_SOURCE_NAME="postgresql://x@postgres/panier_cart"),
    ),
    (
        rules.databases_are_those_of_the_services,
        lambda s: s["cart"]["environment"].update(
            PANIER_CART_DATABASE_URL=s["checkout"]["environment"]["PANIER_CHECKOUT_DATABASE_URL"]
        ),
    ),
    (
        rules.databases_are_those_of_the_services,
        lambda s: s["migrate"]["environment"].pop("PANIER_CART_DATABASE_URL"),
    ),
    (
        rules.variables_are_required_or_have_a_default,
        lambda s: s["cart"]["environment"].update(PANIER_LOG_LEVEL="${PANIER_LEVEL}"),
    ),
    (rules.images_have_a_version, lambda s: s["kafka"].update(image="apache/kafka:latest")),
    (rules.images_have_a_version, lambda s: s["cart"].pop("image")),
    (rules.everything_is_watched_and_restarted, lambda s: s["jaeger"].pop("healthcheck")),
    (rules.everything_is_watched_and_restarted, lambda s: s["postgres"].pop("restart")),
    (rules.everything_is_watched_and_restarted, lambda s: s["topics"].update(restart="unless-stopped")),
    (rules.health_checks_ask_the_right_port, lambda s: s["simulator"].update(healthcheck=s["cart"]["healthcheck"])),
    (rules.services_wait_for_what_they_need, lambda s: s["cart"]["depends_on"].pop("migrate")),
    (
        rules.services_wait_for_what_they_need,
        lambda s: s["topics"]["depends_on"]["kafka"].update(condition="service_completed_successfully"),
    ),
    (rules.settings_are_known_and_whole, lambda s: s["cart"]["environment"].update(PANIER_CART_PROT="1")),
    (rules.settings_are_known_and_whole, lambda s: s["sales"]["environment"].pop("PANIER_ADMIN_TOKEN")),
    (rules.no_secret_is_written_down, lambda s: s["cart"]["environment"].update(PANIER_ADMIN_TOKEN="hunter2")),
    (rules.no_secret_is_written_down, lambda s: s["postgres"]["environment"].update(POSTGRES_PASSWORD="hunter2")),
    (
        rules.no_secret_is_written_down,
        lambda s: s["migrate"]["environment"].update(
            PANIER_CART_DATABASE_URL="postgresql://panier:hunter2@postgres/cart"
        ),
    ),
    (rules.containers_are_locked, lambda s: s["cart"].update(read_only=False)),
    (rules.containers_are_locked, lambda s: s["migrate"].pop("cap_drop")),
    (rules.only_public_ports_are_published, lambda s: s["cart"].update(ports=["127.0.0.1:${PORT:-9090}:9090"])),
    (rules.only_public_ports_are_published, lambda s: s["ingest"].update(ports=["8080:8080"])),
    (rules.stopping_takes_long_enough, lambda s: s["cart"].pop("stop_grace_period")),
    (rules.networks_and_volumes_are_declared, lambda s: s["kafka"].update(volumes=["brokers:/var/lib/kafka/data"])),
    (rules.networks_and_volumes_are_declared, lambda s: s["kafka"].update(networks=["outside"])),
]


def test_every_rule_has_a_fault_that_it_finds() -> None:
    assert {rule for rule, _ in FAULTS} == set(rules.RULES)


@pytest.mark.parametrize(("rule", "fault"), FAULTS, ids=[f"{n} {rule.__name__}" for n, (rule, _) in enumerate(FAULTS)])
def test_a_planted_fault_is_found(rule: Callable[[Compose], Any], fault: Fault) -> None:
    planted = copy.deepcopy(COMPOSE)
    fault(planted["services"])
    assert list(rule(planted)) != []


def test_a_missing_password_stops_the_making_of_databases(tmp_path: pathlib.Path) -> None:
    """Before anything is made: without it, psql would make a role that nobody can use."""
    (tmp_path / "psql").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "psql").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "POSTGRES_USER": "postgres"}
    passwords = {f"PANIER_{service.upper()}_DATABASE_PASSWORD": "x" for service in WITH_DATABASE}

    def made(given: dict[str, str]) -> subprocess.CompletedProcess[str]:
        script = ROOT / "deploy" / "compose" / "create-databases.sh"
        return subprocess.run([script], env={**env, **given}, capture_output=True, text=True, check=False)

    assert made(passwords).returncode == 0
    del passwords["PANIER_CONSOLE_DATABASE_PASSWORD"]
    refused = made(passwords)
    assert refused.returncode != 0
    assert "PANIER_CONSOLE_DATABASE_PASSWORD" in refused.stderr
