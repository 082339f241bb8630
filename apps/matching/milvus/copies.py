"""Searches in copies of lists in Milvus, which PostgreSQL decides."""

import numpy as np

from apps.common.config import config
from apps.faces.changes import Keys
from apps.matching.config import MatcherProxy
from apps.matching.milvus.store import MAX_RESULTS, Entry, MilvusStore
from apps.matching.segments.codes import Floats, rounding
from apps.matching.segments.deciding import DecidedCopy, State
from apps.matching.segments.scan import Best, Proposed, scan_floats

TOLERANCE = 1e-5  # of Milvus's cosines: above the rounding error of sums of float32
MARGIN = 8  # results beyond the limit, so that their cosines prove the last place
WIDER = 8  # times more results in the second attempt
MAX_ONLY = 5000  # faces that a search in Milvus can name; more are for the database


class MilvusCopy(DecidedCopy):
    """A list in Milvus. `State.dead`: keys of the faces whose rows in Milvus are no longer valid."""

    def __init__(self, store: MilvusStore, entry: Entry) -> None:
        super().__init__(entry, np.empty(0, np.int64))
        self.entry, self._store = entry, store

    def _proposals(
        self, state: State, vectors: Floats, limit: int, threshold: float, only: Keys | None
    ) -> list[Proposed] | None:
        if only is not None and len(only) > MAX_ONLY:
            return None
        for wanted in (limit + MARGIN + len(state.dead), WIDER * (limit + MARGIN) + len(state.dead)):
            if wanted > MAX_RESULTS:
                return None
            found = self._found(state, vectors, limit, threshold, only, wanted)
            if found is not None:
                return found
        return None

    def _found(
        self, state: State, vectors: Floats, limit: int, threshold: float, only: Keys | None, wanted: int
    ) -> list[Proposed] | None:
        """Return the proposals if the rows that Milvus leaves out cannot be among the nearest ones."""
        near = self._store.search(self.entry, vectors, wanted, only=only, timeout_s=config(MatcherProxy).search_timeout)
        best = Best.of(len(vectors), limit, threshold - rounding(self.entry.dimension))
        fits = slice(None) if only is None else np.isin(state.keys, only)
        scan_floats(state.keys[fits], state.rows[fits], vectors, best)
        for place, (keys, cosines) in enumerate(near):
            valid = ~np.isin(keys, state.dead)
            best.add(place, keys[valid], cosines[valid] - TOLERANCE, cosines[valid] + TOLERANCE)
        for floor, (keys, cosines) in zip(best.floor, near, strict=True):
            if len(keys) == wanted and cosines[-1] + TOLERANCE >= floor:
                return None
        return best.result()

    def _dead_with(self, dead: Keys, gone: Keys) -> Keys:
        return np.union1d(dead, gone)

    def _drop(self) -> None:
        """Retire the copy; the worker makes another."""
        self._store.entry_write(self.entry.with_state("retired"))
