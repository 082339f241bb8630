"""Health checks of the services that rooms depend on.

A check is a callable without arguments. It raises an exception when its service is not healthy. It must change nothing.
Rooms register their checks in `AppConfig.ready()`.

The health resource is public, and texts of exceptions contain connection strings, host names and paths. Clients get the
fixed reason of the check, the log and the overview of the admin site get the exception.

Checks run concurrently, each in its own thread, so that results are available within `PATIENCE_S` even if one hangs.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from django.db import DEFAULT_DB_ALIAS, connections

from apps.common.errors import LunaError
from apps.common.redis_client import client
from apps.monitoring.processes import require_process

logger = logging.getLogger(__name__)
Check = Callable[[], None]

PATIENCE_S = 1.5
# A healthy result is reused for this time, because the health resource is public.
REUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check: component, duration in seconds, and what failed (None when healthy).

    `error` is for operators, `reason` for anonymous clients.
    """

    name: str
    execution_time: float
    error: str | None = None
    reason: str | None = None

    @property
    def healthy(self) -> bool:
        return self.error is None


class HealthChecks:
    """The checks of this process, in the order of registration."""

    def __init__(self) -> None:
        self._checks: dict[str, tuple[Check, str, bool]] = {}
        self._probes: dict[str, Probe] = {}
        self._lock = threading.Lock()

    def register(self, name: str, check: Check, *, reason: str, core: bool = False) -> None:
        """Register a check. `core` checks always run, the others only when all services are requested.

        `reason`: what clients read when the check fails.
        """
        self._checks[name] = (check, reason, core)

    def names(self) -> Sequence[str]:
        """Return the names of the checks."""
        return tuple(self._checks)

    def run(self, *, all_services: bool) -> Sequence[CheckResult]:
        """Run the checks and return their results after `PATIENCE_S` at the latest."""
        deadline = time.monotonic() + PATIENCE_S
        probes = [
            self._probe(name, check, reason)
            for name, (check, reason, core) in self._checks.items()
            if core or all_services
        ]
        return [probe.result(deadline) for probe in probes]

    def forget(self) -> None:
        """Drop all results, so that the next call runs all checks."""
        with self._lock:
            self._probes.clear()

    def _probe(self, name: str, check: Check, reason: str) -> "Probe":
        """Return the running or recent healthy probe, else a new one. A hanging check occupies one thread only."""
        with self._lock:
            probe = self._probes.get(name)
            if probe is None or probe.is_over:
                probe = self._probes[name] = Probe(name, check, reason)
            return probe


class Probe:
    """A run of a check in its own thread."""

    def __init__(self, name: str, check: Check, reason: str) -> None:
        self.name, self.check, self.reason = name, check, reason
        self.started = time.monotonic()
        self.found: CheckResult | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, name=f"health-{name}", daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether a new probe is needed."""
        found = self.found
        return found is not None and (not found.healthy or time.monotonic() - self.started > REUSE_S)

    def result(self, deadline: float) -> CheckResult:
        """Return the result, waiting for it until `deadline` (seconds of `time.monotonic`)."""
        self._done.wait(max(0.0, deadline - time.monotonic()))
        if self.found is not None:
            return self.found
        waited_s = time.monotonic() - self.started
        late = f"no answer within {waited_s:.1f} seconds"
        return CheckResult(self.name, round(waited_s, 6), late, late)

    def _run(self) -> None:
        error = reason = None
        try:
            self.check()
        except Exception as problem:
            logger.warning("Health check of %s failed", self.name, exc_info=True)
            words = (problem.detail if isinstance(problem, LunaError) else str(problem)).strip()
            error, reason = words.splitlines()[0] if words else type(problem).__name__, self.reason
        self.found = CheckResult(self.name, round(time.monotonic() - self.started, 6), error, reason)
        self._done.set()


def database_check() -> None:
    with closing(connections.create_connection(DEFAULT_DB_ALIAS)) as own, own.cursor() as cursor:
        cursor.execute("SELECT 1")


def redis_check() -> None:
    client().ping()


checks = HealthChecks()
checks.register("database", database_check, reason="the database does not answer", core=True)
checks.register("redis", redis_check, reason="Redis disconnected", core=True)
checks.register("worker", partial(require_process, "worker"), reason="no worker runs: tasks and callbacks wait")
checks.register("beat", partial(require_process, "beat"), reason="no scheduler runs: schedules and clean-up wait")
