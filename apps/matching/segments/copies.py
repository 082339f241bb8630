"""Copies of lists: mapped segments with the changes since, and searches in them that PostgreSQL decides.

A search proposes faces from the codes. One statement then reads their exact cosines and, in the same snapshot, the
state of the list. If the list has changed, the copy takes the changes over and the search repeats, so every answer is
the database's own answer at the moment of that statement.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import numpy as np
from django.core.exceptions import EmptyResultSet
from django.db import connection

from apps.common.descriptors import Vector
from apps.common.filters import Filters
from apps.common.nearest import Members
from apps.common.scope import Scope
from apps.faces.changes import Decision, Delta, GapError, Keys, Mark, cluster, decide, delta, keys_of
from apps.faces.nearest import members_of
from apps.matching.segments.codes import Floats, rounding
from apps.matching.segments.files import (
    MANIFEST,
    OUTGROWN,
    Manifest,
    MappedSegment,
    SegmentError,
    manifest_read,
    segments_open,
)
from apps.matching.segments.scan import Proposed, Rows, proposals

logger = logging.getLogger(__name__)

ATTEMPTS = 5
MAX_LOOSE_ROWS = 4096  # changes that a process holds itself until the builder has written them
MAX_PROPOSALS = 20_000  # for one vector; more equal or nearly equal descriptors are for the database
FILTERED_PER_RESULT = 16
FILTERED_MIN = 64
FEW = 1000  # faces that pass a filter: comparing them in the database is faster than scanning
Near = list[tuple[int, float]]


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A list at `mark`.

    `dead`: rows of each segment that are no longer valid. `keys`, `rows`: faces beside the segments.
    """

    mark: Mark
    dead: tuple[Rows, ...]
    keys: Keys
    rows: Floats


class ListCopy:
    """The descriptors of one list and version."""

    def __init__(self, directory: Path, manifest: Manifest, segments: Sequence[MappedSegment]) -> None:
        self.manifest, self.segments = manifest, tuple(segments)
        self.directory = directory
        self.broken = False
        self._started: float | None = None  # start of the server whose identity was compared
        self._lock = threading.Lock()
        nothing = np.empty(0, np.int64)
        gone = [each.gone for each in segments]
        dead = tuple(
            each.segment.places(np.unique(np.concatenate([nothing, *gone[place + 1 :]])))
            for place, each in enumerate(segments)
        )
        self.state = State(manifest.mark, dead, nothing, np.empty((0, manifest.dimension), np.float32))

    @property
    def intact(self) -> bool:
        return not self.broken and all(each.intact() for each in self.segments)

    def search(
        self, *, scope: Scope, filters: Filters, vectors: Sequence[Vector], limit: int, threshold: float
    ) -> list[Near] | None:
        """Return the nearest faces as `faces_nearest` does, or None if the database must answer.

        `filters`: filters beside the list.
        """
        if not filters:
            return self._search(np.stack(vectors), limit, threshold, (), None)
        try:
            members = tuple(members_of(scope=scope, filters=filters))
        except EmptyResultSet:  # an empty list of ids matches no face
            return [[] for _ in vectors]
        nearest = max(FILTERED_MIN, FILTERED_PER_RESULT * limit)
        found = self._search(np.stack(vectors), nearest, threshold, members, None, wanted=limit)
        if found is not None:
            return found
        keys = keys_of(members)
        return self._search(np.stack(vectors), limit, threshold, members, keys) if len(keys) > FEW else None

    def _search(
        self,
        vectors: Floats,
        limit: int,
        threshold: float,
        members: Sequence[Members],
        only: Keys | None,
        wanted: int | None = None,
    ) -> list[Near] | None:
        """Propose, decide, and repeat as long as the list changes.

        `wanted`: hits that must be proven to be the nearest ones; None if the proposals prove it.
        """
        for _ in range(ATTEMPTS):
            if not self.intact:
                return None
            state = self.state
            proposed = self._proposals(state, vectors, limit, threshold, only)
            if max(len(each.keys) for each in proposed) > MAX_PROPOSALS:
                return None
            decision = decide(
                list_key=self.manifest.list_key,
                version=self.manifest.version,
                mark=state.mark,
                proposed=[each.keys for each in proposed],
                vectors=list(vectors),
                members=members,
            )
            if not self._is_of_this_history(decision):
                return None
            if self._is_current(state, decision):
                return self._ranked(state, decision, proposed, members, threshold, wanted or limit, wanted is not None)
            if not self._catch_up(state, decision):
                return None
        return None

    def _proposals(
        self, state: State, vectors: Floats, limit: int, threshold: float, only: Keys | None
    ) -> list[Proposed]:
        parts = [
            (each.segment, dead, None if only is None else each.segment.places(only))
            for each, dead in zip(self.segments, state.dead, strict=True)
        ]
        fits = slice(None) if only is None else np.isin(state.keys, only)
        least = threshold - rounding(self.manifest.dimension)
        return proposals(parts, (state.keys[fits], state.rows[fits]), vectors, limit, least)

    def _is_of_this_history(self, decision: Decision) -> bool:
        """Return whether the database is the one that was copied: not a restored one."""
        if decision.mark is None:
            return False
        if decision.started != self._started:
            if self.manifest.cluster not in (cluster(), OUTGROWN):
                self._break("the database was restored")
                return False
            self._started = decision.started
        return True

    def _is_current(self, state: State, decision: Decision) -> bool:
        mark = decision.mark
        return (
            mark is not None
            and not decision.purged
            and not decision.pending
            and (mark.link_key, mark.unlink_key) == (state.mark.link_key, state.mark.unlink_key)
        )

    def _ranked(
        self,
        state: State,
        decision: Decision,
        proposed: Sequence[Proposed],
        members: Sequence[Members],
        threshold: float,
        limit: int,
        prove: bool,
    ) -> list[Near] | None:
        if not members and any(
            len(each.keys) != len(cosines) for each, cosines in zip(proposed, decision.cosines, strict=True)
        ):
            self._break("faces of the copy are not in the list")
            return None
        found = [sorted(cosines, key=lambda hit: (-hit[1], hit[0])) for cosines in decision.cosines]
        if prove:
            for each, hits in zip(proposed, found, strict=True):
                certain = sum(1 for _, cosine in hits if cosine >= each.floor)
                if certain < limit and each.floor > threshold:
                    return None
        with self._lock:
            if self.state is state and decision.mark is not None and not connection.in_atomic_block:
                self.state = replace(state, mark=decision.mark)
        return [[hit for hit in hits[:limit] if hit[1] >= threshold] for hits in found]

    def _catch_up(self, state: State, decision: Decision) -> bool:
        """Take over the changes of the list; return whether the copy can be used afterwards."""
        mark = decision.mark
        # Inside a transaction the snapshot has uncommitted changes, which other threads must not see.
        if mark is None or connection.in_atomic_block:
            return False
        links, unlinks = mark.link_key - state.mark.link_key, mark.unlink_key - state.mark.unlink_key
        if decision.purged or links < 0 or unlinks < 0:
            self._break("the log of changes does not reach back to the copy")
            return False
        if max(links, 0) + unlinks + decision.pending + len(state.keys) > MAX_LOOSE_ROWS:
            return False
        with self._lock:
            if self.state is not state:  # another thread did it
                return True
            try:
                changes = delta(
                    list_key=self.manifest.list_key,
                    version=self.manifest.version,
                    dimension=self.manifest.dimension,
                    mark=state.mark,
                )
            except GapError:
                self._break("the log of changes has a gap")
                return False
            if changes is None:
                return False
            self.state = self._with(state, changes)
        return True

    def _with(self, state: State, changes: Delta) -> State:
        dead = tuple(
            np.union1d(before, each.segment.places(changes.gone)).astype(np.intp)
            for each, before in zip(self.segments, state.dead, strict=True)
        )
        stay = ~np.isin(state.keys, np.concatenate((changes.gone, changes.keys)))
        return State(
            changes.mark,
            dead,
            np.concatenate((state.keys[stay], changes.keys)),
            np.concatenate((state.rows[stay], changes.vectors)),
        )

    def _break(self, reason: str) -> None:
        self.broken = True
        (self.directory / MANIFEST).unlink(missing_ok=True)  # the builder makes it anew
        logger.error("The copy of list %s is dropped: %s", self.manifest.list_id, reason)


class Copies:
    """The copies of all lists that this process has mapped."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._copies: dict[UUID, ListCopy] = {}
        self._read: dict[str, tuple[int, int]] = {}  # directory: inode and time of its manifest
        self._lock = threading.Lock()

    def get(self, list_id: UUID) -> ListCopy | None:
        return self._copies.get(list_id)

    def all(self) -> Sequence[ListCopy]:
        return tuple(self._copies.values())

    def refresh(self) -> None:
        """Map new segments and drop those of removed directories. Damaged ones are dropped and made anew."""
        with self._lock:
            copies: dict[UUID, ListCopy] = {}
            known = {each.directory.name: each for each in self._copies.values()}
            read: dict[str, tuple[int, int]] = {}
            for path in sorted(self.root.glob(f"*/{MANIFEST}")):
                name = path.parent.name
                stat = None
                try:
                    stat = path.stat()
                    read[name] = (stat.st_ino, stat.st_mtime_ns)
                    copy = known.get(name)
                    if copy is None or copy.broken or read[name] != self._read.get(name):
                        manifest = manifest_read(path.parent)
                        mapped = () if copy is None or copy.broken else copy.segments
                        copy = ListCopy(path.parent, manifest, segments_open(path.parent, manifest, mapped))
                    if not copy.intact:
                        raise SegmentError(f"{name}: a segment is damaged")
                    copies[UUID(copy.manifest.list_id)] = copy
                except FileNotFoundError:
                    read.pop(name, None)
                    if _unchanged(path, stat):
                        path.unlink(missing_ok=True)
                        logger.error("%s: a segment is missing; the builder makes it anew", name)
                    elif known_copy := known.get(name):
                        copies[UUID(known_copy.manifest.list_id)] = known_copy
                except SegmentError as error:
                    read.pop(name, None)
                    path.unlink(missing_ok=True)
                    logger.error("%s: the builder makes it anew", error)
            self._copies, self._read = copies, read


def _unchanged(path: Path, before: os.stat_result | None) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return before is not None and path.stat().st_ino == before.st_ino
    return False
