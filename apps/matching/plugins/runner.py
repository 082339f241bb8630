"""Runs one plugin: its start, its threads and time limit, its circuit breaker, and checks of its contract."""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
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
EVERY_THREAD = 2**31
Found = list[list[Hit] | None]  # hits for each vector; None where the database must search


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
            is_failure=lambda error: not isinstance(error, Error),  # errors of the database are not the plugin's
        )
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=f"matching-{name}")
        self._lock = threading.Lock()
        self._start: Future[None] = self._pool.submit(self._initialize)
        self._started_s = time.monotonic()

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
            raise self._breach(f"its cost is {cost!r}, not a number")
        return float(cost)

    def search(self, request: SubRequest, database: Matcher) -> Found:
        """Return the hits for each vector; None where the plugin failed or its answer is not certain.

        Raises LunaError MATCHER_FAILED if the answer breaks the contract.
        """
        try:
            with self.breaker.guard():
                answer = self._checked(request)
        except AwayError:
            self.answers["skipped"] += len(request.vectors)
            return [None] * len(request.vectors)
        except (Error, LunaError):  # the database's: it cannot answer either
            raise
        except Exception as error:
            self.answers["failed"] += len(request.vectors)
            reason = "no answer in time" if isinstance(error, TimeoutError) else "an error"
            logger.exception("Matching plugin %s: %s; the database searches", self.name, reason)
            return [None] * len(request.vectors)
        if self.plugin.decided:
            self.answers["answered"] += len(request.vectors)
            return [list(hits) for hits in answer]
        return [self._decided(request, row, hits, database) for row, hits in enumerate(answer)]

    def _decided(self, request: SubRequest, row: int, proposed: Sequence[Hit], database: Matcher) -> list[Hit] | None:
        hits = decide(database, request, request.vectors[row], proposed)
        if isinstance(hits, list):
            self.answers["answered"] += 1
            return hits
        self.answers[hits] += 1
        if hits == "disagreed":
            logger.warning("Matching plugin %s disagrees with the database, which searches", self.name)
        return None

    def _checked(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        if self.plugin.decided:
            return self.plugin.search(request)
        asked = widened(request)
        answer = self._pool.submit(self._search, asked)
        try:
            found = answer.result(config(MatcherProxy).search_timeout)
        finally:
            answer.cancel()
        problem = breach(found, asked)
        if problem is not None:
            raise self._breach(problem)
        return [[Hit(*hit) for hit in hits] for hits in found]

    def _search(self, request: SubRequest) -> Any:
        close_old_connections()
        try:
            return self.plugin.search(request)
        finally:
            close_old_connections()

    def _breach(self, problem: str) -> LunaError:
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
        return {"ready": self.ready(), "open": self.breaker.is_open, **{name: self.answers[name] for name in names}}


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
