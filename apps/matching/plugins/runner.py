"""Runs one plugin: its start, its threads and time limit, its circuit breaker, and checks of its contract."""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.db import Error, close_old_connections, connections

from apps.common import errors
from apps.common.breaker import AwayError, Breaker
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.process import Status
from apps.matching.config import MatcherProxy
from apps.matching.engine.protocol import Hit, Matcher
from apps.matching.plugins.contract import ID_OF, MatchingPlugin, SubRequest
from apps.matching.plugins.decision import decide, widened

logger = logging.getLogger(__name__)

THREADS = 4  # searches of one plugin at the same time; the database serves further ones
FAILURES = 5  # in a row; then the database serves all sub-requests for PAUSE_S
PAUSE_S = 30.0
START_S = 5.0  # that a process waits for a built-in plugin; then the database serves until it has started
EVERY_THREAD = 2**31
Found = list[list[Hit] | None]  # hits for each vector; None where the database must search


class _FailureError(Exception):
    """The database must search."""


class _BreachError(_FailureError):
    """The plugin breaks its contract."""


class Runner:
    """One plugin in one process. Counts what became of its sub-requests."""

    def __init__(self, name: str, plugin: MatchingPlugin) -> None:
        self.name, self.plugin = name, plugin
        self.answers: Counter[str] = Counter()
        self.breaker = Breaker(
            at_once=EVERY_THREAD if plugin.decided else THREADS,
            failures=FAILURES,
            pause_s=PAUSE_S,
            patience_s=0.0,
            is_failure=lambda error: isinstance(error, _FailureError),  # errors of the database are not the plugin's
        )
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=f"matching-{name}")
        self._lock = threading.Lock()
        self._start: Future[None] = self._pool.submit(self._initialize)
        self._started_s = time.monotonic()
        if plugin.decided:  # built-in ones serve from the first request on
            wait([self._start], START_S)

    def _initialize(self) -> None:
        try:
            self.plugin.initialize()
        except Exception:
            logger.exception("Matching plugin %s cannot start", self.name)
            raise
        finally:
            connections.close_all()

    def ready(self, *, timeout_s: float = 0.0) -> bool:
        """Return whether the plugin is initialized. A failed start is repeated after `PAUSE_S`."""
        wait([self._start], timeout_s)
        if not self._start.done():
            return False
        if self._start.exception() is None:
            return True
        with self._lock:
            if self._start.done() and time.monotonic() - self._started_s > PAUSE_S:
                self._start, self._started_s = self._pool.submit(self._initialize), time.monotonic()
        return False

    def cost(self, request: SubRequest) -> float:
        """Return the plugin's cost of a sub-request with one vector, infinite if it cannot be used now.

        Raises LunaError MATCHER_FAILED for a cost that is no number.
        """
        if ID_OF[request.origin] not in self.plugin.targets or not self.ready():
            return math.inf
        try:
            cost = self.plugin.cost(request)
        except Exception:
            self.answers["failed"] += 1
            logger.exception("Matching plugin %s has no cost of a sub-request", self.name)
            return math.inf
        if isinstance(cost, bool) or not isinstance(cost, int | float) or math.isnan(cost):
            raise self._broken(f"its cost is {cost!r}, not a number")
        return float(cost)

    def search(self, request: SubRequest, database: Matcher) -> Found:
        """Return the hits for each vector; None where the plugin failed or its answer is not certain.

        Raises LunaError MATCHER_FAILED if the answer breaks the contract.
        """
        try:
            with self.breaker.guard():
                return self._found(request, database)
        except AwayError:
            self.answers["skipped"] += len(request.vectors)
        except _BreachError as breach:
            raise self._broken(str(breach)) from breach
        except _FailureError as failure:
            logger.warning("Matching plugin %s: %s; the database searches", self.name, failure, exc_info=True)
        return [None] * len(request.vectors)

    def _found(self, request: SubRequest, database: Matcher) -> Found:
        """Search with the plugin. Raises _FailureError if it has no answer that can be used."""
        if self.plugin.decided:
            answer = self._answer(request, lambda: self.plugin.search(request))
            self.answers["answered"] += len(request.vectors)
            return [list(hits) for hits in answer]
        asked = widened(request)
        running = self._pool.submit(self._search, asked)
        try:
            answer = self._answer(request, lambda: running.result(config(MatcherProxy).search_timeout))
        finally:
            running.cancel()
        problem = breach(answer, asked)
        if problem is not None:
            raise _BreachError(problem)
        decided = [
            decide(database, request, vector, [Hit(*hit) for hit in hits])
            for vector, hits in zip(request.vectors, answer, strict=True)
        ]
        self.answers.update(hits if isinstance(hits, str) else "answered" for hits in decided)
        if all(hits == "disagreed" for hits in decided):
            raise _FailureError("it disagrees with the database")
        return [None if isinstance(hits, str) else hits for hits in decided]

    def _answer(self, request: SubRequest, search: Callable[[], Any]) -> Any:
        try:
            return search()
        except Exception as error:
            if self.plugin.decided and isinstance(error, Error):  # the database's: it cannot answer either
                raise
            self.answers["failed"] += len(request.vectors)
            raise _FailureError("no answer in time" if isinstance(error, TimeoutError) else "an error") from error

    def _search(self, request: SubRequest) -> Any:
        close_old_connections()
        try:
            return self.plugin.search(request)
        finally:
            close_old_connections()

    def _broken(self, problem: str) -> LunaError:
        self.answers["contract_broken"] += 1
        logger.error("Matching plugin %s breaks the contract: %s", self.name, problem)
        return LunaError(errors.MATCHER_FAILED, self.name, problem)

    def close(self) -> None:
        """End the plugin; a search that still runs keeps its thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._start.done() and not self._start.cancelled() and self._start.exception() is None:
            try:
                self.plugin.close()
            except Exception:
                logger.exception("Matching plugin %s cannot be closed", self.name)

    def status(self) -> Status:
        names = ("answered", "failed", "skipped", "disagreed", "unproven", "contract_broken")
        counts = {name: self.answers[name] for name in names}
        return {"ready": self.ready(), "open": self.breaker.is_open, **counts, **self.plugin.status()}


def breach(found: Any, request: SubRequest) -> str | None:
    """Return how an answer breaks the contract, None if it does not."""
    if not isinstance(found, Sequence) or len(found) != len(request.vectors):
        return f"it must return a sequence of hits for each of {len(request.vectors)} vectors"
    return next((problem for problem in (_breach_of(hits, request) for hits in found) if problem), None)


def _breach_of(hits: Any, request: SubRequest) -> str | None:
    if not isinstance(hits, Sequence) or any(not isinstance(hit, tuple) or len(hit) != 2 for hit in hits):
        return "hits must be pairs of an id and a cosine"
    if len(hits) > request.limit:
        return f"{len(hits)} hits exceed the limit of {request.limit}"
    keys = [key for key, _ in hits]
    if any(not isinstance(key, UUID) for key in keys):
        return f"the key of a hit must be a UUID, the `{ID_OF[request.origin]}`"
    if len(set(keys)) < len(keys):
        return "an object is returned twice"
    cosines = [cosine for _, cosine in hits]
    if any(not isinstance(cosine, float) or not abs(cosine) <= 1.001 for cosine in cosines):
        return "cosines must be floats of -1 to 1"
    if any(later > earlier for earlier, later in pairwise(cosines)):
        return "hits must be in descending order of cosines"
    if cosines and cosines[-1] < request.threshold:
        return "a cosine is below the threshold"
    return None
