"""Recognition engine: decoding, geometry, detectors, sessions and batching; without Django and requests."""
