"""Router: the matcher that sends each sub-request to the plugin with the lowest cost, or to the database."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from apps.common.config import config
from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.parts import MATCHER_PROXY, part_is_on
from apps.common.process import PerProcess, Status
from apps.matching.config import MatcherProxy
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.engine.protocol import Hit, Matcher
from apps.matching.plugins.contract import DATABASE_COST, SubRequest
from apps.matching.plugins.fast import Fast
from apps.matching.plugins.list_cache import ListCache
from apps.matching.plugins.loading import MATCHING_PLUGINS
from apps.matching.plugins.runner import Runner
from apps.matching.types import Candidates


class Plugins:
    """The plugins of this process: built-in ones first, then the active ones in their order."""

    def __init__(self, built_in: Sequence[Runner], active: Sequence[Runner]) -> None:
        self.built_in, self.active = tuple(built_in), tuple(active)

    @classmethod
    def loaded(cls) -> "Plugins":
        """Load and start the built-in and the active plugins."""
        active = [Runner(name, plugin) for name, plugin in MATCHING_PLUGINS.load(config(MatcherProxy).active_plugins)]
        return cls([Runner("fast", Fast()), Runner("list_cache", ListCache())], active)

    def used(self) -> tuple[Runner, ...]:
        """Return the plugins that get sub-requests."""
        return self.built_in + (self.active if part_is_on(MATCHER_PROXY) else ())

    def close(self) -> None:
        for runner in self.built_in + self.active:
            runner.close()

    def status(self) -> Status:
        return {
            f"{runner.name}_{name}": value
            for runner in self.built_in + self.active
            for name, value in runner.status().items()
        }


plugins = PerProcess("matching plugins", Plugins.loaded, close=Plugins.close, status=Plugins.status)


COUNTS = ("requests", "sub_requests", "database", "handed_back", "errors")


class Searches:
    """What the router has done in this process. A sub-request is one vector with its candidates."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        self._seconds = 0.0

    def count(self, counts: Mapping[str, int], seconds: float) -> None:
        with self._lock:
            self._counts.update(counts)
            self._seconds += seconds

    def status(self) -> Status:
        with self._lock:
            return {**self._counts, "seconds": self._seconds}


searches = PerProcess("matching", Searches, status=Searches.status)


class Router:
    """Exact implementation of `protocol.Matcher`: the answers are those of the database.

    A sub-request is one vector with the candidates. Each is routed alone; those of one plugin are searched together.
    """

    def __init__(
        self, database: Matcher | None = None, runners: Callable[[], Sequence[Runner]] = lambda: plugins().used()
    ) -> None:
        self.database: Matcher = database or DatabaseMatcher()
        self.runners = runners

    def search(
        self,
        candidates: Candidates,
        version: DescriptorVersion,
        vectors: Sequence[Vector],
        limit: int,
        threshold: float,
    ) -> list[list[Hit]]:
        """Search as the protocol says. Raises LunaError MATCHER_FAILED if a plugin breaks its contract."""
        request = SubRequest(candidates, version, vectors, limit, threshold)
        counts = Counter(requests=1, sub_requests=len(vectors), errors=1)
        started = time.perf_counter()
        try:
            found = self._found(request, counts)
            counts["errors"] = 0
        finally:
            searches().count(counts, time.perf_counter() - started)
        return found

    def _found(self, request: SubRequest, counts: Counter[str]) -> list[list[Hit]]:
        """Search, and count the sub-requests of the database and those that plugins handed back to it."""
        vectors = request.vectors
        runners = self.runners()
        rows_of: dict[Runner, list[int]] = defaultdict(list)
        for row, vector in enumerate(vectors):
            runner = cheapest(runners, request.of([vector]))
            if runner is not None:
                rows_of[runner].append(row)
        found: list[list[Hit] | None] = [None] * len(vectors)
        for runner, rows in rows_of.items():
            hits = runner.search(request.of([vectors[row] for row in rows]), self.database)
            counts["handed_back"] += sum(1 for each in hits if each is None)
            for row, each in zip(rows, hits, strict=True):
                found[row] = each
        left = [row for row, hits in enumerate(found) if hits is None]
        counts["database"] += len(left)
        if left:
            own = self.database.search(
                request.candidates, request.version, [vectors[row] for row in left], request.limit, request.threshold
            )
            for row, each in zip(left, own, strict=True):
                found[row] = each
        return [hits or [] for hits in found]


def cheapest(runners: Sequence[Runner], request: SubRequest) -> Runner | None:
    """Return the plugin with the lowest cost below the database's, the first of equal ones; None for the database."""
    costs = [runner.cost(request) for runner in runners]
    lowest = min(costs, default=DATABASE_COST)
    return runners[costs.index(lowest)] if lowest < DATABASE_COST else None
