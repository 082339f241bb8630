"""Searches in a copy of a list outside of the database that PostgreSQL decides.

The copy proposes faces. One statement then reads their exact cosines and, in the same snapshot, the state of the list.
If the list has changed, the copy takes the changes over and the search repeats, so every answer is the database's own
answer at the moment of that statement.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from django.core.exceptions import EmptyResultSet
from django.db import connection

from apps.common.descriptors import Vector
from apps.common.filters import Filters
from apps.common.nearest import Members
from apps.common.scope import Scope
from apps.faces.changes import Decision, Delta, GapError, Keys, Mark, cluster, decide, delta, keys_of, one_snapshot
from apps.faces.nearest import members_of
from apps.matching.segments.codes import Floats, rounding
from apps.matching.segments.files import OUTGROWN
from apps.matching.segments.scan import Proposed

logger = logging.getLogger(__name__)

ATTEMPTS = 8
MAX_LOOSE_ROWS = 4096  # changes that a process holds itself until the builder has written them
MAX_PROPOSALS = 20_000  # for one vector; more equal or nearly equal descriptors are for the database
FILTERED_PER_RESULT = 16
FILTERED_MIN = 64
FEW = 1000  # faces that pass a filter: comparing them in the database is faster than scanning
Near = list[tuple[int, float]]


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A list at `mark`.

    `dead`: the rows of the copy that are no longer valid, as its class represents them. `keys`, `rows`: faces beside
    the copy. `touched`: the faces of all changes since the copy was made, in the order of changes.
    """

    mark: Mark
    dead: Any
    keys: Keys
    rows: Floats
    touched: Keys


class Described(Protocol):
    """Description of a copy: the list, its descriptor version, and the identity of the database."""

    @property
    def cluster(self) -> str: ...

    @property
    def list_key(self) -> int: ...

    @property
    def list_id(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def dimension(self) -> int: ...

    @property
    def mark(self) -> Mark: ...


class DecidedCopy(ABC):
    """A copy of the descriptors of one list and version."""

    def __init__(self, description: Described, dead: Any) -> None:
        self.described = description
        self.broken = False
        self._started: float | None = None  # start of the server whose identity was compared
        self._lock = threading.Lock()
        rows, nothing = np.empty((0, description.dimension), np.float32), np.empty(0, np.int64)
        self.state = State(description.mark, dead, nothing, rows, nothing)

    @property
    def intact(self) -> bool:
        """Whether the copy can be used."""
        return not self.broken

    @abstractmethod
    def _proposals(
        self, state: State, vectors: Floats, limit: int, threshold: float, only: Keys | None
    ) -> list[Proposed] | None:
        """Return the rows that contain the `limit` nearest of each vector; None if the database must search.

        `only`: keys of the faces to compare, ascending; None for all.
        """

    @abstractmethod
    def _dead_with(self, dead: Any, gone: Keys) -> Any:
        """Return `dead` with those rows of the copy that have one of the keys."""

    @abstractmethod
    def _drop(self) -> None:
        """Remove the copy, so that it is made anew."""

    def search(
        self, *, scope: Scope, filters: Filters, vectors: Sequence[Vector], limit: int, threshold: float
    ) -> list[Near] | None:
        """Return the nearest faces as `faces_nearest` does, or None if the database must answer.

        `filters`: filters beside the list.
        """
        asked = np.stack(vectors)
        if not filters:
            return self._search(asked, limit, threshold, ())
        try:
            members = tuple(members_of(scope=scope, filters=filters))
        except EmptyResultSet:  # an empty list of ids matches no face
            return [[] for _ in vectors]
        nearest = max(FILTERED_MIN, FILTERED_PER_RESULT * limit)
        found = self._search(asked, nearest, threshold, members, wanted=limit)
        return self._search_passing(asked, limit, threshold, members) if found is None else found

    def _search(
        self,
        vectors: Floats,
        limit: int,
        threshold: float,
        members: Sequence[Members],
        wanted: int | None = None,
    ) -> list[Near] | None:
        """Propose, decide, and repeat as long as the list changes.

        `wanted`: hits that must be proven to be the nearest ones; None if the proposals prove it.
        """
        state, proposed = self.state, None
        for _ in range(ATTEMPTS):
            if not self.intact:
                return None
            before, state = state, self.state
            if proposed is not None:
                proposed = extended(proposed, before, state, vectors)
            if proposed is None:
                proposed = self._proposals(state, vectors, limit, threshold, None)
            if proposed is None or _too_many(proposed):
                return None
            decision = self._decision(state, vectors, members, proposed)
            if not self._is_of_this_history(decision):
                return None
            if self._is_current(state, decision):
                return self._ranked(state, decision, proposed, members, threshold, wanted or limit, wanted is not None)
            if not self._catch_up(state, decision):
                return None
        return None

    def _search_passing(
        self, vectors: Floats, limit: int, threshold: float, members: Sequence[Members]
    ) -> list[Near] | None:
        """Propose among all faces that pass the filters, decide, and repeat as long as the list changes.

        The keys and the decision are read in one snapshot. Without it, a face that stops passing in between would leave
        a result without the farther faces that it has excluded.
        """
        if connection.in_atomic_block:
            return None
        for _ in range(ATTEMPTS):
            if not self.intact:
                return None
            state = self.state  # before the snapshot, which therefore is not older
            with one_snapshot():
                keys = keys_of(members)
                proposed = self._proposals(state, vectors, limit, threshold, keys) if len(keys) > FEW else None
                if proposed is None or _too_many(proposed):
                    return None
                decision = self._decision(state, vectors, members, proposed)
            if not self._is_of_this_history(decision):
                return None
            if self._is_current(state, decision):
                return self._ranked(state, decision, proposed, members, threshold, limit, prove=False)
            if not self._catch_up(state, decision):
                return None
        return None

    def _decision(
        self, state: State, vectors: Floats, members: Sequence[Members], proposed: Sequence[Proposed]
    ) -> Decision:
        return decide(
            list_key=self.described.list_key,
            version=self.described.version,
            mark=state.mark,
            proposed=[each.keys for each in proposed],
            vectors=list(vectors),
            members=members,
        )

    def _is_of_this_history(self, decision: Decision) -> bool:
        """Return whether the database is the one that was copied: not a restored one."""
        if decision.mark is None:
            return False
        if decision.started != self._started:
            if self.described.cluster not in (cluster(), OUTGROWN):
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
                    list_key=self.described.list_key,
                    version=self.described.version,
                    dimension=self.described.dimension,
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
        stay = ~np.isin(state.keys, np.concatenate((changes.gone, changes.keys)))
        return State(
            changes.mark,
            self._dead_with(state.dead, changes.gone),
            np.concatenate((state.keys[stay], changes.keys)),
            np.concatenate((state.rows[stay], changes.vectors)),
            np.concatenate((state.touched, changes.gone, changes.keys)),
        )

    def _break(self, reason: str) -> None:
        self.broken = True
        self._drop()
        logger.error("The copy of list %s is dropped: %s", self.described.list_id, reason)


def _too_many(proposed: Sequence[Proposed]) -> bool:
    return max(len(each.keys) for each in proposed) > MAX_PROPOSALS


def extended(proposed: Sequence[Proposed], before: State, state: State, vectors: Floats) -> list[Proposed] | None:
    """Return the proposals of a later state of the same copy without a scan; None if it needs a scan.

    If no proposed face has changed, the nearest faces are among the proposals and the faces that have entered or been
    replaced since. Lists that change many times a second would otherwise be scanned several times for one search.
    """
    touched = np.unique(state.touched[len(before.touched) :])
    if any(np.isin(each.keys, touched, assume_unique=True).any() for each in proposed):
        return None
    entered = np.isin(state.keys, touched)
    keys, rows = state.keys[entered], state.rows[entered]
    cosines = rows @ vectors.T + rounding(rows.shape[1])
    return [
        Proposed(np.union1d(each.keys, keys[cosines[:, place] >= each.floor]), each.floor)
        for place, each in enumerate(proposed)
    ]
