"""Numbers of the database. Rooms register their sources in `AppConfig.ready()`."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from django.db import connection, transaction
from prometheus_client.core import GaugeMetricFamily, Metric

logger = logging.getLogger(__name__)

STATEMENT_S = 2  # of a statement of a source: a large table must not hold the thread
REUSE_S = 5.0  # results are reused for this time, because each reading reads tables
UP = "luna_metrics_source_up"

Values = Iterable[tuple[Mapping[str, str], float]]


@dataclass(frozen=True, slots=True)
class Source:
    """Gauges that one read yields. `texts`: what each metric means; `read()` returns labels and values of each."""

    name: str
    texts: Mapping[str, str]
    read: Callable[[], Mapping[str, Values]]


class Sources:
    """The registered sources of this process."""

    def __init__(self) -> None:
        self.registered: list[Source] = []
        self._lock = threading.Lock()
        self._found: list[Metric] = []
        self._read_at = -REUSE_S

    def register(self, *sources: Source) -> None:
        self.registered.extend(sources)

    def families(self) -> list[Metric]:
        """Return the metrics of all sources. One thread reads at a time; others return the former result."""
        if time.monotonic() - self._read_at >= REUSE_S and self._lock.acquire(blocking=False):
            try:
                self._found = self._read()
                self._read_at = time.monotonic()
            finally:
                self._lock.release()
        return self._found

    def forget(self) -> None:
        """Drop the result, so that the next call reads."""
        self._read_at = -REUSE_S

    def _read(self) -> list[Metric]:
        up = GaugeMetricFamily(UP, "1 if the numbers of this source could be read", labels=("source",))
        found: list[Metric] = [up]
        for source in self.registered:
            families = _families(source)
            found += families
            up.add_metric([source.name], bool(families))
        return found


def _families(source: Source) -> list[Metric]:
    """Return the metrics of a source; none if it fails."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout TO '{STATEMENT_S}s'")
            values = source.read()
    except Exception:
        logger.warning("Metrics of %s cannot be read", source.name, exc_info=True)
        return []
    families: list[Metric] = []
    for name, text in source.texts.items():
        metric = GaugeMetricFamily(name, text)
        for labels, value in values[name]:
            metric.add_sample(name, dict(labels), value)
        families.append(metric)
    return families


sources = Sources()
