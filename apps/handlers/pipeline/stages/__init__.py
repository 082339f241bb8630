"""Stages: each module holds one, a function that takes a run and returns it with its own members filled."""
