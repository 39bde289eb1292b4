"""Checkout's own metrics, beside those that every loop has."""

from opentelemetry import metrics

_METER = metrics.get_meter("panier")

PROVIDER_CALLS = _METER.create_counter(
    "panier.provider.calls", description="Calls of payment providers over the network, by provider, what and outcome."
)
PROVIDER_CALL_SECONDS = _METER.create_histogram(
    "panier.provider.call", unit="s", description="Time of a call of a payment provider."
)
