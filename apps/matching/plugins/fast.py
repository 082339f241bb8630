"""Built-in plugin: lists of faces in memory whose fast codes propose."""

import math
from collections.abc import Sequence

from apps.matching.engine.cached import CachedMatcher, can_serve_fast, service
from apps.matching.engine.protocol import Hit
from apps.matching.plugins.contract import MatchingPlugin, SubRequest
from apps.matching.segments.fast_building import fast_build_once
from apps.matching.segments.running import build_once
from apps.matching.types import FaceCandidates

COST = 5.0


class Fast(MatchingPlugin):
    """Serves faces of one list that has complete fast codes, if the request or the settings ask for it."""

    targets = frozenset({"face_id"})
    decided = True

    def __init__(self) -> None:
        self._matcher = CachedMatcher(fast=True)

    def cost(self, request: SubRequest) -> float:
        candidates = request.candidates
        served = isinstance(candidates, FaceCandidates) and can_serve_fast(candidates, request.version)
        return COST if served else math.inf

    def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        return self._matcher.search(
            request.candidates, request.version, request.vectors, request.limit, request.threshold
        )

    def refresh(self) -> None:
        build_once()
        fast_build_once()
        service().copies.refresh()
