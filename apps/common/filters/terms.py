"""Terms of the filter language, and the table of the terms of events.

A term's column names a field of the model, an attribute of its draft and a key of the facts in memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from apps.common.filters.enums import (
    ApparentGender,
    Colour,
    Deepfake,
    Emotion,
    EthnicGroup,
    Garment,
    Gender,
    Liveness,
    Mask,
    Number,
    PlainColour,
    Presence,
    SleeveLength,
)
from apps.common.filters.kinds import TIME_KIND, UUID_KIND, Kind, number, real, text, whole
from apps.common.filters.operators import BOUNDS, EQUAL, ONE_OF, OVERLAP, Operator

MAX_AGE = 1000


@dataclass(frozen=True, slots=True)
class Term:
    """A filter parameter: its name, the column, the operator and the type of its values.

    `nullable`: the value `null` selects rows without an estimation. `path`: the ORM lookup if the column is a relation.
    """

    name: str
    column: str
    operator: Operator
    kind: Kind
    nullable: bool = False
    path: str = ""

    @property
    def text(self) -> str:
        """Description of the parameter."""
        null = "; `null`: not estimated or not given" if self.nullable else ""
        return f"{self.column.replace('_', ' ').capitalize()}: {self.operator.text}{null}."

    def q(self, value: Any) -> Q:
        return self.operator.q(self.path or self.column, value)

    def holds(self, facts: Mapping[str, Any], value: Any) -> bool:
        fact = facts.get(self.column)
        if isinstance(fact, list | tuple):
            return self.operator.holds([self.kind.fact(item) for item in fact], value)
        return self.operator.holds(None if fact is None else self.kind.fact(fact), value)


def bounds(column: str, kind: Kind, *suffixes: str) -> Iterator[Term]:
    for suffix in suffixes or ("gte", "lt"):
        yield Term(f"{column}__{suffix}", column, BOUNDS[suffix], kind)


def _numbers(name: str, column: str, numbers: type[Number]) -> Term:
    return Term(name, column, ONE_OF, number(numbers), nullable=True)


def _place(name: str, column: str, max_length: int = 36) -> Term:
    return Term(name, column, ONE_OF, text(max_length), nullable=True)


_SIMILARITY = real(0.0, 1.0)
_AGE = whole(0, MAX_AGE)

IDS = (
    Term("event_ids", "event_id", ONE_OF, UUID_KIND),
    *bounds("event_id", UUID_KIND),
    Term("handler_ids", "handler_id", ONE_OF, UUID_KIND),
    Term("face_ids", "face_id", ONE_OF, UUID_KIND),
    Term("external_ids", "external_id", ONE_OF, text(36)),
    Term("user_data", "user_data", EQUAL, text(128)),
)
TIMES = (
    *bounds("create_time", TIME_KIND),
    *bounds("end_time", TIME_KIND),
    *bounds("insert_time", TIME_KIND),
)
ORIGIN = (
    Term("sources", "source", ONE_OF, text(128), nullable=True),
    Term("stream_ids", "stream_id", ONE_OF, UUID_KIND, nullable=True),
    Term("track_ids", "track_id", ONE_OF, text(36), nullable=True),
    Term("tags", "tags", OVERLAP, text(36)),
)
PLACE = (
    _place("cities", "city"),
    _place("areas", "area"),
    _place("districts", "district"),
    _place("streets", "street", 128),
    _place("house_numbers", "house_number"),
)
TOP_MATCH = (
    Term("top_matching_candidates_label", "top_matching_candidates_label", ONE_OF, text(36)),
    Term("top_similar_object_ids", "top_similar_object_id", ONE_OF, UUID_KIND),
    Term("top_similar_external_ids", "top_similar_external_id", ONE_OF, text(36)),
    *bounds("top_similar_object_similarity", _SIMILARITY, "gte", "gt", "lt", "lte"),
)
FACE = (
    _numbers("gender", "gender", Gender),
    *bounds("age", _AGE),
    _numbers("ethnic_groups", "ethnic_group", EthnicGroup),
    _numbers("emotions", "emotion", Emotion),
    _numbers("masks", "mask", Mask),
    _numbers("liveness", "liveness", Liveness),
    _numbers("deepfake", "deepfake", Deepfake),
)
BODY = (
    _numbers("apparent_gender", "apparent_gender", ApparentGender),
    *bounds("apparent_age", _AGE),
    _numbers("headwear_states", "headwear_state", Presence),
    _numbers("headwear_apparent_colors", "headwear_apparent_color", PlainColour),
    _numbers("sleeve_lengths", "sleeve_length", SleeveLength),
    Term("upper_clothing_colors", "upper_clothing_colors", OVERLAP, number(Colour), nullable=True),
    _numbers("backpack_states", "backpack_state", Presence),
    _numbers("lower_garment_types", "lower_garment_type", Garment),
    Term("lower_garment_colors", "lower_garment_colors", OVERLAP, number(Colour), nullable=True),
    _numbers("shoes_apparent_colors", "shoes_apparent_color", PlainColour),
)

TERMS: Mapping[str, Term] = {term.name: term for term in (*IDS, *TIMES, *ORIGIN, *TOP_MATCH, *FACE, *BODY, *PLACE)}
