"""From pictures and policies to events: `run` holds the run, `stages` one module a stage, `generate` their order."""
