"""Checkout's own metrics, beside those that every loop has; what they are is said in the registry."""

from panier_common import telemetry

ORDERS = telemetry.counter("panier.orders")
REVENUE = telemetry.counter("panier.revenue.minor")
PAYMENT_PROBLEMS = telemetry.counter("panier.payment_problems")
PROVIDER_CALLS = telemetry.counter("panier.provider.calls")
PROVIDER_CALL_SECONDS = telemetry.histogram("panier.provider.call")
