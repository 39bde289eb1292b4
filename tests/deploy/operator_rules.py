"""What operators refuse or take for something else, and no schema says; a rule yields one line for each thing wrong."""

import inspect
import re
from collections.abc import Iterator
from functools import cache

import yaml
from known_settings import ROOT
from manifest_rules import Object, name_of
from panier_common.postgres import create_pool
from panier_common.topics import DEFAULT_PARTITIONS
from platform_rules import named, of_kind

_UNITS = {"M": 2**20, "G": 2**30}
# Of a process, and what is left of a database's connections for all who are none of its service's processes: the
# operator, monitoring, the migrating job, people.
_POOL = inspect.signature(create_pool).parameters["size"].default
_OTHERS = 10


def _bytes(size: str) -> int:
    """PostgreSQL's GB is Kubernetes' Gi."""
    return int(size[:-2]) * _UNITS[size[-2]]


def changes_fit_their_disk(objects: list[Object]) -> Iterator[str]:
    """CloudNativePG refuses a cluster whose log of changes may grow to its volume's size."""
    for one in of_kind(objects, "Cluster"):
        most = one["spec"]["postgresql"]["parameters"].get("max_wal_size", "1GB")
        disk = one["spec"]["walStorage"]["size"]
        if not _bytes(most) < _bytes(disk):
            yield f"{name_of(one)}: max_wal_size {most} on {disk}"


def rows_are_counted_once(objects: list[Object]) -> Iterator[str]:
    """A database's own queries are about its rows, which every copy has: only the primary is asked."""
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}
    references = [r for one in of_kind(objects, "Cluster") for r in one["spec"]["monitoring"]["customQueriesConfigMap"]]
    for name, key in sorted({(reference["name"], reference["key"]) for reference in references}):
        for query, asked in yaml.safe_load(maps[name][key]).items():
            if asked.get("primary") is not True:
                yield f"{name}: {query} is asked of every copy"


@cache
def loops() -> set[str]:
    """Consumer groups of the services' loops, by their sources."""
    found = set()
    for path in (ROOT / "services").glob("*/src/**/*.py"):
        service = path.relative_to(ROOT).parts[1]
        found |= set(re.findall(rf'"({service}\.[a-z]+)"', path.read_text("utf-8")))
    return {f"panier.{loop}" for loop in found}


def autoscalers_fit(objects: list[Object]) -> Iterator[str]:
    """They scale what is there, nobody else says how many, groups exist, and no process is without partitions."""
    deployments = named(objects, "Deployment")
    partitions = min(
        (topic["spec"]["partitions"] for topic in of_kind(objects, "KafkaTopic")), default=DEFAULT_PARTITIONS
    )
    authentications = named(objects, "TriggerAuthentication")
    for scaler in of_kind(objects, "ScaledObject", "HorizontalPodAutoscaler"):
        target = deployments.get(scaler["spec"]["scaleTargetRef"]["name"])
        if target is None:
            yield f"{name_of(scaler)}: there is nothing to scale"
        elif "replicas" in target["spec"]:
            yield f"{name_of(scaler)}: {name_of(target)} says itself how many there are"
        for trigger in scaler["spec"].get("triggers", []):
            if trigger["metadata"]["consumerGroup"] not in loops():
                yield f"{name_of(scaler)}: no loop reads as {trigger['metadata']['consumerGroup']}"
            if trigger["authenticationRef"]["name"] not in authentications:
                yield f"{name_of(scaler)}: nothing to sign in with"
        if scaler["kind"] == "ScaledObject" and scaler["spec"]["maxReplicaCount"] > partitions:
            yield f"{name_of(scaler)}: more processes than partitions"
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind(objects, "ScaledObject")}
    if "panier-sales" in scaled:
        yield "sales is one process"


def databases_take_every_process(objects: list[Object]) -> Iterator[str]:
    """The most processes that there may be, and the one more of a roll-out, with all the connections they may have."""
    clusters = named(objects, "Cluster")
    for scaler in of_kind(objects, "ScaledObject", "HorizontalPodAutoscaler"):
        cluster = clusters.get(f"{scaler['spec']['scaleTargetRef']['name']}-db")
        if cluster is not None:
            most = scaler["spec"].get("maxReplicaCount") or scaler["spec"]["maxReplicas"]
            wanted = (most + 1) * _POOL + _OTHERS
            if int(cluster["spec"]["postgresql"]["parameters"]["max_connections"]) < wanted:
                yield f"{name_of(cluster)}: {most} processes and others take {wanted} connections"


def autoscalers_ask_our_brokers(objects: list[Object]) -> Iterator[str]:
    """KEDA asks from a namespace of its own, where a bare name is nobody's and another's may be somebody else's."""
    brokers = {
        f"{one['metadata']['name']}-kafka-bootstrap.{one['metadata']['namespace']}.svc:{listener['port']}"
        for one in of_kind(objects, "Kafka")
        for listener in one["spec"]["kafka"]["listeners"]
    }
    for one in of_kind(objects, "ScaledObject"):
        for trigger in one["spec"]["triggers"]:
            if trigger["metadata"]["bootstrapServers"] not in brokers:
                yield f"{name_of(one)}: asks {trigger['metadata']['bootstrapServers']}, not our brokers"


def backups_have_a_folder_of_their_own(objects: list[Object]) -> Iterator[str]:
    """Databases have the same names in every installation, and so have their archives."""
    for one in of_kind(objects, "ObjectStore"):
        instance = one["metadata"]["labels"].get("app.kubernetes.io/instance")
        path = one["spec"]["configuration"]["destinationPath"]
        if instance and not path.endswith(f"/{instance}/"):
            yield f"{name_of(one)}: archives to {path}, as others may"


RULES = (
    changes_fit_their_disk,
    rows_are_counted_once,
    autoscalers_fit,
    databases_take_every_process,
    autoscalers_ask_our_brokers,
    backups_have_a_folder_of_their_own,
)
