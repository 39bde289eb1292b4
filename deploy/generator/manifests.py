"""What of Kubernetes follows from the tables of the code: topics, users with their least rights, databases, scaling.

Pure: names and rights come from `panier_common.topics`, the loops from the list below, which a test compares with
the services' sources.
"""

from collections.abc import Iterator
from typing import Any

from alerts import WITH_DATABASE
from panier_common.kafka import MAX_RECORD_BYTES
from panier_common.topics import CHANGELOGS, DEFAULT_PARTITIONS, TOPICS, Topic

Manifest = dict[str, Any]

CLUSTER = "panier"
REPLICAS = 3
USERS = ("ingest", "catalog", "cart", "checkout", "sender", "sales", "console")
# Loops whose lag says that a service needs more processes; the others follow compacted or quiet topics.
SCALED = {
    "catalog": ("catalog.browsing", "catalog.stock"),
    "cart": ("cart.conversations",),
    "checkout": ("checkout.conversations", "checkout.payments"),
    "sender": ("sender.numbers",),
}
LAG_PER_PROCESS = 1000


def _object(api: str, kind: str, name: str, spec: Manifest, component: str, **labels: str) -> Manifest:
    own = {"app.kubernetes.io/name": name, "app.kubernetes.io/component": component, **labels}
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": own}, "spec": spec}


def _strimzi(kind: str, name: str, spec: Manifest, component: str) -> Manifest:
    labels = {"strimzi.io/cluster": CLUSTER}
    return _object("kafka.strimzi.io/v1", kind, name, spec, component, **labels)


def topic(of: Topic) -> Manifest:
    config: Manifest = {
        **of.settings,
        "max.message.bytes": MAX_RECORD_BYTES,
        "min.insync.replicas": REPLICAS - 1,
    }
    spec = {"partitions": DEFAULT_PARTITIONS, "replicas": REPLICAS, "config": config}
    return _strimzi("KafkaTopic", of.name, spec, "topic")


def _acl(kind: str, name: str, operations: list[str], pattern: str = "literal") -> Manifest:
    return {"resource": {"type": kind, "name": name, "patternType": pattern}, "operations": operations}


def rights(service: str) -> Iterator[Manifest]:
    """What a service may do: read and write the topics that the table gives it, in groups of its own."""
    for one in (*TOPICS, *CHANGELOGS):
        allowed = ["Read"] * (service in one.consumers) + ["Write"] * (service in one.producers)
        if allowed:
            yield _acl("topic", one.name, [*allowed, "Describe"])
    if service != "ingest":  # which follows its topics without a group
        yield _acl("group", f"panier.{service}", ["Read", "Describe"], "prefix")


def _user(name: str, acls: list[Manifest]) -> Manifest:
    spec = {"authentication": {"type": "tls"}, "authorization": {"type": "simple", "acls": acls}}
    return _strimzi("KafkaUser", name, spec, "kafka-user")


def users() -> Iterator[Manifest]:
    for service in USERS:
        yield _user(f"panier-{service}", list(rights(service)))
    # The topic operator makes the topics; the job only sees that none is missing.
    yield _user("panier-jobs", [_acl("topic", "panier.", ["Describe"], "prefix")])
    yield _user(
        "panier-keda",
        [
            _acl("topic", "panier.", ["Describe", "DescribeConfigs"], "prefix"),
            _acl("group", "panier.", ["Describe"], "prefix"),
        ],
    )
    # A person's shell inside: looks at all that is ours, reads for exports and restores, and writes nothing.
    yield _user(
        "panier-operator",
        [
            _acl("topic", "panier.", ["Read", "Describe", "DescribeConfigs"], "prefix"),
            _acl("group", "panier.", ["Describe"], "prefix"),
            {"resource": {"type": "cluster"}, "operations": ["Describe"]},  # to see who may do what
        ],
    )


def database(service: str) -> Manifest:
    """One cluster a service: they fail, are restored and grow each on their own. Sizes are patched by overlays.

    The owner is the migrating job alone; the service's role gets its rights from that job.
    """
    name = f"panier-{service}-db"
    role = f"panier_{service}"
    extensions = ["CREATE EXTENSION IF NOT EXISTS pg_trgm", "CREATE EXTENSION IF NOT EXISTS unaccent"]
    setup: Manifest = {
        "database": role,
        "owner": f"{role}_owner",
        "secret": {"name": f"panier-{service}-owner"},
        "encoding": "UTF8",
        "localeCollate": "C.UTF-8",
        "localeCType": "C.UTF-8",
        "postInitApplicationSQLRefs": {"configMapRefs": [{"name": "panier-postgres", "key": "monitoring.sql"}]},
    }
    if service == "catalog":
        setup["postInitApplicationSQL"] = extensions
    secret = {"name": f"panier-{service}-database"}
    roles = [{"name": role, "ensure": "present", "login": True, "passwordSecret": secret}]
    spec = {"bootstrap": {"initdb": setup}, "managed": {"roles": roles}}
    return _object("postgresql.cnpg.io/v1", "Cluster", name, spec, "database", **{"panier/of": service})


def backup(service: str) -> Manifest:
    spec = {
        "schedule": "0 0 2 * * *",
        "immediate": True,  # and once at its beginning: without a base, what is archived brings nothing back
        "backupOwnerReference": "cluster",
        "cluster": {"name": f"panier-{service}-db"},
        "method": "plugin",
        "pluginConfiguration": {"name": "barman-cloud.cloudnative-pg.io"},
    }
    return _object("postgresql.cnpg.io/v1", "ScheduledBackup", f"panier-{service}-db", spec, "database")


# In templates of External Secrets. `urlquery` makes a blank a plus, which no client of PostgreSQL reads as a blank.
_AS_IT_IS = "{{ .password }}"
_IN_URL = '{{ .password | urlquery | replace "+" "%20" }}'


def database_secrets(service: str) -> Iterator[Manifest]:
    """Names and passwords for PostgreSQL and the addresses for the service and the job that migrates its tables."""
    database = f"panier_{service}"
    for role, name, password in (
        (database, f"panier-{service}-database", service),
        (f"{database}_owner", f"panier-{service}-owner", f"{service}-owner"),
    ):
        url = f"postgresql://{role}:{_IN_URL}@panier-{service}-db-rw:5432/{database}?sslmode=require"
        spec = {
            "refreshInterval": "5m",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": "panier"},
            "target": {
                "template": {
                    "type": "kubernetes.io/basic-auth",
                    "metadata": {"labels": {"cnpg.io/reload": "true"}},
                    "data": {"username": role, "password": _AS_IT_IS, "url": url},
                }
            },
            "data": [{"secretKey": "password", "remoteRef": {"key": "panier/databases", "property": password}}],
        }
        yield _object("external-secrets.io/v1", "ExternalSecret", name, spec, "secret")


def scaling(service: str) -> Manifest:
    """More processes while records wait; never more than partitions, and slow to go back.

    Each change of their number moves partitions, and a moved partition stands still for a moment.
    """
    calm = {
        "scaleUp": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 120}]},
        "scaleDown": {
            "stabilizationWindowSeconds": 900,
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}],
        },
    }
    triggers = [
        {
            "type": "kafka",
            "authenticationRef": {"name": "panier-kafka"},
            "metadata": {
                # KEDA asks from its own namespace; the component puts ours in.
                "bootstrapServers": f"{CLUSTER}-kafka-bootstrap.NAMESPACE.svc:9093",
                "consumerGroup": f"panier.{loop}",
                "lagThreshold": str(LAG_PER_PROCESS),
                "allowIdleConsumers": "false",
                "excludePersistentLag": "true",
                "limitToPartitionsWithLag": "false",
                "offsetResetPolicy": "earliest",
                "tls": "enable",
            },
        }
        for loop in SCALED[service]
    ]
    spec = {
        "scaleTargetRef": {"name": f"panier-{service}"},
        "pollingInterval": 30,
        "cooldownPeriod": 900,
        "minReplicaCount": 2,
        "maxReplicaCount": DEFAULT_PARTITIONS,
        "fallback": {"failureThreshold": 5, "replicas": 4, "behavior": "currentReplicasIfHigher"},
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": calm}},
        "triggers": triggers,
    }
    return _object("keda.sh/v1alpha1", "ScaledObject", f"panier-{service}", spec, "autoscaling")


TLS_FOLDER = "/etc/panier/kafka"


def _client(kind: str, name: str, container: str, user: str) -> Manifest:
    """A patch: the brokers' authority and the user's certificate in one folder, as PANIER_KAFKA_TLS wants them."""
    sources = [
        {"secret": {"name": f"{CLUSTER}-cluster-ca-cert", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"secret": {"name": user, "items": [{"key": k, "path": k} for k in ("user.crt", "user.key")]}},
    ]
    mount = {"name": "kafka-tls", "mountPath": TLS_FOLDER, "readOnly": True}
    env = {"name": "PANIER_KAFKA_TLS", "value": TLS_FOLDER}
    pod = {
        "containers": [{"name": container, "env": [env], "volumeMounts": [mount]}],
        "volumes": [{"name": "kafka-tls", "projected": {"sources": sources}}],
    }
    api = "apps/v1" if kind == "Deployment" else "batch/v1"
    spec: Manifest = {"template": {"spec": pod}}
    spec = {"jobTemplate": {"spec": spec}} if kind == "CronJob" else spec
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}


def clients() -> Iterator[Manifest]:
    for service in USERS:
        yield _client("Deployment", f"panier-{service}", "service", f"panier-{service}")
    yield _client("Job", "panier-topics", "panier", "panier-jobs")
    yield _client("CronJob", "panier-operator", "panier", "panier-operator")


def manifests() -> dict[str, list[Manifest]]:
    """Every generated manifest by its path below deploy/k8s."""
    return {
        "platform/kafka/topics.yaml": [topic(one) for one in (*TOPICS, *CHANGELOGS)],
        "platform/kafka/users.yaml": list(users()),
        "platform/postgres/clusters.yaml": [database(service) for service in WITH_DATABASE],
        "platform/postgres/backups.yaml": [backup(service) for service in WITH_DATABASE],
        "components/external-secrets/databases.yaml": [
            secret for service in WITH_DATABASE for secret in database_secrets(service)
        ],
        "components/kafka-tls/clients.yaml": list(clients()),
        "components/autoscaling/scaled-objects.yaml": [scaling(service) for service in SCALED],
    }
