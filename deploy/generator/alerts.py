"""Every alert beside the objectives' burn rates: when it fires, how urgent it is, which runbook says what to do. Pure.

A counter that has never counted is not there, and its first increase is invisible to `increase`: `happened` sees
that too. What must outlive a dead service is asked of its database (deploy/k8s/platform/postgres/queries.yaml).
Everything is asked `by (namespace)`: one Prometheus may see several installations, and a healthy one hides no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from objectives import BURNS, OBJECTIVES, burning

SERVICES = ("ingest", "catalog", "cart", "checkout", "sender", "sales", "console")
WITH_DATABASE = ("catalog", "cart", "checkout", "sender", "console")

PAGE, TICKET = "page", "ticket"
"""Somebody is woken; somebody looks in working hours."""


@dataclass(frozen=True)
class Alert:
    name: str
    expr: str
    lasts: str
    severity: str
    summary: str
    runbook: str


def unheard(service: str, series: str = "panier_ready") -> str:
    """Where services were heard within a day, or nowhere at all: nothing of this one, or of its database."""
    there = f'label_replace(group by (namespace) (last_over_time(panier_ready[1d])), "service", "{service}", "", "")'
    return f'({there} unless on (namespace, service) {series} or on (service) absent({series}{{service="{service}"}}))'


def happened(counter: str, window: str) -> str:
    """Per series: what was counted in the window, also when the counter itself is younger than that."""
    return f"(increase({counter}[{window}]) > 0 or ({counter} unless {counter} offset {window}))"


def held(why: str) -> str:
    """How many numbers are held for each such reason, each once, whichever processes know of it."""
    return f"count by (namespace, reason) (max by (namespace, reason, number) (panier_numbers_held{{{why}}}) > 0)"


# By the names that Strimzi and CloudNativePG give the claims of our brokers and databases.
OUR_VOLUMES = '{persistentvolumeclaim=~"data-.*panier-(broker|controller)-.*|panier-.*-db-.*"}'
LAST_BACKUP = "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp"
# Reasons for which the sender holds a number and goes on by itself.
_PASSING = "rate_limited|maintenance|unreachable"

ALERTS = (
    Alert(
        "PanierLag",
        "max by (namespace, service, topic) (panier_lag_seconds) > 30",
        "5m",
        TICKET,
        "{{ $labels.service }} is {{ $value | humanizeDuration }} behind on {{ $labels.topic }}",
        "lag",
    ),
    Alert(
        "PanierLagHigh",
        "max by (namespace, service, topic) (panier_lag_seconds) > 300",
        "5m",
        PAGE,
        "{{ $labels.service }} is {{ $value | humanizeDuration }} behind on {{ $labels.topic }}",
        "lag",
    ),
    Alert(
        "PanierLagNearsRetention",
        "max by (namespace, service, topic) (panier_lag_seconds) > 3 * 86400",
        "5m",
        PAGE,
        "{{ $labels.topic }} keeps 7 days, and {{ $labels.service }} has not read the last "
        "{{ $value | humanizeDuration }}: what is dropped unread is lost",
        "lag",
    ),
    Alert(
        "PanierStuckConsumer",
        "min_over_time(sum by (namespace, service) (panier_lag_records)[10m:1m]) > 0"
        " unless sum by (namespace, service) (increase(panier_records_total[10m])) > 0",
        "2m",
        PAGE,
        "{{ $labels.service }} has had records to read for 10 minutes and took none",
        "stuck-consumer",
    ),
    Alert(
        "PanierDeadLetters",
        "sum by (namespace, service) (cnpg_panier_dead_letters_waiting) > 0",
        "1m",
        TICKET,
        "{{ $value }} dead letters of {{ $labels.service }} wait for a person",
        "dead-letters",
    ),
    Alert(
        "PanierDeadLettersMany",
        "sum by (namespace, service) (increase(panier_dead_letters_total[10m])) > 20",
        "0m",
        PAGE,
        "{{ $labels.service }} could not digest {{ $value | humanize }} records in 10 minutes",
        "dead-letters",
    ),
    Alert(
        "PanierOutboxOld",
        "max by (namespace, service) (cnpg_panier_outbox_age_seconds) > 60",
        "2m",
        PAGE,
        "{{ $labels.service }} decided something {{ $value | humanizeDuration }} ago and has not published it",
        "outbox-old",
    ),
    Alert(
        "PanierTimersLate",
        "max by (namespace, service) (cnpg_panier_timers_late_seconds) > 60",
        "2m",
        TICKET,
        "{{ $labels.service }} is {{ $value | humanizeDuration }} late with what was due",
        "timers-late",
    ),
    Alert(
        "PanierRefusedByMeta",
        'sum by (namespace, class) (rate(panier_graph_calls_total{class!~"accepted|uncalled"}[10m]))'
        " / on (namespace) group_left () sum by (namespace) (rate(panier_graph_calls_total[10m])) > 0.05"
        ' and sum by (namespace, class) (increase(panier_graph_calls_total{class!~"accepted|uncalled"}[10m])) >= 5',
        "5m",
        TICKET,
        "{{ $value | humanizePercentage }} of the Graph API's answers are of class {{ $labels.class }}",
        "refused-by-meta",
    ),
    Alert(
        "PanierTokenRefused",
        held('reason="token"'),
        "1m",
        PAGE,
        "Phone numbers whose access token Meta refuses: {{ $value }}; their messages wait",
        "token-refused",
    ),
    Alert(
        "PanierTokenExpires",
        "min by (namespace, number) (panier_token_expires_timestamp_seconds) - time() < 7 * 86400",
        "1h",
        TICKET,
        "The access token of number {{ $labels.number }} ends in {{ $value | humanizeDuration }}",
        "token-expires",
    ),
    Alert(
        "PanierTokenExpiresSoon",
        "min by (namespace, number) (panier_token_expires_timestamp_seconds) - time() < 86400",
        "5m",
        PAGE,
        "The access token of number {{ $labels.number }} ends in {{ $value | humanizeDuration }}",
        "token-expires",
    ),
    Alert(
        "PanierTokenUnknown",
        # Of a number that Meta never answered about it is when a process first knew of it.
        "time() - max by (namespace, number) (panier_token_checked_timestamp_seconds) > 6 * 3600",
        "10m",
        TICKET,
        "Meta has not said for {{ $value | humanizeDuration }} until when {{ $labels.number }}'s access token is good",
        "token-expires",
    ),
    Alert(
        "PanierNumberStopped",
        held(f'reason!~"token|{_PASSING}"'),
        "2m",
        PAGE,
        "Phone numbers that may not send ({{ $labels.reason }}): {{ $value }}; their messages wait",
        "number-stopped",
    ),
    Alert(
        "PanierSendBacklog",
        # Every process counts the whole journal.
        'sum by (namespace) (max by (namespace, state) (panier_journal_messages{state=~"queued|ready"})) > 2000',
        "10m",
        TICKET,
        "{{ $value }} messages wait to be sent",
        "send-backlog",
    ),
    Alert(
        "PanierNumberAtItsLimit",
        "min_over_time((max by (namespace, number) (panier_number_wait_seconds))[15m:1m]) > 1",
        "1m",
        TICKET,
        "Number {{ $labels.number }} has been at its limit for a quarter of an hour; its messages wait",
        "send-backlog",
    ),
    Alert(
        "PanierSentAgain",
        f"sum by (namespace) ({happened('panier_graph_resent_total', '1h')}) > 10",
        "0m",
        TICKET,
        "{{ $value | humanize }} messages were sent again within an hour because nobody knew whether they had gone",
        "sent-again",
    ),
    Alert(
        "PanierStockDrift",
        "max by (namespace) (cnpg_panier_stock_drifted) > 0",
        "10m",
        TICKET,
        "{{ $value }} products reserve another number of pieces than orders hold",
        "stock-drift",
    ),
    Alert(
        "PanierPaymentProblem",
        f"sum by (namespace) ({happened('panier_payment_problems_total', '15m')}) > 0",
        "0m",
        TICKET,
        "A payment came that is no sale; a person must decide about it",
        "payment-problem",
    ),
    Alert(
        "PanierProviderWaiting",
        "max by (namespace, provider) (panier_provider_waiting_seconds) > 120",
        "2m",
        PAGE,
        "Payment provider {{ $labels.provider }} has not answered for {{ $value | humanizeDuration }}",
        "provider-waiting",
    ),
    Alert(
        "PanierNotReady",
        "sum by (namespace, service) (panier_ready) == 0",
        "3m",
        PAGE,
        "No process of {{ $labels.service }} is ready",
        "not-ready",
    ),
    Alert(
        "PanierProcessNotReady",
        # It may hold partitions, and whose they are gets no answer; ingest's requests go to the others.
        'panier_ready{service!="ingest"} == 0'
        " and on (namespace, service) sum by (namespace, service) (panier_ready) > 0",
        "5m",
        PAGE,
        "A process of {{ $labels.service }} ({{ or $labels.pod $labels.instance }}) has not been ready for 5 minutes",
        "not-ready",
    ),
    Alert(
        "PanierMetricsAbsent",
        " or ".join(map(unheard, SERVICES)),
        "5m",
        PAGE,
        "Nothing is heard of {{ $labels.service }}: it does not run, or is not scraped",
        "metrics-absent",
    ),
    Alert(
        "PanierDatabaseMetricsAbsent",
        " or ".join(unheard(service, "cnpg_panier_database_watched") for service in WITH_DATABASE),
        "10m",
        TICKET,
        "Nothing is heard of {{ $labels.service }}'s database: its outbox, timers and dead letters are not watched",
        "metrics-absent",
    ),
    Alert(
        "PanierKafkaUnderReplicated",
        "sum by (namespace) (kafka_server_replicamanager_underreplicatedpartitions) > 0",
        "10m",
        PAGE,
        "{{ $value }} partitions have fewer copies than they should: the next lost broker may stop the door",
        "kafka-under-replicated",
    ),
    Alert(
        "PanierBackupOld",
        # 0 before the first one; nothing where the plugin does not tell.
        f"time() - max by (namespace, cnpg_io_cluster) ({LAST_BACKUP}) > 36 * 3600"
        " or group by (namespace, cnpg_io_cluster) (cnpg_collector_up)"
        f" unless on (namespace, cnpg_io_cluster) {LAST_BACKUP}",
        "1h",
        TICKET,
        "The last base backup of {{ $labels.cnpg_io_cluster }} is older than 36 hours, or nothing is known of it",
        "backup-old",
    ),
    Alert(
        "PanierArchivingFails",
        # PostgreSQL tries again every minute. What goes through within a few minutes is nobody's work: the window has
        # forgotten it before the alert has waited.
        "sum by (namespace, cnpg_io_cluster) (increase(cnpg_pg_stat_archiver_failed_count[15m])) > 0",
        "20m",
        TICKET,
        "What changes in {{ $labels.cnpg_io_cluster }} has not been archived for 20 minutes: a restore would lack it",
        "archiving-fails",
    ),
    Alert(
        "PanierDiskFills",
        f"min by (namespace, persistentvolumeclaim) (kubelet_volume_stats_available_bytes{OUR_VOLUMES}"
        " / kubelet_volume_stats_capacity_bytes) < 0.15",
        "15m",
        PAGE,
        "Volume {{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} has "
        "{{ $value | humanizePercentage }} left",
        "disk-fills",
    ),
)


def burn_alerts() -> Iterator[Alert]:
    """One alert for each objective and severity: any of its pairs of windows."""
    for objective in OBJECTIVES:
        for severity in (PAGE, TICKET):
            pairs = [f"({burning(objective, burn)})" for burn in BURNS if burn.severity == severity]
            yield Alert(
                objective.alert,
                " or ".join(pairs),
                "2m",
                severity,
                f"{objective.promise}: {{{{ $value | humanizePercentage }}}} fail, too many for long",
                objective.runbook,
            )
