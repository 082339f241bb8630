"""Metrics for Prometheus: requests of all web processes, status of all processes, and numbers of the database."""
