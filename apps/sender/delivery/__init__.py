"""Delivery of stored callbacks by the worker processes."""
