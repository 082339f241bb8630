"""Stages of the pipeline, one function each: it takes a run and returns a copy with its own members filled."""
