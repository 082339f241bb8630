"""Types of the matcher's responses."""

from typing import Annotated, TypedDict

from apps.common.json_types import Json, OneOf
from apps.matching.api.serializers import DESCRIPTORS, STORED
from apps.matching.candidates import CandidateFiltersSerializer
from apps.matching.shapes import MatchResultJson


class RawMatchJson(TypedDict):
    candidate_id: str
    similarity: float


class RawMatchesJson(TypedDict):
    reference_id: str
    matches: list[RawMatchJson]


class RawMatchAnswerJson(TypedDict):
    """References and the candidates of each, in the order of the request."""

    matches: list[RawMatchesJson]


class MatchedReferenceJson(TypedDict):
    id: str
    type: Annotated[str, OneOf((*STORED, *DESCRIPTORS))]


class MatchesOfBlockJson(TypedDict):
    """Matches of one block of candidates, with the block's filters."""

    filters: Annotated[Json, CandidateFiltersSerializer]
    result: list[MatchResultJson]


class ReferenceMatchesJson(TypedDict):
    """One reference. `matches` has one item per block of candidates."""

    reference: MatchedReferenceJson
    matches: list[MatchesOfBlockJson]
