"""The duration of the stages of a request."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from apps.common.tracing import stage_span


@dataclass(slots=True)
class Clock:
    """A stopwatch. `stage_ms`: wall-clock milliseconds per stage name; repeated stages add up."""

    stage_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage, which is a span of its own while the request is traced."""
        started = time.perf_counter()
        try:
            with stage_span(name):
                yield
        finally:
            self.add(name, time.perf_counter() - started)

    def add(self, name: str, seconds: float) -> None:
        """Add seconds to a stage."""
        self.stage_ms[name] = self.stage_ms.get(name, 0.0) + seconds * 1e3
