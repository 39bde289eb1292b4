"""Benchmarks and the load kit."""
