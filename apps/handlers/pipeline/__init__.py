"""Pipeline of event generation: `run` (state of a request), `stages` (one module each), `generate` (their order)."""
