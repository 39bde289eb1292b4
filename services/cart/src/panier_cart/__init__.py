"""One open cart per conversation."""
