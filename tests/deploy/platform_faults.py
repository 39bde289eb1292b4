"""One planted fault at least for each rule of platform_rules and operator_rules: what is wrong, what the rule says."""

from collections.abc import Callable
from typing import Any

import operator_rules
import platform_rules as rules
from manifest_rules import Object

Objects = dict[str, Object]
Fault = Callable[[Objects], object]


def _spec(objects: Objects, name: str) -> Any:
    return objects[name]["spec"]


def _egress(objects: Objects, policy: str) -> Any:
    return _spec(objects, f"NetworkPolicy {policy}")["egress"]


def _settings(objects: Objects) -> Any:
    return objects["ConfigMap panier-settings"]["data"]


def _rename_database(objects: Objects) -> None:
    _egress(objects, "panier-cart")[0]["to"][0]["podSelector"]["matchLabels"]["cnpg.io/cluster"] = "panier-sender-db"


def _configure(objects: Objects, old: str, new: str) -> None:
    [config] = [one for name, one in objects.items() if name.startswith("ConfigMap panier-collector")]
    assert old in config["data"]["collector-config.yaml"]
    config["data"]["collector-config.yaml"] = config["data"]["collector-config.yaml"].replace(old, new)


def _trigger(objects: Objects) -> Any:
    return _spec(objects, "ScaledObject panier-cart")["triggers"][0]["metadata"]


def _ask_every_copy(objects: Objects) -> None:
    asked = objects["ConfigMap panier-postgres"]["data"]
    asked["queries.yaml"] = asked["queries.yaml"].replace("  primary: true\n", "", 1)


def _kafka(objects: Objects) -> Any:
    return _spec(objects, "Kafka panier")["kafka"]


def _listener(objects: Objects, n: int) -> Any:
    return _spec(objects, "Gateway panier")["listeners"][n]


PLATFORM_FAULTS: list[tuple[Callable[..., Any], str, Fault]] = [
    (rules.engines_find_what_they_name, "panier-cart-database", lambda o: o.pop("ExternalSecret panier-cart-database")),
    (rules.engines_find_what_they_name, "panier-cart-owner", lambda o: o.pop("ExternalSecret panier-cart-owner")),
    (rules.engines_find_what_they_name, "monitoring.sql", lambda o: o.pop("ConfigMap panier-postgres")),
    (rules.engines_find_what_they_name, "panier-keda", lambda o: o.pop("KafkaUser panier-keda")),
    (rules.engines_find_what_they_name, "access-key-id", lambda o: o.pop("ExternalSecret panier-backups")),
    (rules.engines_find_what_they_name, "panier-work", lambda o: o.pop("PriorityClass panier-work")),
    (rules.engines_find_what_they_name, "panier-cart-db", lambda o: o.pop("Cluster panier-cart-db")),
    (
        rules.policies_hit_something,
        "is about no pod",
        lambda o: _spec(o, "NetworkPolicy panier-cart")["podSelector"]["matchLabels"].update({"x": "y"}),
    ),
    (
        rules.policies_hit_something,
        "opens port htpp",
        lambda o: _spec(o, "NetworkPolicy panier-ingest")["ingress"][0]["ports"][0].update(port="htpp"),
    ),
    (
        rules.policies_hit_something,
        "leads to nobody",
        lambda o: o.pop("Cluster panier-cart-db"),
    ),
    (
        rules.policies_hit_something,
        "leads to ports that nobody has",
        lambda o: _egress(o, "panier-cart")[0]["ports"][0].update(port=5433),
    ),
    (rules.pods_are_closed_both_ways, "open to or from everywhere", lambda o: o.pop("NetworkPolicy panier-nothing")),
    (rules.services_reach_their_database, "panier-sender-db", _rename_database),
    *(
        (rules.engines_are_reached, says, fault)
        for says, fault in (
            ("panier-cart: does not reach panier-cart-db-rw:5432", _rename_database),
            ("Job panier-migrate-cart: does not reach", lambda o: _egress(o, "panier-jobs").pop(2)),
            ("reach panier-kafka-bootstrap:9093", lambda o: _egress(o, "panier-every-service").pop(1)),
            (
                "reach kafka-kafka-bootstrap.kafka:9092",
                lambda o: _settings(o).update(PANIER_KAFKA_BOOTSTRAP_SERVERS="kafka-kafka-bootstrap.kafka:9092"),
            ),
            (
                "reach panier-collector:4318",
                lambda o: _spec(o, "NetworkPolicy panier-collector")["ingress"][0]["ports"][0].update(port="health"),
            ),
            (
                "panier-cart: does not reach panier-cart-db-rw:5432",
                lambda o: _spec(o, "NetworkPolicy panier-databases")["ingress"].pop(0),
            ),
            ("does not reach panier-cart-db-rw:5432", lambda o: o.pop("Cluster panier-cart-db")),
            ("panier-operator: does not reach panier-cart-admin:9090", lambda o: o.pop("Service panier-cart-admin")),
            (
                "panier-operator: does not reach panier-cart-admin:9090",
                lambda o: _spec(o, "NetworkPolicy panier-every-service")["ingress"].pop(),
            ),
            ("names no engine", lambda o: _settings(o).update(PANIER_KAFKA_BOOTSTRAP_SERVERS="kafka")),
        )
    ),
    (rules.drains_are_bounded, "may lose all", lambda o: o.pop("PodDisruptionBudget panier-cart")),
    (
        rules.drains_are_bounded,
        "not about the pods of one service",
        lambda o: _spec(o, "PodDisruptionBudget panier-cart")["selector"]["matchLabels"].pop("app.kubernetes.io/name"),
    ),
    (
        rules.services_are_spread,
        "not spread",
        lambda o: _spec(o, "Deployment panier-cart")["template"]["spec"].pop("topologySpreadConstraints"),
    ),
    (
        rules.services_are_spread,
        "that is away",
        lambda o: _spec(o, "Deployment panier-cart")["template"]["spec"]["topologySpreadConstraints"][0].pop(
            "nodeTaintsPolicy"
        ),
    ),
    (operator_rules.autoscalers_fit, "says itself", lambda o: _spec(o, "Deployment panier-cart").update(replicas=2)),
    (operator_rules.autoscalers_fit, "no loop reads", lambda o: _trigger(o).update(consumerGroup="panier.cart.talks")),
    (operator_rules.autoscalers_fit, "nothing to sign in", lambda o: o.pop("TriggerAuthentication panier-kafka")),
    (
        operator_rules.autoscalers_fit,
        "more processes than partitions",
        lambda o: _spec(o, "ScaledObject panier-cart").update(maxReplicaCount=24),
    ),
    (
        operator_rules.autoscalers_fit,
        "sales is one",
        lambda o: _spec(o, "ScaledObject panier-cart")["scaleTargetRef"].update(name="panier-sales"),
    ),
    (rules.routes_lead_somewhere, "listens for", lambda o: _listener(o, 1).update(hostname="hook.example.com")),
    (rules.routes_lead_somewhere, "nobody signs", lambda o: _listener(o, 1).update(hostname="hook.example.com")),
    (
        rules.routes_lead_somewhere,
        "no public port",
        lambda o: _spec(o, "HTTPRoute panier-ingest")["rules"][0]["backendRefs"][0].update(name="panier-ingest-admin"),
    ),
    (
        rules.routes_lead_somewhere,
        "waits for ever",
        lambda o: _spec(o, "HTTPRoute panier-ingest")["rules"][0].pop("timeouts"),
    ),
    (rules.routes_lead_somewhere, "there is no gateway panier", lambda o: o.pop("Gateway panier")),
    (
        rules.routes_lead_somewhere,
        "callers of /webhooks/whatsapp need no certificate",
        lambda o: _spec(o, "Gateway panier")["tls"]["frontend"]["default"]["validation"].pop("mode"),
    ),
    (
        rules.routes_lead_somewhere,
        "/webhooks/payments has callers without Meta's certificate",
        lambda o: _spec(o, "HTTPRoute panier-payments")["parentRefs"][0].update(sectionName="https"),
    ),
    (
        rules.figures_are_read,
        "has no port metrics",
        lambda o: _spec(o, "PodMonitor panier-services")["podMetricsEndpoints"][0].update(port="metrics"),
    ),
    (
        rules.figures_are_read,
        "nobody reads",
        lambda o: _spec(o, "PodMonitor panier-services")["selector"]["matchLabels"].update(
            {"app.kubernetes.io/name": "cart"}
        ),
    ),
    (rules.kafka_is_the_tables, "topics differ", lambda o: o.pop("KafkaTopic panier.cart.v1")),
    (
        rules.kafka_is_the_tables,
        "4 copies",
        lambda o: _spec(o, "KafkaTopic panier.cart.v1").update(replicas=4),
    ),
    (
        rules.kafka_is_the_tables,
        "different numbers of partitions: [12, 48]",
        lambda o: _spec(o, "KafkaTopic panier.cart.v1").update(partitions=48),
    ),
    (rules.kafka_is_the_tables, "in plain", lambda o: _kafka(o)["listeners"][0].update(tls=False)),
    (
        rules.kafka_is_the_tables,
        "belongs to no cluster",
        lambda o: o["KafkaUser panier-cart"]["metadata"]["labels"].pop("strimzi.io/cluster"),
    ),
    (
        rules.pipelines_are_closed,
        "processors batch",
        lambda o: _configure(o, "tail_sampling, batch]", "tail_sampling]"),
    ),
    (rules.pipelines_are_closed, "exporters otlp", lambda o: _configure(o, "[otlphttp]", "[otlp]")),
    (
        operator_rules.changes_fit_their_disk,
        "panier-cart-db: max_wal_size 4GB on 4Gi",
        lambda o: _spec(o, "Cluster panier-cart-db")["walStorage"].update(size="4Gi"),
    ),
    (
        operator_rules.databases_take_every_process,
        "panier-cart-db: 12 processes and others take 62 connections",
        lambda o: _spec(o, "Cluster panier-cart-db")["postgresql"]["parameters"].update(max_connections="60"),
    ),
    (operator_rules.rows_are_counted_once, "panier_outbox is asked of every copy", _ask_every_copy),
    (
        operator_rules.autoscalers_ask_our_brokers,
        "asks panier-kafka-bootstrap:9093",
        lambda o: _trigger(o).update(bootstrapServers="panier-kafka-bootstrap:9093"),
    ),
    (
        operator_rules.backups_have_a_folder_of_their_own,
        "archives to s3://panier-postgres/, as others may",
        lambda o: _spec(o, "ObjectStore panier-postgres")["configuration"].update(
            destinationPath="s3://panier-postgres/"
        ),
    ),
    (rules.pipelines_are_closed, "where nobody is", lambda o: _configure(o, "panier-jaeger:4318", "jaeger:4318")),
]
