"""Template of a matching plugin: faces of one list, compared in memory. docs/matching-plugins.md describes it.

Copy the file into `plugins/matching` of the var directory as `my_plugin.py`, and set
`LUNA_PYTHON_MATCHER_PROXY_ACTIVE_PLUGINS=my_plugin`.
"""

import logging
import math
import threading
from collections.abc import Sequence
from uuid import UUID

import numpy as np

from apps.common.descriptors import Vector, versions
from apps.faces.models import FaceDescriptor, ListFace
from apps.matching.engine.matrix import nearest
from apps.matching.plugins.contract import Hit, MatchingPlugin, SubRequest

logger = logging.getLogger(__name__)

COST = 50.0  # below the database's (100), above the list cache's (10)
INTERVAL_S = 60.0
Lists = dict[tuple[UUID, UUID], tuple[list[UUID], Vector]]  # (account, list) → ids of faces, their vectors [n, d]


class FacesOfOneList(MatchingPlugin):
    """Serves candidates that are the faces of one list, without other filters, in the default version."""

    targets = frozenset({"face_id"})

    def __init__(self) -> None:
        self._lists: Lists = {}
        self._version = 0
        self._stop = threading.Event()

    def initialize(self) -> None:
        """Load all lists, and start the thread that loads them again."""
        self._stop = threading.Event()
        self.refresh()
        threading.Thread(target=self._follow, args=(self._stop,), name="my-plugin", daemon=True).start()

    def refresh(self) -> None:
        """Load all lists. Replacing the dictionary at once needs no lock."""
        version = versions.default("face").version
        rows = FaceDescriptor.objects.filter(version=version).order_by("face_id")
        described = {
            key: (face_id, vector) for key, face_id, vector in rows.values_list("face", "face__face_id", "vector")
        }
        links = ListFace.objects.order_by("face_id").values_list("list__account_id", "list__list_id", "face")
        members: dict[tuple[UUID, UUID], list[tuple[UUID, Vector]]] = {}
        for account_id, list_id, key in links:
            if key in described:
                members.setdefault((account_id, list_id), []).append(described[key])
        self._lists = {
            name: ([face_id for face_id, _ in faces], np.stack([vector for _, vector in faces]))
            for name, faces in members.items()
        }
        self._version = version

    def cost(self, request: SubRequest) -> float:
        """Return the cost of a list in memory. Without input and output: it is called for every reference."""
        return math.inf if self._found(request) is None else COST

    def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        """Compare all faces of the list. An exception hands the sub-request back to the database."""
        found = self._found(request)
        if found is None:
            raise LookupError("The list was loaded again and no longer has faces.")
        ids, matrix = found
        places = nearest(np.stack(request.vectors), [matrix], limit=request.limit, threshold=request.threshold)
        return [
            [Hit(ids[place], cosine) for place, cosine in zip(near.tolist(), cosines.tolist(), strict=True)]
            for near, cosines in places
        ]

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()

    def _found(self, request: SubRequest) -> tuple[list[UUID], Vector] | None:
        if (
            request.origin != "faces"
            or request.account_id is None
            or request.filters.keys() != {"list_id"}
            or request.version.version != self._version
        ):
            return None
        return self._lists.get((request.account_id, request.filters["list_id"]))

    def _follow(self, stop: threading.Event) -> None:
        while not stop.wait(INTERVAL_S):
            try:
                self.refresh()
            except Exception:
                logger.exception("Lists cannot be loaded")
