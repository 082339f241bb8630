"""Synchronization of lists to Milvus, by a thread of one worker.

Each step applies the changes of the lists since the last one, by the same logs that copies in memory follow. Every
change is idempotent, so a step that was interrupted is repeated, by any worker.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.db import close_old_connections

from apps.common.config import config
from apps.common.descriptors import DescriptorVersion, versions
from apps.common.errors import LunaError
from apps.common.locks import advisory_lock
from apps.common.parts import MATCHER_PROXY, part_is_on
from apps.common.process import PerProcess, Status
from apps.common.scope import Scope
from apps.faces.changes import GapError, ListKeys, Mark, cluster, decide, delta, lists_of_at_least, snapshot
from apps.faces.descriptors import faces_vectors
from apps.matching.config import DescriptorsCache, MatcherProxy, MilvusServer
from apps.matching.milvus.store import Entry, MilvusStore, milvus

logger = logging.getLogger(__name__)

NAME = "milvus"  # of the plugin
PAGE_ROWS = 5000
SETTLE_S = 10.0  # after which all searches see what was written: twice Milvus's bound of staleness
RETIRED_S = 60.0  # after which no process searches a retired copy
RENEW_S = 3600.0  # age of a mark from which it is renewed: the log of changes is kept for a day
STOP_S = 5.0


@dataclass(slots=True)
class Progress:
    """What a copy contains at least (`last`), and the marks that are not published yet, with their times."""

    last: Mark
    waiting: deque[tuple[float, Mark]] = field(default_factory=deque)


class Sync:
    """Keeps the copies of all lists true.

    A mark is published when every search sees its changes, `settle_s` after they were written. Searches add the changes
    since then themselves.
    """

    def __init__(
        self,
        store: MilvusStore,
        *,
        settle_s: float = SETTLE_S,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.store, self.settle_s, self._clock, self._wait = store, settle_s, clock, wait
        self._progress: dict[int, Progress] = {}  # by copy

    def step(self) -> bool:
        """Bring all copies up to date; return False if another process does.

        A gap in the log of one list leaves the others alone. Errors of Milvus and the database are propagated.
        """
        with advisory_lock("lists in Milvus") as ours:
            if ours:
                self._step()
        return ours

    def _step(self) -> None:
        identity = cluster()
        used: dict[int, Entry] = {}
        for entry in self.store.entries():
            if entry.state == "building":  # the process that built it has ended
                self.store.copy_delete(entry)
            elif entry.state == "retired":
                self._forget(entry)
            elif entry.list_key in used or not _is_wanted(entry, identity):
                self._retire(entry)
            else:
                used[entry.list_key] = entry
        self._progress = {copy: each for copy, each in self._progress.items() if copy in _copies(used)}
        built = [self._build(row, version, identity) for row, version in lists_wanted() if row.key not in used]
        for entry in used.values():
            try:
                self._update(entry)
            except GapError:
                logger.exception("List %s is copied to Milvus anew", entry.list_id)
                self._retire(entry)
        if any(built):
            self._wait(self.settle_s)
            for each in filter(None, built):
                self.store.entry_write(each.with_state("ready"))

    def _retire(self, entry: Entry) -> None:
        retired = entry.with_state("retired")
        self.store.entry_write(retired)
        self._forget(retired)

    def _forget(self, entry: Entry) -> None:
        """Delete a retired copy: at once if its list is gone, else when no process searches it any more."""
        exists = lists_of_at_least(faces=0, include=[UUID(entry.list_id)], exclude=())
        if not exists or abs(time.time() - entry.since_s) > RETIRED_S:
            self.store.copy_delete(entry)

    def _build(self, row: ListKeys, version: DescriptorVersion, identity: str) -> Entry | None:
        """Copy a whole list; return None if it was deleted. Its mark is older than all that is copied."""
        with snapshot(list_key=row.key) as mark:
            pass
        if mark is None:
            return None
        entry = Entry.new(
            list_key=row.key,
            list_id=str(row.list_id),
            account_id=str(row.account_id),
            version=version.version,
            dimension=version.dimension,
            cluster=identity,
            mark=mark,
        )
        self.store.entry_write(entry)
        after = rows = 0
        while (page := faces_vectors(
            scope=Scope(None), filters={"list_id": row.list_id}, version=version, after=after, limit=PAGE_ROWS
        )).ids:  # fmt: skip
            self.store.rows_write(entry, page.keys, page.vectors)
            after, rows = int(page.keys[-1]), rows + len(page.ids)
        logger.info("List %s is in Milvus: %d descriptors", row.list_id, rows)
        return entry

    def _update(self, entry: Entry) -> None:
        """Apply the changes since the last step. Raises GapError if the log does not explain them."""
        progress = self._progress.setdefault(entry.copy, Progress(entry.mark))
        changes = None
        if _has_changed(entry, progress.last) or abs(time.time() - entry.since_s) > RENEW_S:
            changes = delta(
                list_key=entry.list_key, version=entry.version, dimension=entry.dimension, mark=progress.last
            )
        if changes is not None:  # None for a deleted list, too: the next step retires it
            self.store.rows_delete(entry, changes.gone)
            self.store.rows_write(entry, changes.keys, changes.vectors)
            progress.last = changes.mark
            progress.waiting.append((self._clock(), changes.mark))
        settled = None
        while progress.waiting and self._clock() - progress.waiting[0][0] >= self.settle_s:
            _, settled = progress.waiting.popleft()
        if settled is not None:
            self.store.entry_write(replace(entry, mark=settled, since_s=time.time()))


def _copies(used: Mapping[int, Entry]) -> set[int]:
    return {entry.copy for entry in used.values()}


def _has_changed(entry: Entry, mark: Mark) -> bool:
    """Return whether a list has changed since a mark. Raises GapError if the log does not reach back to it."""
    found = decide(list_key=entry.list_key, version=entry.version, mark=mark, proposed=[], vectors=[])
    if found.purged:
        raise GapError
    now = found.mark
    return now is not None and (
        bool(found.pending) or (now.link_key, now.unlink_key) != (mark.link_key, mark.unlink_key)
    )


def _is_wanted(entry: Entry, identity: str) -> bool:
    """Return whether a copy may stay. A list that shrinks stays above half of the smallest size."""
    version = _default_version()
    same = version is not None and (entry.version, entry.dimension) == (version.version, version.dimension)
    smallest = max(1, config(MilvusServer).smallest_list // 2)
    return (
        same
        and entry.cluster == identity
        and bool(lists_of_at_least(faces=smallest, include=[UUID(entry.list_id)], exclude=()))
    )


def lists_wanted() -> list[tuple[ListKeys, DescriptorVersion]]:
    """Return the lists that are to be in Milvus, with their version."""
    version = _default_version()
    if version is None:
        return []
    rows = lists_of_at_least(faces=config(MilvusServer).smallest_list, include=None, exclude=())
    return [(row, version) for row in rows]


def _default_version() -> DescriptorVersion | None:
    try:
        return versions.default("face")
    except LunaError:  # no network of face descriptors
        return None


def is_active() -> bool:
    """Return whether the plugin gets requests."""
    return part_is_on(MATCHER_PROXY) and NAME in config(MatcherProxy).active_plugins


class Running:
    """A thread that brings the copies up to date at every interval, while the plugin is active."""

    def __init__(self) -> None:
        self.steps = self.failed = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="milvus-sync", daemon=True)
        if is_active():
            self._thread.start()

    def _run(self) -> None:
        sync = None
        while not self._stop.is_set():
            close_old_connections()
            try:
                sync = sync or Sync(milvus(), wait=self._stop.wait)
                self.steps += sync.step()
            except Exception:  # Milvus or the database is away: the next step repeats
                self.failed += 1
                logger.exception("Lists cannot be synchronized to Milvus")
            self._stop.wait(config(DescriptorsCache).updating_cache_interval)

    def close(self) -> None:
        """Stop after the current list. A step that takes longer ends with the process, and is repeated."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_S)

    def status(self) -> Status:
        return {"steps": self.steps, "failed": self.failed}


running = PerProcess("milvus sync", Running, close=Running.close, status=Running.status)
