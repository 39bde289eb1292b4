"""The manifests for Kubernetes, rendered and checked without a cluster; each rule is seen to fail once."""

import copy
import importlib.util
import json
import os
import pathlib
import re
import shutil
from collections.abc import Callable
from functools import cache
from typing import Any

import kubernetes_validate
import operator_rules
import platform_rules
import pytest
from jsonschema import Draft7Validator
from known_settings import SERVICES
from manifest_rules import (
    RULES,
    Object,
    admin_ports_stay_inside,
    everything_is_labelled_and_in_one_namespace,
    everything_runs_and_every_database_is_migrated,
    images_have_a_version,
    name_of,
    names_are_used_once,
    namespaces_refuse_other_pods,
    no_secret_is_written_down,
    pods_are_restricted,
    ports_are_those_listened_on,
    probes_name_ports,
    references_exist,
    resources_are_bounded,
    sales_never_runs_twice,
    selectors_hit,
    service_links_are_off,
    settings_are_known_and_whole,
    stopping_takes_long_enough,
    who_is_not_ready_can_be_asked_why,
)
from platform_faults import PLATFORM_FAULTS
from render import render

ROOT = pathlib.Path(__file__).parents[2]
OVERLAYS = sorted(path for path in (ROOT / "deploy" / "k8s" / "overlays").iterdir() if path.is_dir())
DEV, PRODUCTION = (ROOT / "deploy" / "k8s" / "overlays" / name for name in ("dev", "production"))
KUBERNETES = "1.37"
SCHEMAS = pathlib.Path(__file__).parent / "schemas"

# kustomize is built on the first machine that has none.
pytestmark = pytest.mark.timeout(900)
GUIDE = ROOT / "docs" / "howto" / "kubernetes.md"


def documented() -> set[tuple[str, str]]:
    """(name, key) of what the guide's table tells people to make; `any` key is `*`."""
    rows = re.findall(r"^\| `(panier-[a-z-]+)` \| (?:Secret|ConfigMap) \| ([^|]+) \|", GUIDE.read_text("utf-8"), re.M)
    return {(name, key) for name, keys in rows for key in re.findall(r"`([^`]+)`", keys) or ["*"]}


def all_problems(objects: list[Object]) -> list[str]:
    every = [line for rule in (*RULES, *platform_rules.RULES, *operator_rules.RULES) for line in rule(objects)]
    return every + list(references_exist(objects, documented()))


def errors_of(one: Object) -> list[str]:
    """What the API server would refuse, field by field, those included that nobody knows."""
    group, _, version = one["apiVersion"].rpartition("/")
    if "." not in group or (group.endswith(".k8s.io") and group != "gateway.networking.k8s.io"):
        try:
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            return [f"{name_of(one)}: {error.message}"]
        return []
    found = _definition(f"{one['kind'].lower()}-{group}-{version}.json").iter_errors(one)
    return [f"{name_of(one)}: {'.'.join(map(str, error.path))}: {error.message}" for error in found]


@cache
def _definition(name: str) -> Draft7Validator:
    return Draft7Validator(json.loads((SCHEMAS / name).read_text("utf-8")))


@pytest.fixture(scope="module", params=OVERLAYS, ids=lambda path: path.name)
def overlay(request: pytest.FixtureRequest) -> list[Object]:
    return render(request.param)


def test_every_object_is_what_kubernetes_accepts(overlay: list[Object]) -> None:
    assert [line for one in overlay for line in errors_of(one)] == []


def test_nothing_is_wrong(overlay: list[Object]) -> None:
    assert all_problems(overlay) == []


COMPONENTS = sorted(path for path in (ROOT / "deploy" / "k8s" / "components").iterdir() if path.is_dir())


# What else must be there for a component, or the platform, to find all that it names.
NEEDS = {
    "platform": {"external-secrets"},
    "external-secrets": {"platform"},
    "autoscaling": {"platform"},
    "kafka-tls": {"platform"},
    "monitoring": {"platform"},
    "tracing": {"platform"},
    "gateway": {"cert-manager"},
    "cert-manager": {"gateway"},
}
NAMES = {"platform", *(path.name for path in COMPONENTS)}


def combined(base: pathlib.Path, parts: set[str], folder: pathlib.Path) -> list[Object]:
    """An overlay with these components, and the platform if it is among them, over another."""

    def path(to: pathlib.Path) -> str:
        return os.path.relpath(to, folder.resolve())

    k8s = ROOT / "deploy" / "k8s"
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "panier-dev",
        "resources": [path(base), *([path(k8s / "platform")] if "platform" in parts else [])],
        "components": [path(k8s / "components" / name) for name in sorted(parts - {"platform"})],
        "labels": [{"pairs": {"app.kubernetes.io/part-of": "panier"}, "includeTemplates": True}],
    }
    if base.name == "base":  # which has no namespace yet, as every overlay has
        shutil.copy(DEV / "namespace.yaml", folder)
        kustomization["resources"] = ["namespace.yaml", path(base)]
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization), encoding="utf-8")
    return render(folder)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda path: path.name)
def test_a_component_fits_the_bare_base(component: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "bare").mkdir()
    base = ROOT / "deploy" / "k8s" / "base"
    objects, bare = combined(base, {component.name}, tmp_path), combined(base, set(), tmp_path / "bare")
    changed = [one for one in objects if one not in bare]
    assert changed
    assert [line for one in changed for line in errors_of(one)] == []
    # What an overlay adds: its namespace and its images' versions.
    of_overlays = {everything_is_labelled_and_in_one_namespace, images_have_a_version}
    assert [line for rule in RULES if rule not in of_overlays for line in rule(objects)] == []


def needed(parts: set[str]) -> set[str]:
    """These parts and all that they need."""
    more = parts.union(*(NEEDS.get(part, set()) for part in parts))
    return more if more == parts else needed(more)


@pytest.mark.parametrize("part", sorted(NAMES))
def test_dev_may_take_any_part_with_what_it_needs(part: str, tmp_path: pathlib.Path) -> None:
    assert all_problems(combined(DEV, needed({part}), tmp_path)) == []


@pytest.mark.parametrize("part", sorted(NEEDS))
def test_what_a_part_needs_is_missed_without_it(part: str, tmp_path: pathlib.Path) -> None:
    assert all_problems(combined(DEV, {part}, tmp_path))


@pytest.mark.parametrize("part", sorted(NAMES - set().union(*NEEDS.values())))
def test_an_overlay_may_leave_any_part_that_no_other_needs(part: str, tmp_path: pathlib.Path) -> None:
    assert all_problems(combined(DEV, NAMES - {part}, tmp_path)) == []


def not_taken(kustomization: str) -> set[str]:
    """Components that this overlay leaves out, and what it takes that is none."""
    taken = set(re.findall(r"^ +- \.\./\.\./components/(\S+)$", kustomization, re.M))
    return {path.name for path in COMPONENTS} ^ taken


def test_every_component_is_in_production() -> None:
    kustomization = (PRODUCTION / "kustomization.yaml").read_text("utf-8")
    assert not_taken(kustomization) == set()
    assert not_taken(kustomization.replace("components/monitoring", "components/minotoring")) == {
        "monitoring",
        "minotoring",
    }


# Each rule finds its fault.

Fault = Callable[[dict[str, Object]], object]
CART, INGEST, SALES = "Deployment panier-cart", "Deployment panier-ingest", "Deployment panier-sales"
MIGRATION = "Job panier-migrate-cart"
WAY_OUT = "NetworkPolicy panier-engines"


def pod(objects: dict[str, Object], name: str = CART) -> Object:
    found: Object = objects[name]["spec"]["template"]["spec"]
    return found


def container(objects: dict[str, Object], name: str = CART) -> Object:
    found: Object = pod(objects, name)["containers"][0]
    return found


def env(objects: dict[str, Object], variable: str, **given: object) -> None:
    """Replace one variable of the cart; without a value it is taken away."""
    others = [one for one in container(objects)["env"] if one["name"] != variable]
    container(objects)["env"] = [*others, *([{"name": variable, **given}] if given else [])]


def unlabel(objects: dict[str, Object], mode: str) -> None:
    [namespace] = [one for one in objects.values() if one["kind"] == "Namespace"]
    namespace["metadata"]["labels"].pop(f"pod-security.kubernetes.io/{mode}")


def scale(objects: dict[str, Object], name: str) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    metadata = {"name": name, "namespace": "panier-dev"}
    objects["more"] = {"kind": "ScaledObject", "metadata": metadata, "spec": {"scaleTargetRef": target}}


FAULTS: list[tuple[Callable[..., Any], str, Fault]] = [
    (names_are_used_once, "panier-cart is there 2 times", lambda o: o.update(again=copy.deepcopy(o[CART]))),
    (
        everything_is_labelled_and_in_one_namespace,
        "panier-cart is not labelled",
        lambda o: o[CART]["metadata"]["labels"].pop("app.kubernetes.io/part-of"),
    ),
    (
        everything_is_labelled_and_in_one_namespace,
        "panier-ingest is not labelled",
        lambda o: o["Service panier-ingest"]["metadata"]["labels"].pop("app.kubernetes.io/name"),
    ),
    (
        everything_is_labelled_and_in_one_namespace,
        "panier-settings is in another namespace",
        lambda o: o["ConfigMap panier-settings"]["metadata"].update(namespace="default"),
    ),
    (everything_is_labelled_and_in_one_namespace, "0 namespaces", lambda o: o.pop("Namespace panier-dev")),
    (everything_runs_and_every_database_is_migrated, "Job panier-migrate-cart is m", lambda o: o.pop(MIGRATION)),
    (
        everything_runs_and_every_database_is_migrated,
        "nobody knows Deployment panier-carte",
        lambda o: o[CART]["metadata"].update(name="panier-carte"),
    ),
    (sales_never_runs_twice, "may run twice", lambda o: o[SALES]["spec"].update(replicas=2)),
    (sales_never_runs_twice, "may run twice", lambda o: o[SALES]["spec"]["strategy"].update(type="RollingUpdate")),
    (sales_never_runs_twice, "scales sales", lambda o: scale(o, "panier-sales")),
    (no_secret_is_written_down, "PANIER_ADMIN_TOKEN", lambda o: env(o, "PANIER_ADMIN_TOKEN", value="hunter2")),
    (no_secret_is_written_down, "TOKENS_FOLDER", lambda o: env(o, "PANIER_TOKENS_FOLDER", value="hunter2")),
    (no_secret_is_written_down, "BROKER", lambda o: env(o, "BROKER", value="sasl://panier:hunter2@kafka")),
    (
        no_secret_is_written_down,
        "PANIER_META_APP_SECRET",
        lambda o: o["ConfigMap panier-settings"]["data"].update(PANIER_META_APP_SECRET="hunter2"),
    ),
    (no_secret_is_written_down, "Secret", lambda o: o["Service panier-ingest"].update(kind="Secret")),
    (pods_are_restricted, "as root", lambda o: pod(o)["securityContext"].pop("runAsNonRoot")),
    (pods_are_restricted, "unconfined", lambda o: pod(o, INGEST)["securityContext"].pop("seccompProfile")),
    (pods_are_restricted, "token", lambda o: pod(o).pop("automountServiceAccountToken")),
    (pods_are_restricted, "host", lambda o: pod(o).update(hostNetwork=True)),
    (pods_are_restricted, "locked", lambda o: container(o)["securityContext"].update(readOnlyRootFilesystem=False)),
    (pods_are_restricted, "locked", lambda o: container(o, "Job panier-topics").pop("securityContext")),
    (namespaces_refuse_other_pods, "not enforce", lambda o: unlabel(o, "enforce")),
    (namespaces_refuse_other_pods, "not warn", lambda o: unlabel(o, "warn")),
    (service_links_are_off, "overwrite", lambda o: pod(o).pop("enableServiceLinks")),
    (resources_are_bounded, "limits without memory", lambda o: container(o)["resources"]["limits"].pop("memory")),
    (probes_name_ports, "readinessProbe", lambda o: container(o)["readinessProbe"]["httpGet"].update(port="http")),
    (probes_name_ports, "livenessProbe", lambda o: container(o).pop("livenessProbe")),
    (ports_are_those_listened_on, "9091", lambda o: container(o)["ports"][0].update(containerPort=9091)),
    (
        selectors_hit,
        "no pod",
        lambda o: o["Service panier-ingest"]["spec"]["selector"].update({"app.kubernetes.io/name": "door"}),
    ),
    (
        selectors_hit,
        "Deployment panier-cart selects",
        lambda o: o[CART]["spec"]["selector"]["matchLabels"].pop("app.kubernetes.io/name"),
    ),
    (
        admin_ports_stay_inside,
        "Service panier-ingest opens",
        lambda o: o["Service panier-ingest"]["spec"]["ports"].append({"port": 9090, "targetPort": "admin"}),
    ),
    (
        who_is_not_ready_can_be_asked_why,
        "Service panier-cart-admin hides",
        lambda o: o["Service panier-cart-admin"]["spec"].pop("publishNotReadyAddresses"),
    ),
    (
        who_is_not_ready_can_be_asked_why,
        "Service panier-ingest leads customers to",
        lambda o: o["Service panier-ingest"]["spec"].update(publishNotReadyAddresses=True),
    ),
    (settings_are_known_and_whole, "does not know", lambda o: env(o, "PANIER_CART_ADMIN_PROT", value="9090")),
    (settings_are_known_and_whole, "PANIER_CART_DATABASE_URL is m", lambda o: env(o, "PANIER_CART_DATABASE_URL")),
    (
        settings_are_known_and_whole,
        "does not come from a Secret",
        lambda o: env(o, "PANIER_ADMIN_TOKEN", valueFrom={"configMapKeyRef": {"name": "x", "key": "y"}}),
    ),
    (stopping_takes_long_enough, "killed", lambda o: pod(o).update(terminationGracePeriodSeconds=20)),
    (
        stopping_takes_long_enough,
        "killed",
        lambda o: container(o, INGEST)["lifecycle"]["preStop"]["sleep"].update(seconds=10),
    ),
    (images_have_a_version, "no version", lambda o: container(o).update(image="panier-cart:latest")),
    (images_have_a_version, "no version", lambda o: container(o).update(image="registry:5000/panier-cart")),
    *PLATFORM_FAULTS,
]


@pytest.mark.parametrize(
    ("rule", "says", "fault"), FAULTS, ids=[f"{rule.__name__}: {says}" for rule, says, _ in FAULTS]
)
def test_a_planted_fault_is_found(rule: Callable[..., Any], says: str, fault: Fault) -> None:
    objects = {name_of(one): one for one in render(DEV if rule in RULES else PRODUCTION)}
    assert list(rule(list(objects.values()))) == []
    fault(objects)
    assert says in "\n".join(rule(list(objects.values())))


def test_dev_without_its_way_to_the_engines_is_found() -> None:
    """Its engines are in other namespaces, where the base leads to none."""
    found = list(platform_rules.engines_are_reached([one for one in render(DEV) if name_of(one) != WAY_OUT]))
    [database] = [line for line in found if line.startswith("Job panier-migrate-cart")]
    assert database.endswith("does not reach postgres.postgres:5432, its PANIER_CART_DATABASE_URL")
    kafka = {line.split(":")[0] for line in found if "not reach kafka-kafka-bootstrap.kafka:9092" in line}
    assert kafka == {
        "Job panier-topics",
        "CronJob panier-operator",
        *(f"Deployment panier-{service}" for service in SERVICES),
    }


def test_every_rule_has_a_fault_that_it_finds() -> None:
    assert {rule for rule, _, _ in FAULTS} == {*RULES, *platform_rules.RULES, *operator_rules.RULES}


REFERENCES: list[tuple[str, Fault]] = [
    ("panier-admin word", lambda o: env(o, "X", valueFrom={"secretKeyRef": {"name": "panier-admin", "key": "word"}})),
    ("panier-other", lambda o: container(o).update(envFrom=[{"configMapRef": {"name": "panier-other"}}])),
    ("panier-tokens", lambda o: pod(o).update(volumes=[{"name": "t", "secret": {"secretName": "panier-tokens"}}])),
    ("volumes and mounts", lambda o: container(o, "Deployment panier-catalog").pop("volumeMounts")),
    ("ServiceAccount", lambda o: pod(o).update(serviceAccountName="default")),
]


@pytest.mark.parametrize(("says", "fault"), REFERENCES, ids=[says for says, _ in REFERENCES])
def test_a_reference_to_nothing_is_found(says: str, fault: Fault) -> None:
    objects = {name_of(one): one for one in render(DEV)}
    fault(objects)
    assert says in "\n".join(references_exist(list(objects.values()), documented()))


def test_a_misspelt_field_is_found() -> None:
    objects = {name_of(one): one for one in render(PRODUCTION)}
    pod(objects)["terminationGracePeriod"] = 30
    assert "terminationGracePeriod" in "".join(errors_of(objects[CART]))
    objects["Kafka panier"]["spec"]["kafka"]["listeners"][0]["tsl"] = True
    assert "'tsl'" in "".join(errors_of(objects["Kafka panier"]))
    objects["ScaledObject panier-cart"]["spec"]["maxReplicas"] = 3
    assert "'maxReplicas'" in "".join(errors_of(objects["ScaledObject panier-cart"]))
    objects["Cluster panier-cart-db"]["spec"]["postgresql"]["synchronous"]["method"] = "some"
    assert "'some'" in "".join(errors_of(objects["Cluster panier-cart-db"]))
    objects["ScheduledBackup panier-cart-db"]["spec"]["cron"] = "0 0 2 * * *"
    assert "'cron'" in "".join(errors_of(objects["ScheduledBackup panier-cart-db"]))
    objects["ObjectStore panier-postgres"]["spec"]["configuration"]["destination"] = "s3://elsewhere/"
    assert "'destination'" in "".join(errors_of(objects["ObjectStore panier-postgres"]))


_spec = importlib.util.spec_from_file_location("refuse_tags", ROOT / "deploy" / "refuse_tags.py")
assert _spec is not None
assert _spec.loader is not None
refuse_tags = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(refuse_tags)


def test_a_released_overlay_has_digests() -> None:
    digest = "@sha256:" + 64 * "a"
    released = f"        image: registry.example/panier-cart{digest}\n  - image: panier-cli{digest}\n"
    assert refuse_tags.tagged(released) == []
    assert refuse_tags.tagged(released + "    image: registry.example/panier-sales:0.1.0\n") == [
        "registry.example/panier-sales:0.1.0"
    ]
    assert refuse_tags.tagged(released + "    - image: panier-cart\n") == ["panier-cart"]
    assert refuse_tags.tagged("kind: Namespace\n") == ["no image of ours at all"]
