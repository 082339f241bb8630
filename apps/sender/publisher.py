"""A thread of this process that sends committed events to Redis.

One thread keeps the order of events, and a hanging Redis does not delay responses.
"""

import logging
import queue
import threading
import time
from contextlib import suppress
from uuid import UUID

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.process import PerProcess
from apps.monitoring.traces import message_span
from apps.sender.sent import Notification, lost_notification, notification_send

logger = logging.getLogger(__name__)

PENDING_MESSAGES = 10_000
PENDING_BYTES = 64 * 1024**2
DRAIN_TIMEOUT_S = 2.0
RETRY_S = 0.2  # between two attempts while Redis is unavailable


class Publisher:
    """A bounded queue and its thread. Notifications wait while Redis is unavailable.

    Those that do not fit or cannot be sent are dropped. The websockets of their accounts are closed then.
    """

    def __init__(self) -> None:
        self._pending: queue.Queue[Notification | None] = queue.Queue(PENDING_MESSAGES)
        self._pending_bytes = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._dropped: set[UUID] = set()  # accounts whose listeners do not know it yet
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
            self._drop(notification)
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
        self._closing.set()
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
                if self._traced(notification):
                    self._announce_dropped()
            finally:
                with self._lock:
                    self._pending_bytes -= notification.size_bytes
                self._pending.task_done()

    def _announce_dropped(self) -> None:
        if self._dropped:
            with self._lock:
                account_ids, self._dropped = self._dropped, set()
            for account_id in account_ids:
                self._sent(lost_notification(account_id))

    def _traced(self, notification: Notification) -> bool:
        with message_span("notification publish", kind="PRODUCER", traceparent=notification.traceparent) as span:
            sent = self._sent(notification)
            if span is not None and not sent:
                span.fail("lost")
        return sent

    def _sent(self, notification: Notification) -> bool:
        """Send a notification, again while Redis is unavailable, and return whether it is sent."""
        waits = False
        while not self._closing.is_set():
            try:
                notification_send(notification)
                return True
            except LunaError as error:
                if error.code != errors.REDIS_DISCONNECTED:
                    self._drop(notification)
                    logger.exception("Lost a notification of account %s: %s", notification.account_id, error)
                    return False
                if not waits:
                    logger.error("Notifications wait for Redis: %s", error)
                waits = True
                self._closing.wait(RETRY_S)
        return False

    def _drop(self, notification: Notification) -> None:
        with self._lock:
            self._dropped.add(notification.account_id)


# The first event starts the thread. At the end of the process, waiting events are sent for DRAIN_TIMEOUT_S.
publisher = PerProcess("notifications", Publisher, close=Publisher.close, status=Publisher.status)
