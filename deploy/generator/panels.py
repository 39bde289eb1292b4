"""What the dashboards show: a literal table of rows and panels with their queries, and nothing of Grafana. Pure.

`$service` is chosen by whoever looks; `$__rate_interval` is Grafana's.
"""

from dataclasses import dataclass
from typing import Literal

from objectives import OBJECTIVES

RATE = "$__rate_interval"


@dataclass(frozen=True)
class Panel:
    """`queries` are (PromQL, legend); a `stat` shows one figure, a `series` its course."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: Literal["series", "stat"] = "series"
    says: str = ""


@dataclass(frozen=True)
class Board:
    uid: str
    title: str
    says: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    by_service: bool = False


def quantiles(histogram: str, by: str = "", where: str = "") -> tuple[tuple[str, str], ...]:
    """Median and 99th percentile of a histogram, `by` a label."""
    group = f"le, {by}" if by else "le"
    legend = f"{{{{{by}}}}} " if by else ""
    return tuple(
        (
            f"histogram_quantile({q}, sum by ({group}) (rate({histogram}_bucket{where}[{RATE}])))",
            f"{legend}p{q * 100:g}",
        )
        for q in (0.5, 0.99)
    )


def one(expr: str, legend: str = "") -> tuple[tuple[str, str], ...]:
    return ((expr, legend),)


_ORDERS = (
    Panel("Orders placed, 24 h", "short", one('sum(increase(panier_orders_total{what="placed"}[24h]))'), "stat"),
    Panel("Orders paid, 24 h", "short", one('sum(increase(panier_orders_total{what="paid"}[24h]))'), "stat"),
    Panel(
        "Revenue, 24 h",
        "short",
        one('sum by (currency) (increase(panier_revenue_minor_total{what="paid"}[24h]))', "{{currency}}"),
        "stat",
        says="Of orders that a provider says are paid, in the currency's smallest unit: cents for EUR.",
    ),
    Panel("Payments that are no sale, 24 h", "short", one("sum(increase(panier_payment_problems_total[24h]))"), "stat"),
    Panel(
        "Money paid and refunded",
        "short",
        one(f"sum by (what, currency) (increase(panier_revenue_minor_total[{RATE}]))", "{{what}} {{currency}}"),
        says="In the currency's smallest unit: cents for EUR.",
    ),
    Panel("Steps of orders", "short", one(f"sum by (what) (increase(panier_orders_total[{RATE}]))", "{{what}}")),
)
_TRAFFIC = (
    Panel("What customers send", "cps", one(f"sum by (kind) (rate(panier_ingest_updates_total[{RATE}]))", "{{kind}}")),
    Panel(
        "Messages sent, by lane",
        "cps",
        one(f"sum by (lane) (rate(panier_send_latency_seconds_count[{RATE}]))", "{{lane}}"),
    ),
    Panel(
        "Messages to numbers of no shop", "cps", one(f"sum(rate(panier_ingest_unknown_number_messages_total[{RATE}]))")
    ),
    Panel("Products whose stock drifts", "short", one("max(cnpg_panier_stock_drifted)"), "stat"),
)
_PROMISES = tuple(
    Panel(
        f"Error budget burnt: {objective.promise}",
        "percentunit",
        tuple((f"{objective.ratio(window)} / {1 - objective.target:.4g}", window) for window in ("5m", "1h", "1d")),
        says="1 burns the budget of 30 days in 30 days; somebody is woken from 14.4 over an hour.",
    )
    for objective in OBJECTIVES
)
_WAY = (
    Panel("Customer's message to accepted reply", "s", quantiles("panier_reply_seconds")),
    Panel(
        "Webhooks, by status",
        "reqps",
        one(f"sum by (status) (rate(panier_ingest_webhooks_total[{RATE}]))", "{{status}}"),
    ),
    Panel("Lag", "s", one("max by (service) (panier_lag_seconds)", "{{service}}")),
    Panel("A batch's transaction", "s", quantiles("panier_batch_seconds", "service")[1:]),
    Panel("Decision to broker's acknowledgement", "s", quantiles("panier_publish_seconds", "service")[1:]),
    Panel("Request to Meta's acceptance", "s", quantiles("panier_send_latency_seconds", "lane")[1:]),
    Panel("Calls of payment providers", "s", quantiles("panier_provider_call_seconds", "provider")[1:]),
)
_OF = '{service=~"$service"}'
_WORK = (
    Panel("Ready processes", "short", one(f"sum by (service) (panier_ready{_OF})", "{{service}}"), "stat"),
    Panel(
        "Records taken",
        "cps",
        one(f"sum by (service, loop) (rate(panier_records_total{_OF}[{RATE}]))", "{{service}} {{loop}}"),
    ),
    Panel(
        "Events, by type",
        "cps",
        one(f"sum by (loop, type, outcome) (rate(panier_events_total{_OF}[{RATE}]))", "{{loop}} {{type}} {{outcome}}"),
        says="What each handler is given; how long handlers take is told by batch.",
    ),
    Panel("Lag in seconds", "s", one(f"max by (service, topic) (panier_lag_seconds{_OF})", "{{service}} {{topic}}")),
    Panel(
        "Lag in records", "short", one(f"sum by (service, topic) (panier_lag_records{_OF})", "{{service}} {{topic}}")
    ),
    Panel("A batch's transaction", "s", quantiles("panier_batch_seconds", "loop", _OF)),
    Panel("Until published", "s", quantiles("panier_publish_seconds", "loop", _OF)),
    Panel("Published", "cps", one(f"sum by (topic) (rate(panier_published_total{_OF}[{RATE}]))", "{{topic}}")),
)
_HEALTH = (
    Panel(
        "Repeats dropped",
        "cps",
        one(f"sum by (service, kind) (rate(panier_duplicates_total{_OF}[{RATE}]))", "{{service}} {{kind}}"),
    ),
    Panel(
        "Events nobody could digest",
        "cps",
        one(
            f'sum by (loop, type) (rate(panier_events_total{{service=~"$service",outcome!="taken"}}[{RATE}]))',
            "{{loop}} {{type}}",
        ),
    ),
    Panel(
        "Dead letters waiting",
        "short",
        one(f"sum by (service) (cnpg_panier_dead_letters_waiting{_OF})", "{{service}}"),
    ),
    Panel(
        "Oldest row of the outbox", "s", one(f"max by (service) (cnpg_panier_outbox_age_seconds{_OF})", "{{service}}")
    ),
    Panel("Engines waited for", "cps", one(f"sum by (service) (rate(panier_waits_total{_OF}[{RATE}]))", "{{service}}")),
    Panel("Processor", "percentunit", one(f"rate(process_cpu_seconds_total{_OF}[{RATE}])", "{{service}} {{pod}}")),
    Panel("Memory", "bytes", one(f"process_resident_memory_bytes{_OF}", "{{service}} {{pod}}")),
    Panel("Open files", "short", one(f"process_open_fds{_OF} / process_max_fds{_OF}", "{{service}} {{pod}}")),
)
_ENDPOINTS = (
    Panel(
        "Requests, by route",
        "reqps",
        one(
            f"sum by (service, method, route) (rate(panier_http_request_seconds_count{_OF}[{RATE}]))",
            "{{service}} {{method}} {{route}}",
        ),
    ),
    Panel(
        "Answered with an error of ours",
        "reqps",
        one(
            "sum by (service, route) "
            f'(rate(panier_http_request_seconds_count{{service=~"$service",status="5xx"}}[{RATE}]))',
            "{{service}} {{route}}",
        ),
    ),
    Panel("Time of a request", "s", quantiles("panier_http_request_seconds", "route", _OF)),
)
_DOOR = (
    Panel(
        "Records of one batch",
        "short",
        one(
            f"rate(panier_ingest_batch_records_total[{RATE}]) / rate(panier_ingest_batches_total[{RATE}])",
            "{{topic}}",
        ),
    ),
    Panel(
        "Time of one batch",
        "s",
        one(
            f"rate(panier_ingest_batch_seconds_total[{RATE}]) / rate(panier_ingest_batches_total[{RATE}])",
            "{{topic}}",
        ),
    ),
    Panel(
        "Payment notifications",
        "reqps",
        one(f"sum by (status) (rate(panier_ingest_payment_notifications_total[{RATE}]))", "{{status}}"),
    ),
)
_BROKERS = (
    Panel(
        "Partitions with a copy missing",
        "short",
        one("sum(kafka_server_replicamanager_underreplicatedpartitions)"),
        "stat",
    ),
    Panel(
        "Partitions below the least number of copies",
        "short",
        one("sum(kafka_server_replicamanager_underminisrpartitioncount)"),
        "stat",
    ),
    Panel(
        "Bytes in",
        "Bps",
        one(f"sum by (topic) (rate(kafka_server_brokertopicmetrics_bytesin_total[{RATE}]))", "{{topic}}"),
    ),
    Panel(
        "Records in",
        "cps",
        one(f"sum by (topic) (rate(kafka_server_brokertopicmetrics_messagesin_total[{RATE}]))", "{{topic}}"),
    ),
    Panel("Our lag", "s", one("max by (service, topic) (panier_lag_seconds)", "{{service}} {{topic}}")),
    Panel(
        "Disk left",
        "percentunit",
        one(
            'kubelet_volume_stats_available_bytes{persistentvolumeclaim=~"data.*-panier-.*"}'
            ' / kubelet_volume_stats_capacity_bytes{persistentvolumeclaim=~"data.*-panier-.*"}',
            "{{persistentvolumeclaim}}",
        ),
    ),
)
_DATABASES = (
    Panel("Connections", "short", one("sum by (datname, state) (cnpg_backends_total)", "{{datname}} {{state}}")),
    Panel("Longest transaction", "s", one("max by (datname) (cnpg_backends_max_tx_duration_seconds)", "{{datname}}")),
    Panel(
        "Transactions",
        "cps",
        one(f"sum by (datname) (rate(cnpg_pg_stat_database_xact_commit[{RATE}]))", "{{datname}}"),
    ),
    Panel("Size", "bytes", one("max by (datname) (cnpg_pg_database_size_bytes)", "{{datname}}")),
    Panel("A copy is behind", "s", one("max by (pod) (cnpg_pg_replication_lag)", "{{pod}}")),
    Panel("Archiving failed, 1 h", "short", one("sum(increase(cnpg_pg_stat_archiver_failed_count[1h]))"), "stat"),
    Panel("Outbox", "short", one("sum by (service, loop) (cnpg_panier_outbox_batches)", "{{service}} {{loop}}")),
    Panel("Timers due", "short", one("sum by (service) (cnpg_panier_timers_due)", "{{service}}")),
)
_META = (
    Panel("Answers by class", "cps", one(f"sum by (class) (rate(panier_graph_calls_total[{RATE}]))", "{{class}}")),
    Panel(
        "Refusals by code",
        "cps",
        one(f'sum by (code) (rate(panier_graph_calls_total{{class!="accepted"}}[{RATE}]))', "{{code}}"),
    ),
    Panel("Time of a call", "s", quantiles("panier_graph_call_seconds")),
    Panel(
        "Calls in flight",
        "short",
        (
            ("sum by (pod) (panier_graph_in_flight)", "{{pod}}"),
            ("sum by (pod) (panier_graph_allowed)", "{{pod}} at most"),
        ),
        says="Where the most falls, Meta answers slowly or not at all.",
    ),
    Panel("What a number may send", "cps", one("max by (number) (panier_number_rate)", "{{number}}")),
    Panel(
        "How long a number's next message waits",
        "s",
        one("max by (number) (panier_number_wait_seconds)", "{{number}}"),
        says="0 while the number has tokens left; near 2 for minutes: it is at its limit.",
    ),
    Panel("Numbers held", "short", one("sum by (reason) (panier_numbers_held)", "{{reason}}")),
    Panel("Messages not yet sent", "short", one("max by (state) (panier_journal_messages)", "{{state}}")),
    Panel("Sent again after doubt", "short", one("sum(increase(panier_graph_resent_total[1h]))"), "stat"),
    Panel("Marked read", "cps", one(f"sum by (outcome) (rate(panier_receipts_total[{RATE}]))", "{{outcome}}")),
)

BOARDS = (
    Board(
        "panier-business",
        "Panier: the business",
        "Orders, payments, traffic.",
        (("Orders", _ORDERS), ("Traffic", _TRAFFIC)),
    ),
    Board(
        "panier-journey",
        "Panier: the journey",
        "From a customer's message to Meta's acceptance of the reply.",
        (("What is promised", _PROMISES), ("The way", _WAY)),
    ),
    Board(
        "panier-services",
        "Panier: each service",
        "What every service does, and how it fares.",
        (("Work", _WORK), ("Health", _HEALTH), ("Endpoints", _ENDPOINTS), ("The door alone", _DOOR)),
        by_service=True,
    ),
    Board("panier-kafka", "Panier: Kafka", "The brokers under the topics.", (("Brokers", _BROKERS),)),
    Board("panier-postgresql", "Panier: PostgreSQL", "The services' databases.", (("Databases", _DATABASES),)),
    Board(
        "panier-meta",
        "Panier: Meta's limits",
        "What the Graph API takes, refuses and holds back.",
        (("Graph API", _META),),
    ),
)
