"""Every name of a span, attribute and metric: the registry from which instruments and docs/telemetry.md are made. Pure.

Names of spans and attributes follow OpenTelemetry's semantic conventions v1.44 (those of messaging are in
Development). Nothing a customer wrote, no name, number or id of theirs is ever put under any of them; a conversation
appears as a keyed hash. A metric's labels are our own words and the shops' numbers: their number does not grow with
customers.
"""

from dataclasses import dataclass
from typing import Literal

# Spans: `send X` (PRODUCER), `process X` (CONSUMER), `POST /webhooks/whatsapp` (SERVER), `POST` (CLIENT).
SEND = "send"
PROCESS = "process"

# Attributes.
SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
PARTITION = "messaging.destination.partition.id"
OFFSET = "messaging.kafka.offset"
GROUP = "messaging.consumer.group.name"
MESSAGE_ID = "messaging.message.id"
HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
SERVER_ADDRESS = "server.address"
ERROR_TYPE = "error.type"
CONVERSATION = "panier.conversation.hash"
EVENT_TYPE = "panier.event.type"
PROVIDER = "panier.payment.provider"


@dataclass(frozen=True)
class Kind:
    """A kind of span; `name` is a regular expression, `parent` a sentence."""

    name: str
    shown: str
    kind: str
    parent: str
    attributes: tuple[str, ...]


_MESSAGING = (SYSTEM, OPERATION_NAME, OPERATION_TYPE, DESTINATION, EVENT_TYPE)

SPANS = (
    Kind(
        r"POST /webhooks/[a-z/{}]+",
        "`POST /webhooks/…`",
        "SERVER",
        "none: a customer's action, a delivery status or a payment begins here",
        (HTTP_METHOD, HTTP_ROUTE, HTTP_STATUS),
    ),
    Kind(
        rf"{SEND} panier\.[a-z]+\.v1",
        "`send <topic>`",
        "PRODUCER",
        "the span that decided it: a webhook's, `process <topic>`, or the `POST` that was answered",
        (*_MESSAGING, MESSAGE_ID),
    ),
    Kind(
        rf"{PROCESS} (panier\.[a-z]+\.v1|timer|command)",
        "`process <topic>`",
        "CONSUMER",
        "the `send` span of that record; of a timer and of what is replayed, the span that left it",
        (*_MESSAGING, PARTITION, OFFSET, GROUP, CONVERSATION),
    ),
    Kind(
        "POST",
        "`POST` of the Graph API",
        "CLIENT",
        "the `process panier.outbound.v1` of the message; each try has one",
        (HTTP_METHOD, SERVER_ADDRESS, HTTP_STATUS, ERROR_TYPE),
    ),
    Kind(
        "(open|close) payment session",
        "`open payment session`, `close payment session`",
        "CLIENT",
        "the `process <topic>` that decided to ask the provider",
        (PROVIDER,),
    ),
)

# Where the buckets of every histogram of seconds end.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Metric:
    """`labels` are all that a value may have; `of` the service that has it, empty for every one."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    says: str
    labels: tuple[str, ...] = ()
    of: str = ""
    unit: str = ""

    @property
    def exposed(self) -> str:
        """Its name in Prometheus."""
        ending = ("_seconds" if self.unit == "s" else "") + ("_total" if self.kind == "counter" else "")
        return self.name.replace(".", "_") + ending


def _counter(name: str, says: str, *labels: str, of: str = "") -> Metric:
    return Metric(name, "counter", says, labels, of)


def _seconds(name: str, says: str, *labels: str, of: str = "") -> Metric:
    return Metric(name, "histogram", says, labels, of, "s")


def _gauge(name: str, says: str, *labels: str, of: str = "") -> Metric:
    return Metric(name, "gauge", says, labels, of)


METRICS = (
    _gauge("panier.ready", "1 when ready."),
    _gauge("panier.lag.records", "Records not yet read, by topic.", "topic"),
    _gauge(
        "panier.lag.seconds", "Seconds since the last record read was written, while others wait; by topic.", "topic"
    ),
    _counter("panier.records", "Records taken, by loop, topic and outcome.", "loop", "topic", "outcome"),
    _counter(
        "panier.events",
        "Events that handlers were given, by loop, type of event and outcome: `taken`, `dead` (a dead letter), or "
        "sales' `unreadable`. How long they took is told of batches only: `panier_batch_seconds` (ADR 39).",
        "loop",
        "type",
        "outcome",
    ),
    _counter("panier.duplicates", "Repeats dropped, by loop and kind.", "loop", "kind"),
    _counter("panier.dead_letters", "Records nobody could digest, by loop.", "loop"),
    _counter("panier.published", "Events published from outboxes, by topic.", "topic"),
    _seconds("panier.batch", "Time of a batch's transaction, by loop.", "loop"),
    _seconds("panier.publish", "Time until a batch's events were acknowledged, by loop.", "loop"),
    _counter("panier.waits", "Times a loop waited for an engine to come back, by loop.", "loop"),
    _seconds(
        "panier.http.request",
        "Time of a request until it was answered, by route (`none`: no such route, or no token for it), method and "
        "class of status; the probes `/livez`, `/readyz` and `/metrics` are left out.",
        "route",
        "method",
        "status",
    ),
    _counter("panier.orders", "Steps in the life of orders, by what happened.", "what", of="checkout"),
    _counter(
        "panier.revenue.minor",
        "Money of orders in the currency's smallest unit (cents for EUR): `paid`, and of that `refunded`. What is paid "
        "on collection is not in it.",
        "what",
        "currency",
        of="checkout",
    ),
    _counter("panier.payment_problems", "Payments that are no sale, kept for a person.", of="checkout"),
    _counter(
        "panier.provider.calls",
        "Calls of payment providers over the network, by provider, what and outcome.",
        "provider",
        "what",
        "outcome",
        of="checkout",
    ),
    _seconds(
        "panier.provider.call",
        "Time of a call of a payment provider.",
        "provider",
        "what",
        "outcome",
        of="checkout",
    ),
    _gauge(
        "panier.provider.waiting",
        "Calls that payment providers have not answered yet.",
        "provider",
        of="checkout",
    ),
    _gauge(
        "panier.provider.waiting_seconds",
        "Since when the oldest of them waits, by provider.",
        "provider",
        of="checkout",
    ),
    _counter("panier.ingest.webhooks", "WhatsApp webhooks answered, by HTTP status.", "status", of="ingest"),
    _counter(
        "panier.ingest.payment_notifications", "Payment notifications answered, by HTTP status.", "status", of="ingest"
    ),
    _counter(
        "panier.ingest.updates", "Updates acknowledged, by kind of message or type of event.", "kind", of="ingest"
    ),
    _counter(
        "panier.ingest.unknown_number_messages", "Messages kept that were sent to a number of no shop.", of="ingest"
    ),
    _counter("panier.ingest.batches", "Batches acknowledged, by topic.", "topic", of="ingest"),
    _counter("panier.ingest.batch_records", "Records acknowledged in batches, by topic.", "topic", of="ingest"),
    Metric(
        "panier.ingest.batch_seconds",
        "counter",
        "Time until batches were acknowledged, summed, by topic.",
        ("topic",),
        "ingest",
    ),
    _counter("panier.graph.calls", "Graph API calls, by class of answer and code.", "class", "code", of="sender"),
    _seconds("panier.graph.call", "Time of a Graph API call.", "class", of="sender"),
    _gauge("panier.graph.in_flight", "Graph API calls in flight.", of="sender"),
    _gauge(
        "panier.graph.allowed",
        "Graph API calls that may be in flight: few at first, fewer while Meta answers slowly or not at all.",
        of="sender",
    ),
    _counter("panier.graph.resent", "Messages sent again because no status proved the call in doubt.", of="sender"),
    _seconds("panier.send.latency", "From the request for a message until Meta accepted it.", "lane", of="sender"),
    _seconds(
        "panier.reply",
        "From the customer's message, by Meta's clock of whole seconds, until Meta accepted an answer.",
        of="sender",
    ),
    _counter("panier.receipts", "Messages marked read, by outcome.", "outcome", of="sender"),
    _gauge(
        "panier.journal.messages",
        "Messages not yet sent, by state (10,000 are counted at most).",
        "state",
        of="sender",
    ),
    _gauge("panier.numbers.held", "Phone numbers whose messages wait, and why.", "number", "reason", of="sender"),
    _gauge(
        "panier.number.rate",
        "Messages a second that a number sends at most, after what Meta refused lately.",
        "number",
        of="sender",
    ),
    _gauge(
        "panier.number.wait_seconds",
        "How long one more message of a number would wait for its turn: 0 while it has tokens left; a number at its "
        "limit stays near 2, for so much is claimed ahead, and the rest waits in the journal.",
        "number",
        of="sender",
    ),
    _gauge(
        "panier.token.expires_timestamp_seconds",
        "When Meta says that a number's access token, or its access to data, ends; none for one without an end.",
        "number",
        of="sender",
    ),
    _gauge(
        "panier.token.checked_timestamp_seconds",
        "When Meta last answered about a number's access token; until then, when the process first knew of the number.",
        "number",
        of="sender",
    ),
)

BY_NAME = {metric.name: metric for metric in METRICS}
