"""Matchers behind one protocol."""
