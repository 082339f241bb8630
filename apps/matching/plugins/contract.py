"""Contract of matching plugins, described for their authors in `docs/matching-plugins.md`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.filters import Filters
from apps.common.process import Status
from apps.matching.engine.protocol import Hit, Key
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates

__all__ = ["CONTRACT", "DATABASE_COST", "Hit", "Key", "MatchingPlugin", "SubRequest"]

CONTRACT = 1  # version of the contract
DATABASE_COST = 100.0
Origin = Literal["faces", "events", "attributes"]
ORIGINS: Mapping[type[Candidates], Origin] = {
    FaceCandidates: "faces",
    EventCandidates: "events",
    AttributeCandidates: "attributes",
}


@dataclass(frozen=True, slots=True, eq=False)
class SubRequest:
    """References that are compared with one block of candidates.

    `vectors`: unit vectors, float32 [dimension of the version]; one for `cost`, one or more for `search`.
    `threshold`: cosine, -1..1.
    """

    candidates: Candidates
    version: DescriptorVersion
    vectors: Sequence[Vector]
    limit: int
    threshold: float

    @property
    def origin(self) -> Origin:
        """The kind of candidates."""
        return ORIGINS[type(self.candidates)]

    @property
    def account_id(self) -> UUID | None:
        """The account whose objects are candidates; None for all accounts."""
        return self.candidates.scope.account_id

    @property
    def filters(self) -> Filters:
        """The filters of the candidates in Python types; those of attributes are their ids."""
        if isinstance(self.candidates, AttributeCandidates):
            return {"attribute_ids": list(self.candidates.attribute_ids)}
        return self.candidates.filters

    def of(self, vectors: Sequence[Vector]) -> "SubRequest":
        """Return this sub-request with other references."""
        return replace(self, vectors=vectors)


class MatchingPlugin(ABC):
    """Searches some sub-requests in a data source of its own.

    Methods are called from several threads at the same time. Every process has its own object.
    """

    targets: frozenset[str] = frozenset()
    """Members that the data source contains. A plugin is used for an origin only if it has the id: `face_id`,
    `event_id` or `attribute_id`."""

    decided: bool = False
    """Whether hits have the database's own keys and cosines. Only for built-in plugins: such hits are not checked."""

    @abstractmethod
    def cost(self, request: SubRequest) -> float:
        """Return the cost of a sub-request with one vector: below 100 to serve it, `math.inf` to refuse it.

        Must return at once, without input or output.
        """

    @abstractmethod
    def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        """Return the nearest candidates of each vector, highest cosine first, at most `request.limit`.

        A hit has the id of the face, event or attribute as key, and the cosine with an error of at most 1e-5. Every
        candidate with a cosine of at least `request.threshold` is a hit, unless `request.limit` others are nearer. Any
        exception hands the sub-request back to the database.
        """

    def initialize(self) -> None:  # noqa: B027 (optional)
        """Open connections and load data. Called once per process, before the first search, in a thread."""

    def refresh(self) -> None:  # noqa: B027 (optional)
        """Bring the data up to date with the platform's database. Called by the conformance suite."""

    def status(self) -> Status:
        """Return numbers for the status of the process, by name."""
        return {}

    def close(self) -> None:  # noqa: B027 (optional)
        """Close connections and stop threads. Called at the end of the process."""


ID_OF: Mapping[Origin, str] = {"faces": "face_id", "events": "event_id", "attributes": "attribute_id"}
