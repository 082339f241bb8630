"""Counts of requests and estimations of this process, which a thread adds to the monthly numbers in the database.

A process that is killed loses the counts of `INTERVAL_S` at most. Counts belong to the month in which they are stored.
"""

import logging
import threading
from collections import Counter
from collections.abc import Mapping

from django.db import connection, transaction

from apps.common.config import config
from apps.common.process import PerProcess, Status
from apps.common.times import utc_now
from apps.monitoring.answered import Answered, path_label, service_of
from apps.monitoring.config import UsageStatistics
from apps.monitoring.metrics.requests import error_label

logger = logging.getLogger(__name__)

INTERVAL_S = 10.0
CLOSE_S = 5.0  # for the last counts when the process ends
ROUTES = """
INSERT INTO monitoring_routecount (month, service, route, status_code, error_code, count)
SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::int[], %s::text[], %s::bigint[])
ON CONFLICT (month, service, route, status_code, error_code)
DO UPDATE SET count = monitoring_routecount.count + excluded.count
"""
ESTIMATIONS = """
INSERT INTO monitoring_estimationcount (month, name, count)
SELECT %s, * FROM unnest(%s::text[], %s::bigint[])
ON CONFLICT (month, name) DO UPDATE SET count = monitoring_estimationcount.count + excluded.count
"""

Route = tuple[str, str, int, str]  # service, route, status, error code


class Counts:
    """Counts that are not stored yet, and the thread that stores them."""

    def __init__(self) -> None:
        self._routes: Counter[Route] = Counter()
        self._estimations: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._away = False

    def start(self) -> None:
        """Store counts in a thread. Without it they remain in memory, one number for each route and answer."""
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
        self._thread.start()

    def request(self, answered: Answered) -> None:
        """Count a request."""
        code = error_label(answered.error_code) if answered.status >= 400 else ""
        key = service_of(answered.route), path_label(answered.method, answered.route), answered.status, code
        with self._lock:
            self._routes[key] += 1

    def estimations(self, counts: Mapping[str, int]) -> None:
        """Count estimations by name."""
        with self._lock:
            self._estimations.update(counts)

    def store(self) -> None:
        """Add the counts to the numbers of this month. On an error they are kept for the next call."""
        with self._lock:
            routes, self._routes = self._routes, Counter()
            estimations, self._estimations = self._estimations, Counter()
        if not routes and not estimations:
            return
        try:
            _add(routes, estimations)
        except BaseException:
            with self._lock:
                self._routes.update(routes)
                self._estimations.update(estimations)
            raise

    def status(self) -> Status:
        """Return the number of requests that are not stored yet."""
        with self._lock:
            return {"requests_not_stored": self._routes.total()}

    def close(self) -> None:
        """Store the last counts, if a thread does."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self._store_safely()
        self._store_safely()

    def _store_safely(self) -> None:
        try:
            self.store()
            self._away = False
        except Exception as error:
            if not self._away:
                logger.warning("Statistics of requests are not stored, and are kept in memory: %s", error)
            self._away = True
        finally:
            connection.close()  # no process holds a connection for this


def _add(routes: Mapping[Route, int], estimations: Mapping[str, int]) -> None:
    """Add counts, in the order of the keys, so that processes do not wait for each other in a circle."""
    month = utc_now().date().replace(day=1)
    with transaction.atomic(), connection.cursor() as cursor:
        if routes:
            services, names, statuses, codes = (list(each) for each in zip(*sorted(routes), strict=True))
            cursor.execute(ROUTES, [month, services, names, statuses, codes, [routes[key] for key in sorted(routes)]])
        if estimations:
            kinds = sorted(estimations)
            cursor.execute(ESTIMATIONS, [month, kinds, [estimations[each] for each in kinds]])


counts = PerProcess("usage", Counts, close=Counts.close, status=Counts.status)


def count_estimations(numbers: Mapping[str, int]) -> None:
    """Count estimations by name, unless statistics are off."""
    if numbers and config(UsageStatistics).enabled:
        counts().estimations(numbers)
