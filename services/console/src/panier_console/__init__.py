"""Conversations, the inbox and the shop's page."""
