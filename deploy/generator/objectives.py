"""The two promises that are measured, and what is recorded and alerted on when their error budget burns. Pure.

An alert of several windows: the long one says that it matters, the short one that it still goes on. The factors
are those usual for 30 days: 14.4 × for 1 h is 2 % of the budget, 6 × for 6 h 5 %, 3 × for a day and 1 × for three
days 10 %. A burn also needs a few bad events, so that one slow reply at night wakes nobody.
"""

from dataclasses import dataclass

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
LEAST_BAD = 5


@dataclass(frozen=True)
class Objective:
    """`bad` and `all` are counters' expressions with `{window}` where the range goes.

    Each installation has a budget of its own: one that does well would hide another's outage.
    """

    name: str
    alert: str
    target: float
    bad: str
    all: str
    promise: str
    runbook: str

    def ratio(self, window: str) -> str:
        """The name under which the share of bad events is recorded."""
        return f"panier:{self.name}:bad_ratio_{window}"

    def badly(self, window: str) -> str:
        """The name under which the number of bad events is recorded."""
        return f"panier:{self.name}:bad_{window}"


@dataclass(frozen=True)
class Burn:
    long: str
    short: str
    factor: float
    severity: str


BURNS = (
    Burn("1h", "5m", 14.4, "page"),
    Burn("6h", "30m", 6, "page"),
    Burn("1d", "2h", 3, "ticket"),
    Burn("3d", "6h", 1, "ticket"),
)

OBJECTIVES = (
    Objective(
        name="webhooks",
        alert="PanierWebhooksRefused",
        target=0.999,
        # A 4xx is the sender's fault: a wrong signature is no failure of ours.
        bad='sum by (namespace) (increase(panier_ingest_webhooks_total{{status=~"5.."}}[{window}]))'
        ' or 0 * sum by (namespace) (increase(panier_ingest_webhooks_total{{status=~"2..|5.."}}[{window}]))',
        all='sum by (namespace) (increase(panier_ingest_webhooks_total{{status=~"2..|5.."}}[{window}]))',
        promise="99.9 % of WhatsApp's webhooks are accepted",
        runbook="webhooks-refused",
    ),
    Objective(
        name="replies",
        alert="PanierRepliesSlow",
        target=0.99,
        bad="sum by (namespace) (increase(panier_reply_seconds_count[{window}]))"
        ' - sum by (namespace) (increase(panier_reply_seconds_bucket{{le="5.0"}}[{window}]))',
        all="sum by (namespace) (increase(panier_reply_seconds_count[{window}]))",
        promise="99 % of replies are accepted by Meta within 5 s of the customer's message",
        runbook="replies-slow",
    ),
)


def recordings(objective: Objective) -> list[dict[str, str]]:
    found = []
    for window in WINDOWS:
        bad, of = objective.bad.format(window=window), objective.all.format(window=window)
        found.append({"record": objective.badly(window), "expr": bad})
        found.append({"record": objective.ratio(window), "expr": f"({bad}) / ({of} > 0)"})
    return found


def burning(objective: Objective, burn: Burn) -> str:
    limit = f"{burn.factor:g} * {1 - objective.target:.4g}"
    return (
        f"{objective.ratio(burn.long)} > {limit} and {objective.ratio(burn.short)} > {limit}"
        f" and {objective.badly(burn.long)} >= {LEAST_BAD}"
    )
