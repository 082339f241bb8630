"""Counters and histogram of requests, with the names, labels and buckets of LUNA PLATFORM.

Each process counts in files of its own, in the directory `PROMETHEUS_MULTIPROC_DIR`; `/metrics` adds the files. A
process that ends leaves its counts, so that no sum decreases, and the next process that starts merges them. Counts in
Redis would decrease, and Prometheus would take this for a restart of all counters.
"""

import os
from functools import lru_cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, values

from apps.common.errors import CATALOGUE
from apps.common.process import PerProcess
from apps.monitoring.answered import UNKNOWN, WEBSOCKET, Answered, path_label
from apps.monitoring.metrics.files import merge_dead

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # of prometheus_client
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
           7.5, 10.0)  # fmt: skip


class RequestMetrics:
    """The metrics of requests of this process."""

    def __init__(self) -> None:
        directory = Path(os.environ[DIRECTORY])
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        merge_dead(directory)
        # The package chooses at its import, and a web process imports it before the settings name the directory.
        if not values.ValueClass._multiprocess:
            values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self._requests = Counter("request_count", "Counter of requests", ("path", "status_code"), registry=registry)
        self._errors = Counter("request_errors", "Counter of request errors", ("error_code", "path"), registry=registry)
        self._durations = Histogram(
            "requests", "Histogram of request time metrics", ("route", "status_code"), buckets=BUCKETS,
            registry=registry,
        )  # fmt: skip
        self._of = lru_cache(4096)(self._children)

    def count(self, answered: Answered) -> None:
        """Count a request. The duration of a websocket is that of its connection, so it has none in the histogram."""
        name = path_label(answered.method, answered.route)
        requests, durations = self._of(name, str(answered.status))
        requests.inc()
        if answered.method != WEBSOCKET:
            durations.observe(answered.duration_s)
        if answered.status >= 400:
            self._errors.labels(error_label(answered.error_code), name).inc()

    def _children(self, name: str, status: str) -> tuple[Counter, Histogram]:
        return self._requests.labels(name, status), self._durations.labels(name, status)


def error_label(error_code: int | None) -> str:
    """Return an error code as text; `unknown` for none, and for one that no error of the platform has."""
    return str(error_code) if error_code in CATALOGUE else UNKNOWN


request_metrics = PerProcess("request metrics", RequestMetrics)
