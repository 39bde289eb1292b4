"""Outbound messages to Graph API calls, within Meta's limits."""
