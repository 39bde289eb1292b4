"""Every alert beside the objectives' burn rates: when it fires, how urgent it is, which runbook says what to do. Pure.

A counter that has never counted is not there, and its first increase is invisible to `increase`: `happened` sees
that too. What must outlive a dead service is asked of its database (deploy/k8s/platform/postgres/queries.yaml).
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


def happened(counter: str, window: str) -> str:
    """Per series: what was counted in the window, also when the counter itself is younger than that."""
    return f"(increase({counter}[{window}]) > 0 or ({counter} unless {counter} offset {window}))"


# Reasons for which the sender holds a number and goes on by itself.
_PASSING = "rate_limited|maintenance|unreachable"

ALERTS = (
    Alert(
        "PanierLag",
        "max by (service, topic) (panier_lag_seconds) > 30",
        "5m",
        TICKET,
        "{{ $labels.service }} is {{ $value | humanizeDuration }} behind on {{ $labels.topic }}",
        "lag",
    ),
    Alert(
        "PanierLagHigh",
        "max by (service, topic) (panier_lag_seconds) > 300",
        "5m",
        PAGE,
        "{{ $labels.service }} is {{ $value | humanizeDuration }} behind on {{ $labels.topic }}",
        "lag",
    ),
    Alert(
        "PanierLagNearsRetention",
        "max by (service, topic) (panier_lag_seconds) > 3 * 86400",
        "5m",
        PAGE,
        "{{ $labels.topic }} keeps 7 days, and {{ $labels.service }} has not read the last "
        "{{ $value | humanizeDuration }}: what is dropped unread is lost",
        "lag",
    ),
    Alert(
        "PanierStuckConsumer",
        "min_over_time(sum by (service) (panier_lag_records)[10m:1m]) > 0"
        " unless sum by (service) (increase(panier_records_total[10m])) > 0",
        "2m",
        PAGE,
        "{{ $labels.service }} has had records to read for 10 minutes and took none",
        "stuck-consumer",
    ),
    Alert(
        "PanierDeadLetters",
        "sum by (service) (cnpg_panier_dead_letters_waiting) > 0",
        "1m",
        TICKET,
        "{{ $value }} dead letters of {{ $labels.service }} wait for a person",
        "dead-letters",
    ),
    Alert(
        "PanierDeadLettersMany",
        "sum by (service) (increase(panier_dead_letters_total[10m])) > 20",
        "0m",
        PAGE,
        "{{ $labels.service }} could not digest {{ $value | humanize }} records in 10 minutes",
        "dead-letters",
    ),
    Alert(
        "PanierOutboxOld",
        "max by (service) (cnpg_panier_outbox_age_seconds) > 60",
        "2m",
        PAGE,
        "{{ $labels.service }} decided something {{ $value | humanizeDuration }} ago and has not published it",
        "outbox-old",
    ),
    Alert(
        "PanierTimersLate",
        "max by (service) (cnpg_panier_timers_late_seconds) > 60",
        "2m",
        TICKET,
        "{{ $labels.service }} is {{ $value | humanizeDuration }} late with what was due",
        "timers-late",
    ),
    Alert(
        "PanierRefusedByMeta",
        'sum by (class) (rate(panier_graph_calls_total{class!~"accepted|uncalled"}[10m]))'
        " / on () group_left () sum(rate(panier_graph_calls_total[10m])) > 0.05"
        ' and sum by (class) (increase(panier_graph_calls_total{class!~"accepted|uncalled"}[10m])) >= 5',
        "5m",
        TICKET,
        "{{ $value | humanizePercentage }} of the Graph API's answers are of class {{ $labels.class }}",
        "refused-by-meta",
    ),
    Alert(
        "PanierTokenRefused",
        'max by (reason) (panier_numbers_held{reason="token"}) > 0',
        "1m",
        PAGE,
        "Meta refuses the access token of {{ $value }} phone numbers; their messages wait",
        "token-refused",
    ),
    Alert(
        "PanierTokenExpires",
        "min by (number) (panier_token_expires_timestamp_seconds) - time() < 7 * 86400",
        "1h",
        TICKET,
        "The access token of number {{ $labels.number }} ends in {{ $value | humanizeDuration }}",
        "token-expires",
    ),
    Alert(
        "PanierTokenExpiresSoon",
        "min by (number) (panier_token_expires_timestamp_seconds) - time() < 86400",
        "5m",
        PAGE,
        "The access token of number {{ $labels.number }} ends in {{ $value | humanizeDuration }}",
        "token-expires",
    ),
    Alert(
        "PanierTokenUnknown",
        "time() - max(panier_token_checked_timestamp_seconds) > 6 * 3600",
        "10m",
        TICKET,
        "Meta has not said for {{ $value | humanizeDuration }} until when the access tokens are good",
        "token-expires",
    ),
    Alert(
        "PanierNumberStopped",
        f'max by (reason) (panier_numbers_held{{reason!~"token|{_PASSING}"}}) > 0',
        "2m",
        PAGE,
        "{{ $value }} phone numbers may not send ({{ $labels.reason }}); their messages wait",
        "number-stopped",
    ),
    Alert(
        "PanierSendBacklog",
        'sum(panier_journal_messages{state=~"queued|ready"}) > 2000',
        "10m",
        TICKET,
        "{{ $value }} messages wait to be sent",
        "send-backlog",
    ),
    Alert(
        "PanierSentAgain",
        f"sum({happened('panier_graph_resent_total', '1h')}) > 10",
        "0m",
        TICKET,
        "{{ $value | humanize }} messages were sent again within an hour because nobody knew whether they had gone",
        "sent-again",
    ),
    Alert(
        "PanierStockDrift",
        "max(cnpg_panier_stock_drifted) > 0",
        "10m",
        TICKET,
        "{{ $value }} products reserve another number of pieces than orders hold",
        "stock-drift",
    ),
    Alert(
        "PanierPaymentProblem",
        f"sum({happened('panier_payment_problems_total', '15m')}) > 0",
        "0m",
        TICKET,
        "A payment came that is no sale; a person must decide about it",
        "payment-problem",
    ),
    Alert(
        "PanierProviderWaiting",
        "max by (provider) (panier_provider_waiting_seconds) > 120",
        "2m",
        PAGE,
        "Payment provider {{ $labels.provider }} has not answered for {{ $value | humanizeDuration }}",
        "provider-waiting",
    ),
    Alert(
        "PanierNotReady",
        "sum by (service) (panier_ready) == 0",
        "3m",
        PAGE,
        "No process of {{ $labels.service }} is ready",
        "not-ready",
    ),
    Alert(
        "PanierMetricsAbsent",
        " or ".join(f'absent(panier_ready{{service="{service}"}})' for service in SERVICES),
        "5m",
        PAGE,
        "Nothing is heard of {{ $labels.service }}: it does not run, or is not scraped",
        "metrics-absent",
    ),
    Alert(
        "PanierDatabaseMetricsAbsent",
        "absent(cnpg_panier_stock_drifted)",
        "10m",
        TICKET,
        "The databases' own metrics are missing: outbox age, dead letters and stock drift are not watched",
        "metrics-absent",
    ),
    Alert(
        "PanierKafkaUnderReplicated",
        "sum(kafka_server_replicamanager_underreplicatedpartitions) > 0",
        "10m",
        PAGE,
        "{{ $value }} partitions have fewer copies than they should: the next lost broker may stop the door",
        "kafka-under-replicated",
    ),
    Alert(
        "PanierDiskFills",
        "min by (namespace, persistentvolumeclaim) ("
        "kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes) < 0.15",
        "15m",
        PAGE,
        "Volume {{ $labels.persistentvolumeclaim }} has {{ $value | humanizePercentage }} left",
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
