"""Matchers with a common protocol."""
