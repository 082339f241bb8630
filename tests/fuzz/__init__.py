"""Damaged input for the decoders and codecs: `python -m tests.fuzz [count]`, and a small slice in the test-suite."""
