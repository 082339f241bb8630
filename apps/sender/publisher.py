"""A thread of this process that sends committed events to Redis.

One thread keeps the order of events, and a hanging Redis does not delay responses.
"""

import logging
import queue
import threading
import time
from contextlib import suppress

from apps.common.process import PerProcess
from apps.sender.sent import Notification, notification_send

logger = logging.getLogger(__name__)

PENDING_MESSAGES = 10_000
PENDING_BYTES = 64 * 1024**2
DRAIN_TIMEOUT_S = 2.0


class Publisher:
    """A bounded queue and its thread. Notifications that do not fit or cannot be sent are logged and dropped."""

    def __init__(self) -> None:
        self._pending: queue.Queue[Notification | None] = queue.Queue(PENDING_MESSAGES)
        self._pending_bytes = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="sender-publisher", daemon=True)
        self._thread.start()

    def submit(self, notification: Notification) -> None:
        """Queue a notification without blocking. It is sent within milliseconds while Redis answers."""
        try:
            with self._lock:
                if self._pending_bytes + notification.size_bytes > PENDING_BYTES:
                    raise queue.Full
                self._pending.put_nowait(notification)
                self._pending_bytes += notification.size_bytes
        except queue.Full:
            logger.error(
                "Dropped a notification of account %s: %d are waiting for Redis",
                notification.account_id,
                self._pending.qsize(),
            )

    def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        """Wait until all notifications are sent, at most `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while self._pending.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)

    def close(self) -> None:
        """Drain the queue and end the thread. Notifications that `drain` leaves are lost."""
        self.drain()
        with suppress(queue.Full):
            self._pending.put_nowait(None)

    def status(self) -> dict[str, object]:
        """Return the waiting notifications, their bytes, and both limits."""
        return {
            "pending_messages": self._pending.qsize(),
            "max_messages": PENDING_MESSAGES,
            "pending_bytes": self._pending_bytes,
            "max_bytes": PENDING_BYTES,
        }

    def _run(self) -> None:
        while (notification := self._pending.get()) is not None:
            try:
                notification_send(notification)
            except Exception as error:
                logger.exception("Lost a notification of account %s: %s", notification.account_id, error)
            finally:
                with self._lock:
                    self._pending_bytes -= notification.size_bytes
                self._pending.task_done()


# The first event starts the thread. At the end of the process, waiting events are sent for DRAIN_TIMEOUT_S.
publisher = PerProcess("notifications", Publisher, close=Publisher.close, status=Publisher.status)
