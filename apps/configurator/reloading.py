"""Reload of stored settings in running processes: a thread polls their version, and applies a new one.

Either all changed groups take effect or none: after a failure the process keeps its values, logs the reason, and tries
again when the settings change again or at the next start.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from django.db import connection

from apps.common.config import (
    GROUPS,
    Changed,
    Directories,
    SettingsError,
    after_refresh,
    config,
    refresh,
    stored_source,
    use_stored,
    waiting_groups,
)
from apps.common.process import PerProcess
from apps.configurator.config import Configurator
from apps.configurator.stored import KEPT, NO_VERSION, Snapshot, StartValues, kept_write, values_read, version_read

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Reloader:
    """Applies stored settings of this process. `error`: why the last attempt failed, empty if it did not."""

    def __init__(self) -> None:
        source = stored_source()
        self.version = source.snapshot.version if isinstance(source, StartValues) else NO_VERSION
        self.problems = dict(source.problems) if isinstance(source, StartValues) else {}
        self.waiting: frozenset[str] = frozenset()
        self.error = " ".join(self.problems.values())
        self.tried = self.version
        self.polled_at = time.time()
        self._away = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> "Reloader":
        """Poll in a thread, unless the operator has switched it off."""
        settings = config(Configurator)
        if settings.use_stored and settings.config_reload and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="settings", daemon=True)
            self._thread.start()
        return self

    def poll(self) -> None:
        """Apply the stored settings if their version is new. A failure is logged once per version."""
        try:
            version = _read(version_read)
            self.polled_at, self._away = time.time(), False
            if version in (self.version, self.tried):
                return
            self.apply(_read(lambda cursor: values_read(cursor, config(Configurator).tags_by_name)))
        except SettingsError as error:
            self.tried, self.error = version, str(error)
            logger.error("Stored settings are not applied: %s", error)
        except Exception as error:
            if not self._away:
                logger.warning("Stored settings cannot be read, the present ones stay: %s", error)
            self._away = True

    def apply(self, snapshot: Snapshot) -> None:
        """Make a snapshot the source of the settings door. Raises SettingsError; then nothing has changed."""
        before = stored_source()
        use_stored(snapshot)
        done: list[Callable[[Changed], None]] = []
        try:
            waiting = waiting_groups()
            changed = refresh()
            for effect in after_refresh:
                effect(changed)
                done.append(effect)
        except Exception as error:
            use_stored(before)
            restored = refresh()
            for effect in done:
                effect(restored)
            raise error if isinstance(error, SettingsError) else SettingsError(str(error)) from error
        self.version, self.waiting, self.error = snapshot.version, waiting, ""
        kept_write(config(Directories).var / KEPT, snapshot)
        if changed:
            logger.info("Settings have changed: %s", ", ".join(sorted(GROUPS[model].name for model in changed)))
        if waiting:
            logger.warning("Settings take effect at the next start: %s", ", ".join(sorted(waiting)))

    def status(self) -> Mapping[str, object]:
        """Return version, error and the groups whose changes need a restart."""
        return {
            "version": self.version,
            "error": self.error,
            "restart": ", ".join(sorted(self.waiting)),
            "polled_s": max(0.0, time.time() - self.polled_at),
        }

    def close(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(config(Configurator).pulling_time):
            self.poll()
        connection.close()


def _read(read: Callable[[Any], T]) -> T:
    """Read with the connection of this thread. After a failure the next read opens another one."""
    try:
        with connection.cursor() as cursor:
            return read(cursor)
    except SettingsError:
        raise
    except Exception:
        with suppress(Exception):
            connection.close()
        raise


reloader = PerProcess("settings", Reloader, close=Reloader.close, status=Reloader.status)
