"""Health checks: every room registers those of what it depends on, one resource runs them all.

A check is a callable without arguments that returns when all is well and raises, with a sentence, when not. It must
change nothing. Rooms register theirs in `AppConfig.ready()`.

Checks run in threads of their own, all at the same time: the answer comes within `PATIENCE_S`, whatever hangs.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS, connections

from apps.common.errors import LunaError
from apps.common.redis_client import client

logger = logging.getLogger(__name__)
Check = Callable[[], None]

PATIENCE_S = 1.5
# A component that was well so long ago is not asked again: anybody may ask for the health.
REUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One component: its name, how long the check took in seconds, and what is wrong, if anything."""

    name: str
    execution_time: float
    error: str | None

    @property
    def healthy(self) -> bool:
        return self.error is None


class HealthChecks:
    """The checks of this process, in the order of registration."""

    def __init__(self) -> None:
        self._checks: dict[str, tuple[Check, bool]] = {}
        self._probes: dict[str, Probe] = {}
        self._lock = threading.Lock()

    def register(self, name: str, check: Check, *, core: bool = False) -> None:
        """`core` checks are always run, the others only when all services are asked for."""
        self._checks[name] = (check, core)

    def run(self, *, all_services: bool) -> Sequence[CheckResult]:
        """The result of each check, at the latest after `PATIENCE_S`."""
        deadline = time.monotonic() + PATIENCE_S
        wanted = [(name, check) for name, (check, core) in self._checks.items() if core or all_services]
        probes = [self._probe(name, check) for name, check in wanted]
        return [probe.result(deadline) for probe in probes]

    def forget(self) -> None:
        """Ask every component again."""
        with self._lock:
            self._probes.clear()

    def _probe(self, name: str, check: Check) -> "Probe":
        """The probe that runs or was well a moment ago, otherwise a new one. What hangs holds one thread."""
        with self._lock:
            probe = self._probes.get(name)
            if probe is None or probe.is_over:
                probe = self._probes[name] = Probe(name, check)
            return probe


class Probe:
    """One run of a check, in a thread."""

    def __init__(self, name: str, check: Check) -> None:
        self.name, self.check = name, check
        self.started = time.monotonic()
        self.found: CheckResult | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, name=f"health-{name}", daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether a new probe is to be made."""
        found = self.found
        return found is not None and (not found.healthy or time.monotonic() - self.started > REUSE_S)

    def result(self, deadline: float) -> CheckResult:
        """Wait until `deadline` (of `time.monotonic`) for the result."""
        self._done.wait(max(0.0, deadline - time.monotonic()))
        waited_s = time.monotonic() - self.started
        return self.found or CheckResult(self.name, round(waited_s, 6), f"no answer within {waited_s:.1f} seconds")

    def _run(self) -> None:
        error = None
        try:
            self.check()
        except Exception as problem:
            logger.warning("health check of %s failed", self.name, exc_info=True)
            words = (problem.detail if isinstance(problem, LunaError) else str(problem)).strip()
            error = words.splitlines()[0] if words else type(problem).__name__
        self.found = CheckResult(self.name, round(time.monotonic() - self.started, 6), error)
        self._done.set()


def database_check() -> None:
    with closing(connections.create_connection(DEFAULT_DB_ALIAS)) as own, own.cursor() as cursor:
        cursor.execute("SELECT 1")


def redis_check() -> None:
    client().ping()


checks = HealthChecks()
checks.register("database", database_check, core=True)
checks.register("redis", redis_check, core=True)
