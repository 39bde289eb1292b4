"""The door: verifies, translates and publishes what WhatsApp sends."""
