"""The engine: pictures to faces. Decoding, geometry, sessions, batching and the chain; no Django, no request."""
