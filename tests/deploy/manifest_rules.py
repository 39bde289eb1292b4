"""What must hold of rendered manifests and no schema says; each rule yields one line for each thing wrong."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from known_settings import SERVICES, WITH_DATABASE, is_opentelemetry, settings_of

Object = dict[str, Any]
DRAIN_SECONDS = 20
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|DATABASE_URL|_KEY$")


def name_of(one: Object) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def workloads(objects: Iterable[Object]) -> Iterator[tuple[str, Object, Object]]:
    """(name, pod's metadata, pod's spec) of everything that runs."""
    for one in objects:
        spec = one.get("spec", {}).get("jobTemplate", one).get("spec", {})
        if "template" in spec:
            template = spec["template"]
            yield name_of(one), template["metadata"], template["spec"]


def containers(objects: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    for name, _, pod in workloads(objects):
        for container in pod["containers"]:
            yield name, container


def names_are_used_once(objects: list[Object]) -> Iterator[str]:
    for name, count in Counter(map(name_of, objects)).items():
        if count > 1:
            yield f"{name} is there {count} times"


def everything_is_labelled_and_in_one_namespace(objects: list[Object]) -> Iterator[str]:
    namespaces = [one["metadata"]["name"] for one in objects if one["kind"] == "Namespace"]
    if len(namespaces) != 1:
        yield f"{len(namespaces)} namespaces"
    for one in objects:
        metadata = one["metadata"]
        labels = metadata.get("labels", {})
        if one["kind"] in ("Namespace", "PriorityClass"):
            continue  # of the cluster, not of a namespace
        if metadata.get("namespace") not in namespaces:
            yield f"{name_of(one)} is in another namespace"
        if labels.get("app.kubernetes.io/part-of") != "panier" or "app.kubernetes.io/name" not in labels:
            yield f"{name_of(one)} is not labelled"


def everything_runs_and_every_database_is_migrated(objects: list[Object]) -> Iterator[str]:
    wanted = {f"Deployment panier-{service}" for service in SERVICES} | {"Job panier-topics", "CronJob panier-operator"}
    wanted |= {f"Job panier-migrate-{service}" for service in WITH_DATABASE}
    found = {name for name, _, _ in workloads(objects)} - {"Deployment panier-collector", "Deployment panier-jaeger"}
    yield from (f"{name} is missing" for name in sorted(wanted - found))
    yield from (f"nobody knows {name}" for name in sorted(found - wanted))


def sales_never_runs_twice(objects: list[Object]) -> Iterator[str]:
    """One process, the old one gone before the new one starts, and nobody who adds more."""
    for one in objects:
        if name_of(one) == "Deployment panier-sales":
            spec = one["spec"]
            if (spec.get("replicas"), spec.get("strategy", {}).get("type")) != (1, "Recreate"):
                yield f"{name_of(one)} may run twice"
        if one.get("spec", {}).get("scaleTargetRef", {}).get("name") == "panier-sales":
            yield f"{name_of(one)} scales sales"


def no_secret_is_written_down(objects: list[Object]) -> Iterator[str]:
    given = [
        (name, env["name"], env["value"])
        for name, c in containers(objects)
        for env in c.get("env", [])
        if "value" in env
    ]
    for one in objects:
        if one["kind"] == "Secret":
            yield f"{name_of(one)} is in the manifests"
        if one["kind"] == "ConfigMap":
            given += [(name_of(one), name, value) for name, value in one["data"].items()]
    for name, variable, value in given:
        says_where = variable.endswith(("_FILE", "_FOLDER")) and value.startswith("/")
        if (_SECRET_NAME.search(variable) and not says_where) or _PASSWORD_IN_URL.search(value):
            yield f"{name}: {variable} holds a secret"


def pods_are_restricted(objects: list[Object]) -> Iterator[str]:
    for name, _, pod in workloads(objects):
        context = pod.get("securityContext", {})
        wanted = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        if {key: context.get(key) for key in wanted} != wanted or not context.get("runAsUser", 0) > 0:
            yield f"{name}: the pod may run as root or unconfined"
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{name}: a token of the cluster is mounted"
        if pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC"):
            yield f"{name}: shares the host"
    for name, container in containers(objects):
        context = container.get("securityContext", {})
        locked = {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        if {key: context.get(key) for key in locked} != locked:
            yield f"{name}: the container is not locked down"


def namespaces_refuse_other_pods(objects: list[Object]) -> Iterator[str]:
    """By the cluster itself: what is not restricted is refused, and told to whoever applies it."""
    for one in objects:
        if one["kind"] == "Namespace":
            labels = one["metadata"].get("labels", {})
            for mode in ("enforce", "warn"):
                if labels.get(f"pod-security.kubernetes.io/{mode}") != "restricted":
                    yield f"{name_of(one)} does not {mode} restricted pods"


def service_links_are_off(objects: list[Object]) -> Iterator[str]:
    """A Service `panier-ingest` would set PANIER_INGEST_PORT to `tcp://…` in every pod of the namespace."""
    for name, _, pod in workloads(objects):
        if pod.get("enableServiceLinks") is not False:
            yield f"{name}: Services overwrite settings"


def resources_are_bounded(objects: list[Object]) -> Iterator[str]:
    for name, container in containers(objects):
        resources = container.get("resources", {})
        for kind in ("requests", "limits"):
            if missing := {"cpu", "memory"} - resources.get(kind, {}).keys():
                yield f"{name}: {kind} without {', '.join(sorted(missing))}"


def probes_name_ports(objects: list[Object]) -> Iterator[str]:
    """Alive never asks the engines: their trouble would end processes that wait for them."""
    ours = {name for name, _, _ in _services(objects)}
    paths = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for name, container in containers(objects):
        if name.startswith(("Job ", "CronJob ")):
            continue
        ports = {port["name"] for port in container["ports"]}
        for probe, path in paths.items():
            get = container.get(probe, {}).get("httpGet", {})
            if get.get("port") not in ports or (name in ours and get.get("path") != path):
                yield f"{name}: {probe} asks {get.get('path')} of port {get.get('port')}"


def ports_are_those_listened_on(objects: list[Object]) -> Iterator[str]:
    """A container port is the setting's default: nothing here moves it."""
    for name, service, container in _services(objects):
        settings = settings_of(service)
        names = {"admin": f"PANIER_{service.upper()}_ADMIN_PORT", "http": f"PANIER_{service.upper()}_PORT"}
        for port in container["ports"]:
            if settings[names[port["name"]]].default != port["containerPort"]:
                yield f"{name}: nobody listens on {port['containerPort']}"


def selectors_hit(objects: list[Object]) -> Iterator[str]:
    """A Deployment selects its own pods and no others; a Service pods that have the port it names."""
    pods = [(name, metadata["labels"], pod) for name, metadata, pod in workloads(objects)]
    for one in objects:
        if one["kind"] == "Deployment":
            selector = one["spec"]["selector"]["matchLabels"].items()
            hit = [name for name, labels, _ in pods if selector <= labels.items()]
            if hit != [name_of(one)]:
                yield f"{name_of(one)} selects {hit}"
        if one["kind"] == "Service":
            selector = one["spec"]["selector"].items()
            ports = {
                port["name"]
                for _, labels, pod in pods
                if selector <= labels.items()
                for c in pod["containers"]
                for port in c.get("ports", [])
            }
            for port in one["spec"]["ports"]:
                if port["targetPort"] not in ports:
                    yield f"{name_of(one)}: no pod has the port {port['targetPort']}"


def admin_ports_stay_inside(objects: list[Object]) -> Iterator[str]:
    """The Service of a public port has no admin port, so that no route can reach it."""
    for one in objects:
        if one["kind"] == "Service":
            ports = {port["targetPort"] for port in one["spec"]["ports"]}
            if one["spec"].get("type", "ClusterIP") != "ClusterIP" or ("admin" in ports and len(ports) > 1):
                yield f"{name_of(one)} opens {', '.join(sorted(ports))}"


def who_is_not_ready_can_be_asked_why(objects: list[Object]) -> Iterator[str]:
    """The Service of an admin port leads to every process, that of a public port to those that are ready alone."""
    for one in objects:
        if one["kind"] == "Service" and one["metadata"]["labels"].get("app.kubernetes.io/component") == "service":
            admin = "admin" in {port["targetPort"] for port in one["spec"]["ports"]}
            if one["spec"].get("publishNotReadyAddresses", False) is not admin:
                yield f"{name_of(one)} {'hides' if admin else 'leads customers to'} processes that are not ready"


def settings_are_known_and_whole(objects: list[Object]) -> Iterator[str]:
    shared = {n for one in objects if name_of(one) == "ConfigMap panier-settings" for n in one["data"]}
    for name, service, container in _services(objects):
        settings = settings_of(service)
        given = {env["name"] for env in container["env"]}
        if {"configMapRef": {"name": "panier-settings"}} in container.get("envFrom", []):
            given |= shared
        for variable in sorted(given - settings.keys()):
            if not is_opentelemetry(variable):
                yield f"{name}: {service} does not know {variable}"
        for variable, setting in settings.items():
            if setting.required and variable not in given:
                yield f"{name}: {variable} is missing"
        for env in container["env"]:
            if env["name"] in settings and settings[env["name"]].secret and "secretKeyRef" not in env["valueFrom"]:
                yield f"{name}: {env['name']} does not come from a Secret"


def references_exist(objects: list[Object], documented: set[tuple[str, str]]) -> Iterator[str]:
    """ConfigMaps of these manifests, else what the guide tells people to make: (name, key), key `*` for any."""
    here = {(one["metadata"]["name"], key) for one in objects if one["kind"] == "ConfigMap" for key in one["data"]}
    accounts = {one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"}
    known = here | documented | set(made_by_operators(objects))
    for name, _, pod in workloads(objects):
        if pod["serviceAccountName"] not in accounts:
            yield f"{name}: there is no ServiceAccount {pod['serviceAccountName']}"
        for reference, key in _references(pod):
            if not any(reference == other and (key == "*" or other_key in (key, "*")) for other, other_key in known):
                yield f"{name}: nobody makes {reference} {key}"
        mounts = {mount["name"] for c in pod["containers"] for mount in c.get("volumeMounts", [])}
        if mounts != {volume["name"] for volume in pod.get("volumes", [])}:
            yield f"{name}: volumes and mounts differ"


def made_by_operators(objects: list[Object]) -> Iterator[tuple[str, str]]:
    """Secrets that somebody else makes because of these objects: (name, key)."""
    for one in objects:
        name, spec = one["metadata"]["name"], one.get("spec", {})
        match one["kind"]:
            case "KafkaUser":
                yield from ((name, key) for key in ("user.crt", "user.key"))
            case "Kafka":
                yield f"{name}-cluster-ca-cert", "ca.crt"
            case "Certificate":
                yield spec["secretName"], "tls.crt"
            case "ExternalSecret":
                yield from ((name, entry["secretKey"]) for entry in spec.get("data", []))
                yield from ((name, key) for key in spec.get("target", {}).get("template", {}).get("data", {}))
                yield from ((name, "*") for _ in spec.get("dataFrom", []))


def stopping_takes_long_enough(objects: list[Object]) -> Iterator[str]:
    for name, _, pod in workloads(objects):
        before = max(
            c.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0) for c in pod["containers"]
        )
        if pod.get("terminationGracePeriodSeconds", 30) <= DRAIN_SECONDS + before:
            yield f"{name}: is killed while it drains"


def images_have_a_version(objects: list[Object]) -> Iterator[str]:
    for name, container in containers(objects):
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest") and "@sha256:" not in container["image"]:
            yield f"{name}: {container['image']} has no version"


def _services(objects: Iterable[Object]) -> Iterator[tuple[str, str, Object]]:
    """(name, service, container) of every Deployment of a service of ours."""
    for one in objects:
        labels = one["metadata"].get("labels", {})
        if one["kind"] == "Deployment" and labels.get("app.kubernetes.io/component") == "service":
            [container] = one["spec"]["template"]["spec"]["containers"]
            yield name_of(one), one["metadata"]["name"].removeprefix("panier-"), container


def _references(pod: Object) -> Iterator[tuple[str, str]]:
    for container in pod["containers"]:
        for source in container.get("envFrom", []):
            yield (source.get("configMapRef") or source["secretRef"])["name"], "*"
        for env in container.get("env", []):
            if "valueFrom" in env:
                [reference] = env["valueFrom"].values()
                yield reference["name"], reference["key"]
    for volume in pod.get("volumes", []):
        if "configMap" in volume:
            yield volume["configMap"]["name"], "*"
        if "secret" in volume:
            yield volume["secret"]["secretName"], "*"
        for source in volume.get("projected", {}).get("sources", []):
            yield from ((source["secret"]["name"], item["key"]) for item in source["secret"]["items"])


RULES = (
    names_are_used_once,
    everything_is_labelled_and_in_one_namespace,
    everything_runs_and_every_database_is_migrated,
    sales_never_runs_twice,
    no_secret_is_written_down,
    pods_are_restricted,
    namespaces_refuse_other_pods,
    service_links_are_off,
    resources_are_bounded,
    probes_name_ports,
    ports_are_those_listened_on,
    selectors_hit,
    admin_ports_stay_inside,
    who_is_not_ready_can_be_asked_why,
    settings_are_known_and_whole,
    stopping_takes_long_enough,
    images_have_a_version,
)
