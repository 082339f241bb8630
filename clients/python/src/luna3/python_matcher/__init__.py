"""See `luna3`."""
