"""What must hold between the objects of a whole deployment; each rule yields one line for each thing wrong."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml
from known_settings import ROOT, WITH_DATABASE
from manifest_rules import Object, made_by_operators, name_of, workloads
from panier_common.topics import CHANGELOGS, TOPICS

Labels = dict[str, str]
_OURS = "app.kubernetes.io/part-of"


def of_kind(objects: Iterable[Object], *kinds: str) -> Iterator[Object]:
    return (one for one in objects if one["kind"] in kinds)


def named(objects: Iterable[Object], kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in of_kind(objects, kind)}


def pods(objects: list[Object]) -> Iterator[tuple[str, Labels, dict[str, int]]]:
    """(whose, labels, ports by name) of the pods, those included that operators make."""
    for name, metadata, pod in workloads(objects):
        ports = {p["name"]: p["containerPort"] for c in pod["containers"] for p in c.get("ports", [])}
        yield name, metadata["labels"], ports
    for one in of_kind(objects, "Kafka"):
        name = one["metadata"]["name"]
        ports = {listener["name"]: listener["port"] for listener in one["spec"]["kafka"]["listeners"]}
        yield name_of(one), {"strimzi.io/name": f"{name}-kafka"}, {**ports, "tcp-prometheus": 9404}
    for one in of_kind(objects, "Cluster"):
        labels = {"cnpg.io/cluster": one["metadata"]["name"]}
        yield name_of(one), labels, {"postgresql": 5432, "status": 8000, "metrics": 9187}


def selects(selector: Object, labels: Labels) -> bool:
    wanted = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "Exists", f"{expression}: not understood here"
        if expression["key"] not in labels:
            return False
    return True


def _hit(objects: list[Object], selector: Object) -> list[tuple[str, Labels, dict[str, int]]]:
    return [pod for pod in pods(objects) if selects(selector, pod[1])]


def _peers(policy: Object) -> Iterator[tuple[Object, list[Object]]]:
    """(podSelector, ports) of peers in the same namespace."""
    for rule in policy["spec"].get("egress", []):
        yield from ((p["podSelector"], rule.get("ports", [])) for p in rule.get("to", []) if _here(p))


def _here(peer: Object) -> bool:
    return "podSelector" in peer and "namespaceSelector" not in peer


def policies_hit_something(objects: list[Object]) -> Iterator[str]:
    """Where the engines are not part of it, peers among them cannot be checked."""
    whole = any(of_kind(objects, "Kafka"))
    for policy in of_kind(objects, "NetworkPolicy"):
        selected = _hit(objects, policy["spec"]["podSelector"])
        if not selected:
            yield f"{name_of(policy)}: is about no pod"
        for rule in policy["spec"].get("ingress", []):
            senders = [peer["podSelector"] for peer in rule.get("from", []) if _here(peer)]
            yield from (f"{name_of(policy)}: lets nobody in" for s in senders if not _hit(objects, s))
            yield from _ports_missing(policy, rule.get("ports", []), selected)
        for selector, ports in _peers(policy) if whole else ():
            receivers = _hit(objects, selector)
            if not receivers:
                yield f"{name_of(policy)}: leads to nobody ({selector})"
            numbers = {number for _, _, known in receivers for number in known.values()}
            if receivers and not numbers & {port["port"] for port in ports}:
                yield f"{name_of(policy)}: leads to ports that nobody has"


def _ports_missing(policy: Object, ports: list[Object], selected: list[Any]) -> Iterator[str]:
    for port in ports:
        if not any(port["port"] in {*known, *known.values()} for _, _, known in selected):
            yield f"{name_of(policy)}: opens port {port['port']}, which no pod has"


def pods_are_closed_both_ways(objects: list[Object]) -> Iterator[str]:
    policies = list(of_kind(objects, "NetworkPolicy"))
    for name, metadata, _ in workloads(objects):
        ways = {
            way
            for policy in policies
            if selects(policy["spec"]["podSelector"], metadata["labels"])
            for way in policy["spec"]["policyTypes"]
        }
        if ways != {"Ingress", "Egress"}:
            yield f"{name}: open to or from everywhere"


def services_reach_their_database(objects: list[Object]) -> Iterator[str]:
    policies = list(of_kind(objects, "NetworkPolicy"))
    for name, metadata, _ in workloads(objects):
        service = name.removeprefix("Deployment panier-")
        if service not in WITH_DATABASE:
            continue
        reached = {
            selector.get("matchLabels", {}).get("cnpg.io/cluster")
            for policy in policies
            if selects(policy["spec"]["podSelector"], metadata["labels"])
            for selector, _ in _peers(policy)
        }
        if reached - {None} != {f"panier-{service}-db"}:
            yield f"{name}: reaches {sorted(map(str, reached - {None}))} as its database"


_NAMES_AN_ENGINE = re.compile(r"_(BOOTSTRAP_SERVERS|DATABASE_URL|OTLP_ENDPOINT|ADMIN_URL)$")
_HOST_AND_PORT = re.compile(r"(?:^|[,@/])([a-z0-9.-]+):(\d+)(?=$|[,/])")
GUIDE = ROOT / "docs" / "howto" / "kubernetes.md"


def engines_are_reached(objects: list[Object]) -> Iterator[str]:
    """What settings and URLs name as an engine is there, and policies let the pod that is told it out and in there."""
    told: dict[tuple[str, str], str] = {}
    for one in of_kind(objects, "ConfigMap"):
        told |= {(one["metadata"]["name"], key): value for key, value in one["data"].items()}
    for one in of_kind(objects, "ExternalSecret"):
        made = one["spec"].get("target", {}).get("template", {}).get("data", {})
        told |= {(one["metadata"]["name"], key): value for key, value in made.items()}
    for name, metadata, pod in workloads(objects):
        for variable, value in _engines_of(pod, told):
            addresses = _HOST_AND_PORT.findall(value)
            if not addresses:
                yield f"{name}: {variable} names no engine"
            for host, port in addresses:
                if not _is_reached(objects, metadata["labels"], host, int(port)):
                    yield f"{name}: does not reach {host}:{port}, its {variable}"


def _engines_of(pod: Object, told: dict[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
    """(variable, what it is set to). A Secret that people make is as the guide's table says."""
    [by_hand, *_] = re.findall(r"`(postgresql://[^`]+)`", GUIDE.read_text("utf-8"))
    for container in pod["containers"]:
        for source in container.get("envFrom", []):
            whole = source.get("configMapRef", {}).get("name")
            yield from (
                (key, value) for (of, key), value in told.items() if of == whole and _NAMES_AN_ENGINE.search(key)
            )
        for env in container.get("env", []):
            if _NAMES_AN_ENGINE.search(env["name"]) and "value" in env:
                yield env["name"], env["value"]
            elif _NAMES_AN_ENGINE.search(env["name"]):
                [reference] = env["valueFrom"].values()
                yield env["name"], told.get((reference["name"], reference["key"]), by_hand)


def _is_reached(objects: list[Object], sender: Labels, host: str, port: int) -> bool:
    """Out of the sender's pod, and into the engine's where that is in the same namespace."""
    name, _, namespace = host.partition(".")
    if namespace:
        return _opens(objects, "Egress", sender, _by_operators(name), {port}, namespace)
    return any(
        _opens(objects, "Egress", sender, receiver, ports, "")
        and _opens(objects, "Ingress", receiver, sender, ports, "")
        for receiver, ports in _behind(objects, name, port)
    )


def _by_operators(name: str) -> Labels:
    """The label of the pods behind a Service that an operator makes."""
    if name.endswith("-kafka-bootstrap"):
        return {"strimzi.io/name": name.removesuffix("-bootstrap")}
    return {"cnpg.io/cluster": name.removesuffix("-rw")} if name.endswith("-db-rw") else {}


def _behind(objects: list[Object], name: str, port: int) -> Iterator[tuple[Labels, set[int | str]]]:
    """The pods behind a Service of this namespace, with the number and the name that the port has there."""
    spec = {"selector": _by_operators(name), "ports": [{"port": port, "targetPort": port}]}
    spec = named(objects, "Service").get(name, {"spec": spec})["spec"]
    for _, labels, known in _hit(objects, {"matchLabels": spec["selector"]}) if spec["selector"] else ():
        targets = {one["targetPort"] for one in spec["ports"] if one["port"] == port}
        both: list[set[int | str]] = [{number, own} for own, number in known.items()]
        yield from ((labels, names) for names in both if targets & names)


def _opens(objects: list[Object], way: str, of: Labels, other: Labels, ports: set[int | str], namespace: str) -> bool:
    """Whether policies let pods `of` speak that way with pods `other`. What no policy is about is open."""
    policies = [one["spec"] for one in of_kind(objects, "NetworkPolicy") if way in one["spec"]["policyTypes"]]
    about = [spec for spec in policies if selects(spec["podSelector"], of)]
    rules = [rule for spec in about for rule in spec.get(way.lower(), [])]
    return not about or any(
        any(port["port"] in ports for port in rule["ports"]) and _is_peer(peer, other, namespace)
        for rule in rules
        for peer in rule.get("to" if way == "Egress" else "from", [])
    )


def _is_peer(peer: Object, labels: Labels, namespace: str) -> bool:
    wanted = {"matchLabels": {"kubernetes.io/metadata.name": namespace}} if namespace else None
    return (
        "ipBlock" not in peer
        and peer.get("namespaceSelector") == wanted
        and selects(peer.get("podSelector", {}), labels)
    )


def drains_are_bounded(objects: list[Object]) -> Iterator[str]:
    """Every service has one budget that is about its pods and about no others."""
    budgets = list(of_kind(objects, "PodDisruptionBudget"))
    for budget in budgets:
        if len(_hit(objects, budget["spec"]["selector"])) != 1:
            yield f"{name_of(budget)}: is not about the pods of one service"
    for name, metadata, _ in workloads(objects):
        if metadata["labels"].get("app.kubernetes.io/component") == "service":
            of = [b for b in budgets if selects(b["spec"]["selector"], metadata["labels"])]
            if len(of) != 1 or of[0]["spec"].get("maxUnavailable") != 1:
                yield f"{name}: may lose all of its processes to a drain, or none"


def services_are_spread(objects: list[Object]) -> Iterator[str]:
    for name, metadata, pod in workloads(objects):
        if metadata["labels"].get("app.kubernetes.io/component") == "service":
            over = {spread["topologyKey"] for spread in pod.get("topologySpreadConstraints", [])}
            if over != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
                yield f"{name}: is not spread over zones and nodes"
            if any(spread.get("nodeTaintsPolicy") != "Honor" for spread in pod.get("topologySpreadConstraints", [])):
                yield f"{name}: a zone that is away keeps its pods from the others"


def routes_lead_somewhere(objects: list[Object]) -> Iterator[str]:
    gateways, services = named(objects, "Gateway"), named(objects, "Service")
    secrets = {name for name, _ in made_by_operators(objects)}
    hosts = {host for one in of_kind(objects, "Certificate") for host in one["spec"]["dnsNames"]}
    for route in of_kind(objects, "HTTPRoute"):
        for parent in route["spec"]["parentRefs"]:
            gateway = gateways.get(parent["name"], {"spec": {"listeners": []}})["spec"]
            listeners = [one for one in gateway["listeners"] if one["name"] == parent.get("sectionName")]
            hostnames = {one.get("hostname") for one in listeners}
            if hostnames != set(route["spec"]["hostnames"]):
                yield f"{name_of(route)}: its gateway listens for {sorted(map(str, hostnames))}"
            paths = {match["path"]["value"] for rule in route["spec"]["rules"] for match in rule["matches"]}
            for listener in listeners:
                yield from (f"{name_of(route)}: {wrong}" for wrong in _wrongly_asked(gateway, listener, paths))
        for rule in route["spec"]["rules"]:
            if not rule.get("timeouts", {}).get("request"):
                yield f"{name_of(route)}: waits for ever"
            for backend in rule["backendRefs"]:
                ports = {
                    p["port"]: p["name"] for p in services.get(backend["name"], {"spec": {}})["spec"].get("ports", [])
                }
                if ports.get(backend["port"]) != "http":
                    yield f"{name_of(route)}: {backend['name']}:{backend['port']} is no public port"
    for issuer in of_kind(objects, "Issuer"):
        for solver in issuer["spec"]["acme"]["solvers"]:
            asked = {parent["name"] for parent in solver["http01"]["gatewayHTTPRoute"]["parentRefs"]}
            yield from (f"{name_of(issuer)}: there is no gateway {name}" for name in sorted(asked - gateways.keys()))
    for gateway in gateways.values():
        for listener in gateway["spec"]["listeners"]:
            if listener["protocol"] == "HTTPS" and listener["hostname"] not in hosts:
                yield f"{name_of(gateway)}: nobody signs {listener['hostname']}"
            for reference in listener.get("tls", {}).get("certificateRefs", []):
                if reference["name"] not in secrets:
                    yield f"{name_of(gateway)}: nobody makes {reference['name']}"


def _wrongly_asked(gateway: Object, listener: Object, paths: set[str]) -> Iterator[str]:
    """Meta alone has a client certificate of Meta's, and Meta alone may call its path."""
    frontend = gateway["tls"]["frontend"]
    ports = {one["port"]: one["tls"] for one in frontend.get("perPort", [])}
    asked = ports.get(listener["port"], frontend["default"]).get("validation", {}).get("mode") == "AllowValidOnly"
    for path in sorted(paths):
        if asked and path != "/webhooks/whatsapp":
            yield f"{path} has callers without Meta's certificate"
        if not asked and path == "/webhooks/whatsapp":
            yield f"callers of {path} need no certificate"


def figures_are_read(objects: list[Object]) -> Iterator[str]:
    """Every PodMonitor finds pods with the port it names; every service is found by one."""
    monitors = list(of_kind(objects, "PodMonitor"))
    found: set[str] = set()
    for monitor in monitors:
        hit = _hit(objects, monitor["spec"]["selector"])
        found |= {name for name, _, _ in hit}
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            if not hit or not all(endpoint["port"] in ports for _, _, ports in hit):
                yield f"{name_of(monitor)}: some pod has no port {endpoint['port']}"
    for name, metadata, _ in workloads(objects) if monitors else ():
        if metadata["labels"].get("app.kubernetes.io/component") == "service" and name not in found:
            yield f"{name}: nobody reads its figures"


def kafka_is_the_tables(objects: list[Object]) -> Iterator[str]:
    """Topics are those of the code, hold what the brokers promise, and belong to the cluster that is there."""
    clusters = named(objects, "Kafka")
    for one in of_kind(objects, "KafkaTopic", "KafkaUser", "KafkaNodePool"):
        if one["metadata"]["labels"].get("strimzi.io/cluster") not in clusters:
            yield f"{name_of(one)}: belongs to no cluster"
    topics = named(objects, "KafkaTopic")
    if clusters and topics.keys() != {topic.name for topic in (*TOPICS, *CHANGELOGS)}:
        yield f"topics differ: {sorted(topics.keys() ^ {topic.name for topic in (*TOPICS, *CHANGELOGS)})}"
    if len(numbers := {topic["spec"]["partitions"] for topic in topics.values()}) > 1:
        yield f"topics have different numbers of partitions: {sorted(numbers)}"
    brokers = sum(p["spec"]["replicas"] for p in of_kind(objects, "KafkaNodePool") if "broker" in p["spec"]["roles"])
    for topic in topics.values():
        copies, least = topic["spec"]["replicas"], topic["spec"]["config"]["min.insync.replicas"]
        if not least < copies <= brokers or least < 2:
            yield f"{name_of(topic)}: {copies} copies, {least} acknowledged, on {brokers} brokers"
    for cluster in clusters.values():
        if any(not listener["tls"] for listener in cluster["spec"]["kafka"]["listeners"]):
            yield f"{name_of(cluster)}: can be spoken to in plain"


def pipelines_are_closed(objects: list[Object]) -> Iterator[str]:
    """A collector's configuration: what a pipeline names is there, what is there is named, what it sends to exists."""
    services = named(objects, "Service")
    for one in of_kind(objects, "ConfigMap"):
        for text in one["data"].values():
            config = yaml.safe_load(text) if "\npipelines:" in text or "pipelines:" in text else None
            if not isinstance(config, dict) or "service" not in config:
                continue
            pipelines = config["service"]["pipelines"].values()
            for section in ("receivers", "processors", "exporters"):
                used = {name for pipeline in pipelines for name in pipeline[section]}
                yield from (f"{name_of(one)}: {section} {n}" for n in sorted(used ^ set(config.get(section, {}))))
            if set(config["service"]["extensions"]) != set(config["extensions"]):
                yield f"{name_of(one)}: extensions differ"
            for exporter in config["exporters"].values():
                if (to := exporter.get("endpoint")) and re.split("[:/]+", to)[1] not in services:
                    yield f"{name_of(one)}: sends to {to}, where nobody is"


def engines_find_what_they_name(objects: list[Object]) -> Iterator[str]:
    """Secrets, ConfigMaps and others that custom resources and pods name, beside what pods mount."""
    made = set(made_by_operators(objects))
    configs = {(one["metadata"]["name"], key) for one in of_kind(objects, "ConfigMap") for key in one["data"]}
    stores, classes = named(objects, "ObjectStore"), named(objects, "PriorityClass")
    wanted: list[tuple[str, tuple[str, str], set[tuple[str, str]]]] = []
    for one in objects:
        spec, name = one.get("spec", {}), name_of(one)
        match one["kind"]:
            case "Cluster":
                setup = spec["bootstrap"]["initdb"]
                secrets = [setup["secret"], *(role["passwordSecret"] for role in spec["managed"]["roles"])]
                wanted += [(name, (of["name"], key), made) for of in secrets for key in ("username", "password")]
                references = [
                    *setup["postInitApplicationSQLRefs"]["configMapRefs"],
                    *spec["monitoring"]["customQueriesConfigMap"],
                ]
                wanted += [(name, (reference["name"], reference["key"]), configs) for reference in references]
                archive = spec["plugins"][0]["parameters"]["barmanObjectName"]
                wanted.append((name, (archive, ""), {(store, "") for store in stores}))
            case "ScheduledBackup":
                clusters = {(cluster, "") for cluster in named(objects, "Cluster")}
                wanted.append((name, (spec["cluster"]["name"], ""), clusters))
            case "ObjectStore":
                keys = spec["configuration"]["s3Credentials"].values()
                wanted += [(name, (key["name"], key["key"]), made) for key in keys]
            case "TriggerAuthentication":
                wanted += [(name, (key["name"], key["key"]), made) for key in spec["secretTargetRef"]]
            case "Kafka":
                reference = spec["kafka"]["metricsConfig"]["valueFrom"]["configMapKeyRef"]
                wanted.append((name, (reference["name"], reference["key"]), configs))
    for name, _, pod in workloads(objects):
        if "priorityClassName" in pod:
            wanted.append((name, (pod["priorityClassName"], ""), {(one, "") for one in classes}))
    yield from (f"{name}: nobody makes {' '.join(what)}" for name, what, there in wanted if what not in there)


RULES = (
    engines_find_what_they_name,
    policies_hit_something,
    pods_are_closed_both_ways,
    services_reach_their_database,
    engines_are_reached,
    drains_are_bounded,
    services_are_spread,
    routes_lead_somewhere,
    figures_are_read,
    kafka_is_the_tables,
    pipelines_are_closed,
)
