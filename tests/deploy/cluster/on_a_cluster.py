"""The rendered overlays on a real API server, with the real controllers and scheduler, and nodes played by kwok.

Not found by a run over all tests, since its programs are built first: it is named on purpose. What kwok plays tells
nothing about our processes: a pod is ready as soon as it has a node. What is seen here is what the API server takes,
where the scheduler puts it, and what controllers and evictions leave running.
"""

import json
import pathlib
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from control_plane import ZONES, Cluster, running, wait_until
from definitions import definitions
from documented_commands import VERBS
from programs import cluster_programs
from render import render
from watched import is_ready, service_of, watching

Json = dict[str, Any]
OVERLAYS = pathlib.Path(__file__).parents[3] / "deploy" / "k8s" / "overlays"
NAMESPACES = {"dev": "panier-dev", "staging": "panier-staging", "production": "panier"}
HERE = NAMESPACES["production"]
# Starting includes building where nothing is built yet.
pytestmark = [pytest.mark.timeout(3600)]
A, ANY = "topology.kubernetes.io/zone=a", "topology.kubernetes.io/zone in (a, b, c)"
APPLY = ("apply", "--server-side", "--validate=strict", "-f", "-")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        made = definitions()
        cluster.done("apply", "--server-side", "-f", "-", given=_text(made))
        names = [f"crd/{one['metadata']['name']}" for one in made if one["kind"] == "CustomResourceDefinition"]
        cluster.done("wait", "--for=condition=Established", "--timeout=60s", *names)
        for name in OVERLAYS.iterdir():
            namespace = next(one for one in render(name) if one["kind"] == "Namespace")
            cluster.done("apply", "--server-side", "-f", "-", given=_text([namespace]))
        yield cluster


@pytest.fixture(scope="module")
def production(cluster: Cluster) -> Cluster:
    """With everything of production running, by the replicas that its autoscalers keep at least."""
    objects = render(OVERLAYS / "production")
    cluster.done(*APPLY, given=_text(objects))
    for one in objects:
        if one["kind"] == "ScaledObject":  # KEDA is not there to do it
            target, least = one["spec"]["scaleTargetRef"]["name"], one["spec"]["minReplicaCount"]
            cluster.done("-n", HERE, "scale", f"deployment/{target}", f"--replicas={least}")
    wait_until("all of production is ready", lambda: _is_settled(cluster))
    return cluster


def _text(objects: list[Json]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def _deployments(cluster: Cluster) -> dict[str, Json]:
    found = cluster.read(f"/apis/apps/v1/namespaces/{HERE}/deployments")["items"]
    return {one["metadata"]["labels"]["app.kubernetes.io/name"]: one for one in found}


def _services(cluster: Cluster) -> dict[str, Json]:
    component = "app.kubernetes.io/component"
    found = _deployments(cluster).items()
    return {name: one for name, one in found if one["metadata"]["labels"][component] == "service"}


def _pods(cluster: Cluster) -> list[Json]:
    found: list[Json] = cluster.read(f"/api/v1/namespaces/{HERE}/pods")["items"]
    return found


def _is_settled(cluster: Cluster) -> bool:
    """Every Deployment has what it wants, of its newest version and no other, and every autoscaler its least."""
    wanted = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"]["minReplicas"]
        for one in cluster.read(f"/apis/autoscaling/v2/namespaces/{HERE}/horizontalpodautoscalers")["items"]
    }
    for one in _deployments(cluster).values():
        spec, status = one["spec"], one["status"]
        counts = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")}
        is_newest = status.get("observedGeneration") == one["metadata"]["generation"]
        if counts != {spec["replicas"]} or not is_newest or spec["replicas"] < wanted.get(one["metadata"]["name"], 0):
            return False
    return True


def _zones(cluster: Cluster, service: str) -> Counter[str]:
    """How many pods of it each zone has."""
    nodes = Counter(p["spec"]["nodeName"] for p in _pods(cluster) if service_of(p) == service and is_ready(p))
    zones = Counter(dict.fromkeys(ZONES, 0))
    for node, count in nodes.items():
        zones[node[0]] += count
    return zones


@pytest.mark.parametrize("overlay", sorted(NAMESPACES))
def test_the_api_server_takes_every_object_and_warns_of_none(cluster: Cluster, overlay: str) -> None:
    objects = render(OVERLAYS / overlay)
    told = cluster.kubectl(*APPLY, given=_text(objects))
    assert (told.returncode, told.stderr) == (0, "")
    assert len(told.stdout.splitlines()) == len(objects)
    again = cluster.kubectl("diff", "--server-side", "-f", "-", given=_text(objects))
    assert (again.returncode, again.stdout) == (0, ""), "the same once more changes something"


FAULTS = {
    "terminationGracePeriod": ("Deployment", ("spec", "template", "spec", "terminationGracePeriod"), 30),
    "maxReplicas": ("ScaledObject", ("spec", "maxReplicas"), 3),
    "tsl": ("Kafka", ("spec", "kafka", "tsl"), True),
    "synchronous": ("Cluster", ("spec", "synchronous"), True),
    "TLS must be specified": ("Gateway", ("spec", "listeners", -1, "tls"), None),
}


@pytest.mark.parametrize("says", FAULTS)
def test_what_no_definition_knows_is_refused(cluster: Cluster, says: str) -> None:
    kind, path, value = FAULTS[says]
    one = next(one for one in render(OVERLAYS / "production") if one["kind"] == kind)
    *way, last = path
    within: Any = one
    for step in way:
        within = within[step]
    within[last] = value
    told = cluster.kubectl(*APPLY, "--dry-run=server", "--force-conflicts", given=_text([one]))
    assert told.returncode != 0
    assert str(last) in told.stderr, told.stderr


def test_a_pod_that_is_not_restricted_is_refused(cluster: Cluster) -> None:
    """Seen for each of the pods' own locks: without it, the namespace refuses that very pod."""
    objects = {(one["kind"], one["metadata"]["name"]): one for one in render(OVERLAYS / "production")}
    template = objects["Deployment", "panier-cart"]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": HERE}, "spec": template["spec"]}
    cluster.done("create", "--dry-run=server", "-f", "-", given=json.dumps(pod))
    for where, what in (
        (pod["spec"]["securityContext"], "runAsNonRoot"),
        (pod["spec"]["securityContext"], "seccompProfile"),
        (pod["spec"]["containers"][0]["securityContext"], "capabilities"),
        (pod["spec"]["containers"][0]["securityContext"], "allowPrivilegeEscalation"),
    ):
        kept = where.pop(what)
        told = cluster.kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(pod))
        where[what] = kept
        assert told.returncode != 0
        assert "violates PodSecurity" in told.stderr, told.stderr


def test_everything_runs_and_the_jobs_are_done(production: Cluster) -> None:
    jobs = production.read(f"/apis/batch/v1/namespaces/{HERE}/jobs")["items"]
    assert len(jobs) >= 6
    wait_until("the jobs are done", lambda: all(job["status"].get("succeeded") for job in _jobs(production)))
    assert len(_services(production)) == 7


def _jobs(cluster: Cluster) -> list[Json]:
    found: list[Json] = cluster.read(f"/apis/batch/v1/namespaces/{HERE}/jobs")["items"]
    return found


def test_each_service_is_spread_over_the_zones(production: Cluster) -> None:
    for service, one in _services(production).items():
        zones = _zones(production, service)
        assert zones.total() == one["spec"]["replicas"]
        assert max(zones.values()) - min(zones.values()) <= 1, (service, zones)
        assert len(+zones) == min(len(ZONES), one["spec"]["replicas"])


def test_a_roll_out_never_has_fewer_than_before_nor_two_more(production: Cluster) -> None:
    before = {service: one["spec"]["replicas"] for service, one in _services(production).items()}
    old = {pod["metadata"]["name"] for pod in _pods(production) if service_of(pod)}
    with watching(production, HERE) as watched:
        for service in before:
            production.done("-n", HERE, "rollout", "restart", f"deployment/panier-{service}")
        for service in before:
            production.done("-n", HERE, "rollout", "status", f"deployment/panier-{service}", "--timeout=180s")
    assert not old & {pod["metadata"]["name"] for pod in _pods(production)}
    print({service: (watched.least[service], watched.most[service]) for service in before})
    for service, replicas in before.items():
        if service == "sales":
            assert watched.at_once[service] == 1, "two of sales at once"
        else:
            assert watched.least[service] == replicas, service
            assert watched.most[service] <= replicas + 1, service


def test_a_zone_can_be_drained_and_is_missed_by_nobody(production: Cluster) -> None:
    before = {service: one["spec"]["replicas"] for service, one in _services(production).items()}
    with watching(production, HERE) as watched:
        production.done("drain", "-l", A, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=180s")
        wait_until("all is back", lambda: _is_settled(production))
    print({service: watched.least[service] for service in before})
    for service, replicas in before.items():
        assert watched.least[service] >= replicas - 1, service
        assert _zones(production, service)["a"] == 0


def test_with_a_zone_away_a_service_rolls_and_grows_in_the_others(production: Cluster) -> None:
    """After the drain: the zone is still cordoned."""
    production.done("-n", HERE, "scale", "deployment/panier-cart", "--replicas=6")
    production.done("-n", HERE, "rollout", "restart", "deployment/panier-cart")
    production.done("-n", HERE, "rollout", "status", "deployment/panier-cart", "--timeout=240s")
    zones = _zones(production, "cart")
    assert (zones["a"], zones["b"], zones["c"]) == (0, 3, 3)
    production.done("-n", HERE, "scale", "deployment/panier-cart", "--replicas=2")
    production.done("uncordon", "-l", A)
    wait_until("all is settled", lambda: _is_settled(production))


def test_no_second_pod_is_evicted_while_the_first_has_no_successor(production: Cluster) -> None:
    """Where there is room nowhere, a drain stops at the budget."""
    production.done("cordon", "-l", ANY)
    first, second, *_ = [pod["metadata"]["name"] for pod in _pods(production) if service_of(pod) == "cart"]
    try:
        assert _evict(production, first).returncode == 0
        wait_until("the first is gone", lambda: first not in {p["metadata"]["name"] for p in _pods(production)})
        told = _evict(production, second)
        assert told.returncode != 0
        assert "disruption budget" in told.stderr
    finally:
        production.done("uncordon", "-l", ANY)
    wait_until("all is back", lambda: _is_settled(production))


def _evict(cluster: Cluster, pod: str) -> Any:
    document = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": HERE}}
    path = f"/api/v1/namespaces/{HERE}/pods/{pod}/eviction"
    return cluster.kubectl("create", "--raw", path, "-f", "-", given=json.dumps(document))


def test_kubectl_has_the_verbs_and_options_of_the_documents() -> None:
    """The table by which every check reads the documents' lines is kubectl's own."""
    for verb, options in VERBS.items():
        asked = [cluster_programs() / "kubectl", *verb.split(), "--help"]
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        known = {one for pair in re.findall(r"^ +(?:(-\w), )?(--[\w-]+)=", told, re.M) for one in pair}
        wanted = {one for given in options for one in (("-i", "-t") if given == "-it" else (given,))}
        assert wanted <= known, f"{verb} has no {wanted - known}"
