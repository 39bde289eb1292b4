"""The sender's own metrics, beside those that every loop has."""

from opentelemetry import metrics

_METER = metrics.get_meter("panier")

CALLS = _METER.create_counter("panier.graph.calls", description="Graph API calls, by class of answer and code.")
CALL_SECONDS = _METER.create_histogram("panier.graph.call", unit="s", description="Time of a Graph API call.")
SEND_SECONDS = _METER.create_histogram(
    "panier.send.latency", unit="s", description="From the request for a message until Meta accepted it."
)
REPLY_SECONDS = _METER.create_histogram(
    "panier.reply",
    unit="s",
    description="From the customer's message, by Meta's clock of whole seconds, until Meta accepted an answer.",
)
RESENT = _METER.create_counter(
    "panier.graph.resent", description="Messages sent again because no status proved the call in doubt."
)
RECEIPTS = _METER.create_counter("panier.receipts", description="Messages marked read, by outcome.")
