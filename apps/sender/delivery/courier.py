"""Attempts to deliver claimed callbacks: limits and circuit breakers of servers, backoff."""

import logging
import random
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from apps.common.breaker import AwayError, Breaker
from apps.common.config import config
from apps.monitoring.traces import message_span
from apps.sender.config import Callbacks
from apps.sender.delivery import queue
from apps.sender.delivery.queue import Claimed, Failed
from apps.sender.targets import TARGETS, PermanentError, TransientError

logger = logging.getLogger(__name__)
K = TypeVar("K")

FAILURES = 5  # in a row open the breaker of a server
PAUSE_S = 30.0
MAX_BREAKERS = 10_000
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of an attempt; `failed` None: delivered."""

    claimed: Claimed
    failed: Failed | None = None


class Courier:
    """Delivers callbacks of one process. Claims and results need a database connection, attempts do not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: Counter[UUID] = Counter()  # callbacks in delivery
        self._accounts: Counter[UUID | None] = Counter()
        self._breakers: dict[UUID, Breaker] = {}
        self.counts: Counter[str] = Counter()

    def claim(self, slots: int) -> list[Claimed]:
        """Claim at most `slots` due callbacks whose servers may be called now."""
        claimed = queue.claim(slots=slots, server_rooms=self._server_rooms(), account_rooms=self._account_rooms())
        with self._lock:
            self._servers.update(each.server for each in claimed)
            self._accounts.update(each.account_id for each in claimed)
        return claimed

    def attempt(self, claimed: Claimed) -> Attempt:
        """Deliver one callback. Never raises."""
        try:
            with _span(claimed), self._breaker(claimed.server).guard():
                TARGETS[claimed.kind].unpacked(claimed.target).deliver(claimed.callback_id, claimed.payload)
        except TransientError as error:
            # A target cannot delay a retry by more than the longest delay of our own.
            wait_s = min(error.wait_s, config(Callbacks).retry_longest)
            return Attempt(claimed, Failed(claimed, max(wait_s, _delay_s(claimed.attempts)), str(error)))
        except AwayError as error:
            return Attempt(claimed, Failed(claimed, _delay_s(claimed.attempts), str(error)))
        except PermanentError as error:
            return Attempt(claimed, Failed(claimed, NEVER, str(error)))
        except Exception:
            logger.exception("Callback %s to %s failed", claimed.callback_id, claimed.place)
            return Attempt(claimed, Failed(claimed, _delay_s(claimed.attempts), "internal error: see the log"))
        finally:
            with self._lock:
                _take(self._servers, claimed.server)
                _take(self._accounts, claimed.account_id)
        return Attempt(claimed)

    def settle(self, attempts: Iterable[Attempt]) -> None:
        """Store the results of attempts. Propagates errors of the database; a repetition does no harm."""
        attempts = list(attempts)
        done = [each.claimed.key for each in attempts if each.failed is None]
        failures = [each.failed for each in attempts if each.failed is not None]
        if done:
            queue.delivered(done)
            self.counts["delivered"] += len(done)
        if failures:
            self._store(failures)

    def clean(self) -> None:
        """Bury callbacks whose time is over, and remove old dead letters."""
        expired = queue.expire_and_clean()
        if expired:
            logger.error("%d callbacks could not be delivered in time", expired)
            self.counts["dead"] += expired

    def status(self) -> dict[str, object]:
        """Return the callbacks in delivery, the servers with an open breaker, and counts since the start."""
        with self._lock:
            open_servers = sum(breaker.is_open for breaker in self._breakers.values())
            running = self._servers.total()
        names = ("delivered", "failed", "dead")
        return {"running": running, "open_servers": open_servers, **{name: self.counts[name] for name in names}}

    def _store(self, failures: Sequence[Failed]) -> None:
        for each in queue.failed(failures):
            self.counts["dead" if each.dead else "failed"] += 1
            level = logging.ERROR if each.dead else logging.WARNING
            state = "is a dead letter" if each.dead else "is retried"
            logger.log(level, "Callback %s to %s %s: %s", each.callback_id, each.place, state, each.error)

    def _server_rooms(self) -> dict[UUID, int]:
        most = config(Callbacks).target_calls
        with self._lock:
            rooms = {server: most - running for server, running in self._servers.items()}
            for server, breaker in self._breakers.items():
                if breaker.is_open:
                    rooms[server] = breaker.room()
        return rooms

    def _account_rooms(self) -> dict[UUID, int]:
        most = config(Callbacks).account_calls
        with self._lock:
            return {account_id: most - running for account_id, running in self._accounts.items() if account_id}

    def _breaker(self, server: UUID) -> Breaker:
        at_once = config(Callbacks).target_calls
        with self._lock:
            if server not in self._breakers:
                if len(self._breakers) >= MAX_BREAKERS:
                    self._breakers = {key: each for key, each in self._breakers.items() if self._servers[key]}
                self._breakers[server] = Breaker(
                    at_once=at_once,
                    failures=FAILURES,
                    pause_s=PAUSE_S,
                    patience_s=0.0,
                    is_failure=lambda error: isinstance(error, TransientError),
                )
            self._breakers[server].at_once = at_once  # the setting may have changed
            return self._breakers[server]


def _span(claimed: Claimed) -> AbstractContextManager[object]:
    """Return the span of an attempt, in the trace that created the callback."""
    return message_span(
        f"callback {claimed.kind}", kind="CLIENT", traceparent=claimed.traceparent, attempt=claimed.attempts
    )


def _take(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


def _delay_s(attempts: int) -> float:
    """Return the seconds until the next attempt: exponential, with a random factor of 0.5 to 1."""
    settings = config(Callbacks)
    longest = min(settings.retry_longest, settings.retry_first * 2.0 ** min(attempts - 1, 60))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, is no secret
