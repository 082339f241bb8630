"""Built-in plugin: lists of faces in Milvus."""

import logging
import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast
from uuid import UUID

from apps.common.config import config
from apps.common.descriptors import versions
from apps.common.process import Status
from apps.matching.config import DescriptorsCache
from apps.matching.engine.cached import OF_FEW
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.engine.protocol import Hit
from apps.matching.milvus.copies import MilvusCopy
from apps.matching.milvus.store import MilvusStore, milvus
from apps.matching.milvus.sync import Sync
from apps.matching.plugins.contract import MatchingPlugin, SubRequest
from apps.matching.types import FaceCandidates

logger = logging.getLogger(__name__)

COST = 20.0  # above that of lists in memory


class MilvusPlugin(MatchingPlugin):
    """Serves faces of one list that is in Milvus. Milvus proposes faces, and PostgreSQL decides."""

    targets = frozenset({"face_id"})
    decided = True

    def __init__(self) -> None:
        self._copies: Mapping[UUID, MilvusCopy] = {}
        self._database = DatabaseMatcher()
        self._answers: Counter[str] = Counter()
        self._stop = threading.Event()

    def initialize(self) -> None:
        """Connect, and follow the copies. Raises MilvusError and the client's errors."""
        self._follow(milvus())
        self._stop = threading.Event()
        threading.Thread(target=self._run, args=(self._stop,), name="milvus", daemon=True).start()

    def cost(self, request: SubRequest) -> float:
        return math.inf if self._copy(request) is None else COST

    def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        """Search in Milvus; the database searches what Milvus cannot prove. Raises the client's errors."""
        copy = self._copy(request)
        filters = {name: value for name, value in request.filters.items() if name != "list_id"}
        found = None
        if copy is not None:
            found = copy.search(
                scope=request.candidates.scope,
                filters=filters,
                vectors=request.vectors,
                limit=request.limit,
                threshold=request.threshold,
            )
        self._answers["left_to_database" if found is None else "from_milvus"] += 1
        if found is None:
            return self._database.search(
                request.candidates, request.version, request.vectors, request.limit, request.threshold
            )
        return [[Hit(*each) for each in hits] for hits in found]

    def refresh(self) -> None:
        """Synchronize all lists, and follow them."""
        Sync(milvus(), settle_s=0.0).step()
        self._follow(milvus())

    def close(self) -> None:
        self._stop.set()

    def status(self) -> Status:
        return {"lists": len(self._copies), **self._answers}

    def _copy(self, request: SubRequest) -> MilvusCopy | None:
        candidates = request.candidates
        if not isinstance(candidates, FaceCandidates) or OF_FEW & candidates.filters.keys():
            return None
        copy = self._copies.get(cast(UUID, candidates.filters.get("list_id")))
        if copy is None or not copy.intact or not candidates.scope.allows(UUID(copy.entry.account_id)):
            return None
        same = request.version.version == copy.entry.version and copy.entry.version in versions.defaults()
        return copy if same else None

    def _run(self, stop: threading.Event) -> None:
        away = False
        while not stop.wait(config(DescriptorsCache).updating_cache_interval):
            try:
                self._follow(milvus())
                away = False
            except Exception:
                if not away:
                    logger.exception("Milvus does not answer; the database searches")
                away = True
                self._copies = {}

    def _follow(self, store: MilvusStore) -> None:
        """Replace the copies whose entries have changed."""
        known = {copy.entry.copy: copy for copy in self._copies.values()}
        copies = {}
        for entry in store.entries():
            copy = known.get(entry.copy)
            if entry.state == "ready":
                copies[UUID(entry.list_id)] = copy if copy and copy.entry == entry else MilvusCopy(store, entry)
        self._copies = copies
