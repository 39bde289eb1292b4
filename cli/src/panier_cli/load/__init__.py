"""The load kit: signed webhooks as WhatsApp sends them, sent on time. Benchmarks send by it as well."""
