"""Built-in plugins: events and faces in thin tables."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from apps.common.descriptors import Vector
from apps.common.filters import Filters
from apps.common.nearest import Near
from apps.common.thin import ThinTable, ThinTableError
from apps.events.thin import THIN_EVENTS, thin_events_cover, thin_events_nearest
from apps.faces.thin import THIN_FACES, thin_faces_cover, thin_faces_nearest
from apps.matching.engine.protocol import Hit
from apps.matching.plugins.contract import MatchingPlugin, Origin, SubRequest

COST = 50.0  # below the database's, above that of copies in memory


class ThinPlugin(MatchingPlugin):
    """Serves objects of one origin whose filters the thin table has. Its hits are the database's own."""

    decided = True
    origin: ClassVar[Origin]
    table: ClassVar[ThinTable]

    @abstractmethod
    def covers(self, filters: Filters) -> bool:
        """Return whether the table has the columns of all filters."""

    @abstractmethod
    def nearest(self, request: SubRequest, vector: Vector) -> Near:
        """Return the nearest objects in the table. Raises ThinTableError if it cannot be used."""

    def initialize(self) -> None:
        """Check that the table is built. Raises ThinTableError."""
        if not self.table.is_complete():
            raise ThinTableError(f"`manage.py thin_tables build {self.table.name}` has not built the table yet")

    def refresh(self) -> None:
        """Build the table. Triggers keep it up to date from then on."""
        for _ in self.table.build():
            pass

    def cost(self, request: SubRequest) -> float:
        return COST if request.origin == self.origin and self.covers(request.filters) else math.inf

    def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        """Search with one statement per vector. Raises ThinTableError if the table cannot be used."""
        found = (self.nearest(request, vector) for vector in request.vectors)
        return [[Hit(*each) for each in near if each[1] >= request.threshold] for near in found]


class ThinEvents(ThinPlugin):
    """Serves events by face or body."""

    targets = frozenset({"event_id"})
    origin = "events"
    table = THIN_EVENTS

    def covers(self, filters: Filters) -> bool:
        return thin_events_cover(filters)

    def nearest(self, request: SubRequest, vector: Vector) -> Near:
        scope, filters = request.candidates.scope, request.filters
        return thin_events_nearest(
            scope=scope, filters=filters, version=request.version, vector=vector, limit=request.limit
        )


class ThinFaces(ThinPlugin):
    """Serves faces."""

    targets = frozenset({"face_id"})
    origin = "faces"
    table = THIN_FACES

    def covers(self, filters: Filters) -> bool:
        return thin_faces_cover(filters)

    def nearest(self, request: SubRequest, vector: Vector) -> Near:
        scope, filters = request.candidates.scope, request.filters
        return thin_faces_nearest(
            scope=scope, filters=filters, version=request.version, vector=vector, limit=request.limit
        )
