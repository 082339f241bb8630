"""Storage of events after the answer (`wait_saving=0`): a queue in memory over a file, stored in micro-batches.

The file makes the answer true: after it, the event survives a crash of the process and an outage of the database.
Concurrent requests share syncs of the file and transactions of the database.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction

from apps.accounts.models import Account
from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.process import PerProcess, Status
from apps.events.config import EventsStorage
from apps.events.copying import events_copy
from apps.events.services import events_taken
from apps.events.spool import Saving, SpoolFile, packed, reject, spool_files
from apps.events.types import EventRecord

BATCH_EVENTS = 200
FILE_BYTES = 16 * 2**20  # a larger file ends, and another one begins, if the queue never becomes empty
RETRY_S = 1.0
CLOSE_S = 10.0
UNAVAILABLE = (OperationalError, InterfaceError)

logger = logging.getLogger(__name__)


def savings_store(savings: Sequence[Saving], *, known: bool) -> None:
    """Store events in one transaction, and one by one if the database rejects one of them.

    `known`: an event may be stored already, which its id shows; it is stored once. An event of a deleted account is
    dropped, any other rejected one is kept in a file. Raises OperationalError and InterfaceError while the database is
    not available.
    """
    try:
        _store(savings, known=known)
    except UNAVAILABLE:
        raise
    except Exception:
        for saving in savings:
            _store_or_reject(saving)


def _store(savings: Sequence[Saving], *, known: bool) -> None:
    with transaction.atomic():
        if known:
            named = {record.draft.event_id: (account_id, record) for account_id, record in savings}
            taken = events_taken(named)
            savings = [saving for event_id, saving in named.items() if event_id not in taken]
        if savings:
            events_copy(savings)


def _store_or_reject(saving: Saving) -> None:
    try:
        _store([saving], known=True)
    except UNAVAILABLE:
        raise
    except Exception:
        account_id, record = saving
        if Account.objects.filter(pk=account_id, deletion_time=None).exists():
            logger.exception("Event %s cannot be stored; it is kept in %s", record.draft.event_id, reject(saving))


Recovered = Callable[[Sequence[Saving]], None]
_on_recovered: list[Recovered] = []


def register_recovered(call: Recovered) -> None:
    """Register a function that is called with events that `spool_recover` has stored."""
    _on_recovered[:] = [call]


def spool_recover() -> int:
    """Store the events of processes that have ended, and return their number. Propagates errors of the database."""
    count = 0
    for path, savings in spool_files():
        for start in range(0, len(savings), BATCH_EVENTS):
            batch = savings[start : start + BATCH_EVENTS]
            savings_store(batch, known=True)
            for call in _on_recovered:
                call(batch)
        path.unlink()
        count += len(savings)
        logger.info("%s events of an ended process are stored", len(savings))
    return count


def _recover() -> None:
    try:
        spool_recover()
    except Exception:
        logger.exception("Events of ended processes are not stored yet; a later run repeats it")
        connection.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Queued:
    """Event in the queue, with the file that has it. `given_id`: a client chose its id."""

    saving: Saving
    file: SpoolFile
    given_id: bool


class Saver:
    """Queue of this process, and the thread that stores its events."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[_Queued] = deque()
        self._closing = self._repeating = False
        self._file = SpoolFile()
        self._ended: list[SpoolFile] = []  # with events that are not stored yet
        self._thread = threading.Thread(target=self._run, name="event saver", daemon=True)
        self._thread.start()

    def check(self, count: int) -> None:
        """Raise LunaError EVENTS_SHUTDOWN or EVENTS_QUEUE_FULL if `count` events would not be accepted now."""
        if self._closing:
            raise LunaError(errors.EVENTS_SHUTDOWN)
        if self._pending() + count > config(EventsStorage).save_queue_length:
            raise LunaError(errors.EVENTS_QUEUE_FULL, headers={"Retry-After": "1"})

    def _pending(self) -> int:
        return sum(file.pending for file in (self._file, *self._ended))

    def submit(self, *, account_id: UUID, records: Sequence[EventRecord], given_ids: bool) -> None:
        """Write events to disk and queue them. Raises the errors of `events_enqueue`."""
        savings = [(account_id, record) for record in records]
        with self._changed:
            self.check(len(savings))
            file = self._file
            file.reserve(len(savings))
        try:
            file.append([packed(saving) for saving in savings])
        except Exception as error:
            file.stored(len(savings))
            logger.exception("Events cannot be written to %s", file.path)
            raise LunaError(errors.EVENTS_SAVE_FAILED, "the events cannot be written to disk") from error
        with self._changed:
            self._queue.extend(_Queued(saving, file, given_ids) for saving in savings)
            self._changed.notify_all()

    def close(self) -> None:
        """Accept no more events, and store those of the queue; the rest is left to `spool_recover`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(CLOSE_S)
        if not self._thread.is_alive():
            for file in (self._file, *self._ended):
                file.close()

    def status(self) -> Status:
        return {"events": self._pending(), "bytes": self._file.size}

    def _run(self) -> None:
        try:
            _recover()
            while batch := self._next():
                self._save(batch)
        finally:
            connection.close()

    def _next(self) -> list[_Queued]:
        """Wait for events and return the first ones; nothing once the queue is closed, and empty or not storable."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            return [] if self._closing and self._repeating else list(islice(self._queue, BATCH_EVENTS))

    def _save(self, batch: Sequence[_Queued]) -> None:
        try:
            known = self._repeating or any(each.given_id for each in batch)
            savings_store([each.saving for each in batch], known=known)
        except Exception:  # of the database, or of the file of a rejected event; the events stay in their file
            logger.exception("Events are not stored yet; the next attempt is in %s s", RETRY_S)
            connection.close()
            self._repeating = True  # a lost connection does not show whether the commit was successful
            with self._changed:
                self._changed.wait_for(lambda: self._closing, RETRY_S)
            return
        self._repeating = False
        with self._changed:
            for _ in batch:
                self._queue.popleft()
            for file, count in Counter(each.file for each in batch).items():
                file.stored(count)
            self._rotate()

    def _rotate(self) -> None:
        """Begin another file if this one is large, and close files whose events are all stored."""
        if self._file.size > FILE_BYTES:
            self._ended.append(self._file)
            self._file = SpoolFile()
        for file in [file for file in self._ended if file.pending == 0]:
            file.close()
            self._ended.remove(file)


saver = PerProcess("event saver", Saver, close=Saver.close, status=Saver.status)


def events_enqueue(*, account_id: UUID, records: Sequence[EventRecord], given_ids: bool = False) -> None:
    """Write events to disk and store them later, in order. Once this returns, a crash does not lose them.

    `given_ids`: clients chose the ids; an event whose id exists is dropped. Raises LunaError EVENTS_QUEUE_FULL,
    EVENTS_SHUTDOWN while the process ends, EVENTS_SAVE_FAILED if the disk is full or fails.
    """
    saver().submit(account_id=account_id, records=records, given_ids=given_ids)


def enqueue_check(count: int) -> None:
    """Raise the LunaError that `events_enqueue` would raise for `count` events, as far as is known now."""
    saver().check(count)
