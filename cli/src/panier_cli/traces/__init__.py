"""A small receiver of OpenTelemetry's traces with a page, for the local stack. Started by its supervisor."""
