"""The manifests for Kubernetes, rendered and checked without a cluster; each rule is seen to fail once."""

import copy
import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest
import yaml
from known_settings import SERVICES, WITH_DATABASE
from manifest_rules import (
    RULES,
    Object,
    admin_ports_stay_inside,
    images_have_a_version,
    name_of,
    no_secret_is_written_down,
    pods_are_restricted,
    ports_are_those_listened_on,
    probes_name_ports,
    references_exist,
    resources_are_bounded,
    selectors_hit,
    service_links_are_off,
    settings_are_known_and_whole,
    stopping_takes_long_enough,
    workloads,
)
from render import render

ROOT = pathlib.Path(__file__).parents[2]
BASE = ROOT / "deploy" / "k8s" / "base"
OVERLAYS = sorted(path for path in (ROOT / "deploy" / "k8s" / "overlays").iterdir() if path.is_dir())
KUBERNETES = "1.37"
GUIDE = ROOT / "docs" / "howto" / "kubernetes.md"


def documented() -> set[tuple[str, str]]:
    """(name, key) of what the guide's table tells people to make; `any` key is `*`."""
    rows = re.findall(r"^\| `(panier-[a-z-]+)` \| (?:Secret|ConfigMap) \| ([^|]+) \|", GUIDE.read_text("utf-8"), re.M)
    return {(name, key) for name, keys in rows for key in re.findall(r"`([^`]+)`", keys) or ["*"]}


def all_problems(objects: list[Object]) -> list[str]:
    return [line for rule in RULES for line in rule(objects)] + list(references_exist(objects, documented()))


@pytest.fixture(scope="module", params=OVERLAYS, ids=lambda path: path.name)
def overlay(request: pytest.FixtureRequest) -> list[Object]:
    return render(request.param)


def test_every_object_is_what_kubernetes_accepts(overlay: list[Object]) -> None:
    for one in overlay:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_nothing_is_wrong(overlay: list[Object]) -> None:
    assert all_problems(overlay) == []


def test_every_service_runs_and_every_database_is_migrated(overlay: list[Object]) -> None:
    expected = {f"Deployment panier-{service}" for service in SERVICES} | {"Job panier-topics"}
    expected |= {f"Job panier-migrate-{service}" for service in WITH_DATABASE}
    assert {name for name, _, _ in workloads(overlay)} == expected


def test_no_name_is_used_twice(overlay: list[Object]) -> None:
    names = [name_of(one) for one in overlay]
    assert len(names) == len(set(names))


def test_everything_is_labelled_and_in_one_namespace_that_is_restricted(overlay: list[Object]) -> None:
    [namespace] = [one for one in overlay if one["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for one in overlay:
        if one is not namespace:
            assert one["metadata"]["namespace"] == namespace["metadata"]["name"], name_of(one)
            assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "panier", name_of(one)
            assert "app.kubernetes.io/name" in one["metadata"]["labels"], name_of(one)


def test_sales_never_runs_twice(overlay: list[Object]) -> None:
    [sales] = [one for one in overlay if name_of(one) == "Deployment panier-sales"]
    assert (sales["spec"]["replicas"], sales["spec"]["strategy"]["type"]) == (1, "Recreate")


def kustomize_command() -> list[str] | None:
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    return None


@pytest.mark.skipif(kustomize_command() is None, reason="no kustomize: its output is our renderer's, checked elsewhere")
@pytest.mark.parametrize("folder", [BASE, *OVERLAYS], ids=lambda path: path.name)
def test_kustomize_renders_the_same(folder: pathlib.Path) -> None:
    """Our renderer is right, and what kustomize prints passes the same checks."""
    command = kustomize_command()
    assert command is not None
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = [one for one in yaml.safe_load_all(done.stdout) if one]
    assert comparable(printed) == comparable(render(folder))
    if folder != BASE:
        assert all_problems(printed) == []


def comparable(objects: list[Object]) -> dict[str, Any]:
    """By name, and without the order of lists whose elements have an identity."""

    def unordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: unordered(one) for key, one in value.items()}
        if isinstance(value, list):
            return sorted((unordered(one) for one in value), key=lambda one: yaml.safe_dump(one))
        return value

    return {name_of(one): unordered(one) for one in objects}


# Each rule finds its fault.

Fault = Callable[[dict[str, Object]], object]
CART, INGEST = "Deployment panier-cart", "Deployment panier-ingest"


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


FAULTS: list[tuple[Callable[..., Any], str, Fault]] = [
    (no_secret_is_written_down, "PANIER_ADMIN_TOKEN", lambda o: env(o, "PANIER_ADMIN_TOKEN", value="hunter2")),
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
]


@pytest.mark.parametrize(
    ("rule", "says", "fault"), FAULTS, ids=[f"{rule.__name__}: {says}" for rule, says, _ in FAULTS]
)
def test_a_planted_fault_is_found(rule: Callable[..., Any], says: str, fault: Fault) -> None:
    objects = copy.deepcopy({name_of(one): one for one in render(OVERLAYS[0])})
    assert list(rule(list(objects.values()))) == []
    fault(objects)
    assert says in "\n".join(rule(list(objects.values())))


REFERENCES: list[tuple[str, Fault]] = [
    ("panier-admin word", lambda o: env(o, "X", valueFrom={"secretKeyRef": {"name": "panier-admin", "key": "word"}})),
    ("panier-other", lambda o: container(o).update(envFrom=[{"configMapRef": {"name": "panier-other"}}])),
    ("volumes and mounts", lambda o: container(o, "Deployment panier-catalog").pop("volumeMounts")),
    ("ServiceAccount", lambda o: pod(o).update(serviceAccountName="default")),
]


@pytest.mark.parametrize(("says", "fault"), REFERENCES, ids=[says for says, _ in REFERENCES])
def test_a_reference_to_nothing_is_found(says: str, fault: Fault) -> None:
    objects = {name_of(one): one for one in render(OVERLAYS[0])}
    fault(objects)
    assert says in "\n".join(references_exist(list(objects.values()), documented()))


def test_a_misspelt_field_is_found() -> None:
    objects = {name_of(one): one for one in render(OVERLAYS[0])}
    pod(objects)["terminationGracePeriod"] = 30
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(objects[CART], KUBERNETES, strict=True)


def test_the_renderer_refuses_what_it_does_not_know(tmp_path: pathlib.Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\nnamePrefix: other-\n"
    )
    with pytest.raises(ValueError, match="namePrefix"):
        render(tmp_path)
