"""Orders: fulfilment, payment, status, history."""
