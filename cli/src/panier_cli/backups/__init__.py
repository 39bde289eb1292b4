"""Copies of the services' databases: taken by PostgreSQL's own programs, described by a manifest, brought back."""
