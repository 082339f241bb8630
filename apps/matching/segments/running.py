"""The builder's thread: the process that gets the lock of the var directory builds, all others only map."""

import logging
import threading

from django.db import close_old_connections, connection

from apps.common.config import config
from apps.common.process import PerProcess, Status
from apps.matching.config import DescriptorsCache
from apps.matching.segments.builder import Builder, builder_lock
from apps.matching.segments.files import segments_root

STOP_S = 5.0
logger = logging.getLogger(__name__)


class Running:
    """A thread that tries to become the builder, and then builds until it is closed."""

    def __init__(self) -> None:
        self.builder = Builder(segments_root())
        self.builds = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="list-cache-builder", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with builder_lock(self.builder.root) as held:
                    self.builds = held
                    while held and not self._stop.is_set():
                        self._step()
            except OSError:
                logger.exception("Lists cannot be brought into memory")
            self._wait()

    def _step(self) -> None:
        close_old_connections()
        try:
            self.builder.step()
        except Exception:  # the database is away, the disk is full: the database answers until the next attempt
            logger.exception("Lists cannot be brought into memory")
        self._wait()

    def _wait(self) -> None:
        self._stop.wait(config(DescriptorsCache).updating_cache_interval)

    def close(self) -> None:
        """Stop after the current list. A build that takes longer ends with the process, which loses nothing."""
        self._stop.set()
        self._thread.join(timeout=STOP_S)

    def status(self) -> Status:
        return {"builds": self.builds, "lists_over_memory_limit": self.builder.over_limit}


running = PerProcess("list cache builder", Running, close=Running.close, status=Running.status)


def build_once() -> bool:
    """Bring all lists up to date in this process; return False if another process is the builder."""
    with builder_lock(segments_root()) as held:
        if held:
            Builder(segments_root()).step()
            connection.close()
    return held
