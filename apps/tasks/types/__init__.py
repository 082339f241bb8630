"""Types of background tasks, one module each. `registry` collects them; `base` is their contract."""
