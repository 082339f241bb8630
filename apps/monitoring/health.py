"""Health checks: every room registers those of what it depends on, one resource runs them all.

A check is a callable without arguments that returns when all is well and raises, with a sentence, when not. It must
be quick and change nothing. Rooms register theirs in `AppConfig.ready()`.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.core.cache import cache
from django.db import connection

logger = logging.getLogger(__name__)
Check = Callable[[], None]


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

    def register(self, name: str, check: Check, *, core: bool = False) -> None:
        """`core` checks are always run, the others only when all services are asked for."""
        self._checks[name] = (check, core)

    def run(self, *, all_services: bool) -> Sequence[CheckResult]:
        return [_run(name, check) for name, (check, core) in self._checks.items() if core or all_services]


def _run(name: str, check: Check) -> CheckResult:
    start_s = time.perf_counter()
    error = None
    try:
        check()
    except Exception as problem:
        logger.warning("health check of %s failed", name, exc_info=True)
        error = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
    return CheckResult(name, round(time.perf_counter() - start_s, 6), error)


def database_check() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def redis_check() -> None:
    cache.get("healthcheck")


checks = HealthChecks()
checks.register("database", database_check, core=True)
checks.register("redis", redis_check, core=True)
