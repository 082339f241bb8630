"""The threads of a worker process that deliver callbacks."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

from django.db import InterfaceError, OperationalError, close_old_connections, connection

from apps.common.process import PerProcess, Status
from apps.common.wakeups import Listener
from apps.sender.delivery.courier import Attempt, Courier
from apps.sender.delivery.queue import Claimed
from apps.sender.delivery.wakeup import CHANNEL

logger = logging.getLogger(__name__)

THREADS = 32  # attempts at a time; a thread that waits for a server costs little
POLL_S = 1.0  # retries that became due, and callbacks whose wake-up was lost
PAUSE_S = 2.0  # after an error of the database
CLEAN_S = 60.0
STOP_S = 5.0


class Deliverer:
    """One thread claims callbacks and stores results, a thread per attempt delivers. Several workers share the queue.

    If the process dies, its claimed callbacks are delivered after their leases, under the same ids.
    """

    def __init__(self) -> None:
        self.courier = Courier()
        self._changed = threading.Condition()
        self._woken = True
        self._closed = False
        self._running = 0
        self._done: deque[Attempt] = deque()
        self._cleaned_at = -CLEAN_S
        self._thread = threading.Thread(target=self._run, name="callback-dispatcher", daemon=True)
        self._thread.start()
        self._listener = Listener(CHANNEL, self.wake)

    def wake(self) -> None:
        """Look for due callbacks now."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """Claim no more, wait `STOP_S` for running attempts and store their results."""
        self._listener.close()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(STOP_S + PAUSE_S)

    def status(self) -> Status:
        return {"threads": THREADS, **self.courier.status()}

    def _run(self) -> None:
        try:
            while not self._closed:
                try:
                    self._step()
                except Exception:  # the database is away, for example; the results stay in `_done`
                    logger.exception("Callbacks wait")
                    self._sleep(PAUSE_S)
            self._finish()
        finally:
            connection.close()

    def _step(self) -> None:
        """Store results, claim what there is room for, and wait for a change if nothing was due."""
        close_old_connections()
        with self._changed:
            self._woken = False
        self._settle()
        if time.monotonic() - self._cleaned_at > CLEAN_S:
            self._cleaned_at = time.monotonic()
            self.courier.clean()
        free = THREADS - self._running
        claimed = self.courier.claim(free) if free else []
        for each in claimed:
            self._start(each)
        if not claimed:
            with self._changed:
                self._changed.wait_for(lambda: self._woken or self._done or self._closed, POLL_S)

    def _start(self, claimed: Claimed) -> None:
        with self._changed:
            self._running += 1
        threading.Thread(target=self._attempt, args=(claimed,), name="callback", daemon=True).start()

    def _attempt(self, claimed: Claimed) -> None:
        attempt = self.courier.attempt(claimed)
        with self._changed:
            self._running -= 1
            self._done.append(attempt)
            self._changed.notify_all()

    def _settle(self) -> None:
        attempts = [*self._done]
        if attempts:
            self._store(attempts)
            for _ in attempts:
                self._done.popleft()

    def _store(self, attempts: Sequence[Attempt]) -> None:
        """Store results; one that the database rejects does not stop the others: its callback is delivered again."""
        try:
            self.courier.settle(attempts)
        except (OperationalError, InterfaceError, OSError):  # the database is away
            raise
        except Exception:
            if len(attempts) == 1:
                logger.exception("The result of callback %s cannot be stored", attempts[0].claimed.callback_id)
                return
            for each in attempts:
                self._store([each])

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)

    def _finish(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._running, STOP_S)
        try:
            self._settle()
        except Exception:
            logger.exception("Results of callbacks are lost: they will be delivered again")


deliverer = PerProcess("callbacks", Deliverer, close=Deliverer.close, status=Deliverer.status)
