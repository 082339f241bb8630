"""Filters read from a request: query parameters, JSON blocks of policies and candidates, the websocket's query."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.fields import empty

from apps.common.fields import CommaListField
from apps.common.filters import terms
from apps.common.filters.conditions import AREA, MATCH, Box, LabelSimilarity
from apps.common.filters.kinds import AnyField, FiniteFloatField
from apps.common.filters.meta import META, PREFIX, meta_condition
from apps.common.filters.terms import TERMS, Term
from apps.common.validation import refuse_unknown

NULL = "null"
MAX_MATCH_FILTERS = 30
DEFAULT_DELTA_DEGREES = 0.01
Terms = Mapping[str, Term]


def _named(*groups: tuple[Term, ...], **aliases: str) -> Terms:
    own = {term.name: term for group in groups for term in group}
    return own | {alias: TERMS[name] for alias, name in aliases.items()}


SEARCH_TERMS: Terms = TERMS
"""GET /6/events and candidates of origin `events`."""

POLICY_TERMS = _named(terms.FACE, terms.BODY, ethnicities="ethnic_groups")
"""Filters of handler policies, beside `match`."""

SUBSCRIPTION_TERMS = _named(
    terms.IDS,
    terms.ORIGIN,
    terms.TOP_MATCH,
    terms.FACE,
    terms.BODY,
    terms.PLACE,
    matching_candidates_labels="top_matching_candidates_label",
    **{f"object_similarity__{suffix}": f"top_similar_object_similarity__{suffix}" for suffix in ("gte", "lt")},
)
"""The websocket's query."""


class ValuesField(CommaListField):
    """`a,b` in a query, `["a", "b"]` or one bare value in JSON. `null` stands for what was not estimated."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=1, **kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, str):
            data = [part.strip() for part in data.split(",") if part.strip()]
        elif not isinstance(data, list):
            data = [data]
        if self.child.allow_null:
            data = [None if item == NULL else item for item in data]
        return super().to_internal_value(data)


class DegreesField(FiniteFloatField):
    """Degrees of an origin; `null` asks for events without a position."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        return super().run_validation(None if data == NULL else data)


class LabelSimilaritySerializer(serializers.Serializer[LabelSimilarity]):
    """`{label, similarity__gte, …}`: the best candidate that a match policy of this label found."""

    label = serializers.CharField(max_length=36)  # type: ignore[assignment]  # DRF takes a declared field out
    similarity__gte = FiniteFloatField(min_value=0, max_value=1, required=False)
    similarity__gt = FiniteFloatField(min_value=0, max_value=1, required=False)
    similarity__lt = FiniteFloatField(min_value=0, max_value=1, required=False)
    similarity__lte = FiniteFloatField(min_value=0, max_value=1, required=False)

    def to_internal_value(self, data: Any) -> LabelSimilarity:
        refuse_unknown(data, set(self.fields))
        values = super().to_internal_value(data)
        label = values.pop("label")
        return LabelSimilarity(label, {name.removeprefix("similarity__"): bound for name, bound in values.items()})


class FilterSerializer(serializers.Serializer[Any]):
    """Gathers its terms into `validated_data["filters"]`; fields that a subclass declares stay beside it.

    `terms` are the parameters by their names here, `strict` refuses unknown ones.
    """

    terms: ClassVar[Terms] = {}
    strict: ClassVar[bool] = False

    def get_fields(self) -> dict[str, AnyField]:
        return {**super().get_fields(), **{name: _field(term) for name, term in self.terms.items()}}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if self.strict:
            refuse_unknown(data, set(self.fields))
        values = dict(super().to_internal_value(data))
        filters = {term.name: values.pop(name) for name, term in self.terms.items() if name in values}
        return {**values, "filters": filters | self.conditions(values)}

    def conditions(self, values: dict[str, Any]) -> dict[str, Any]:
        """Filters of more than one parameter; takes its own out of `values`."""
        return {}


def _field(term: Term) -> AnyField:
    if not term.operator.many:
        return term.kind.field(required=False)
    return ValuesField(child=term.kind.field(allow_null=term.nullable), required=False)


class EventFilterSerializer(FilterSerializer):
    """Everything that events are searched by."""

    terms = SEARCH_TERMS
    meta = serializers.ChoiceField(choices=((NULL, "events without meta"),), required=False)
    origin_longitude = DegreesField(min_value=-180, max_value=180)
    origin_latitude = DegreesField(min_value=-90, max_value=90)
    longitude_delta = FiniteFloatField(min_value=0, max_value=90, default=DEFAULT_DELTA_DEGREES)
    latitude_delta = FiniteFloatField(min_value=0, max_value=90, default=DEFAULT_DELTA_DEGREES)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Names of parameters that begin with `meta.` are free; they are read beside the fields."""
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        free = [name for name in data if isinstance(name, str) and name.startswith(PREFIX)]
        fields = data.copy() if isinstance(data, QueryDict) else dict(data)
        for name in free:
            del fields[name]
        values = super().to_internal_value(fields)
        without_meta = values.pop("meta", None) is not None
        if without_meta or free:
            conditions = None if without_meta else [meta_condition(name, data[name]) for name in free]
            values["filters"] |= {META.name: conditions}
        return values

    def conditions(self, values: dict[str, Any]) -> dict[str, Any]:
        origin = [values.pop(name) for name in ("origin_longitude", "origin_latitude") if name in values]
        deltas = values.pop("longitude_delta"), values.pop("latitude_delta")
        if not origin:
            return {}
        if len(origin) == 1 or (origin[0] is None) != (origin[1] is None):
            raise serializers.ValidationError({"origin_longitude": "give both origins or none."})
        longitude, latitude = origin
        return {AREA.name: None if longitude is None else Box.around(longitude, latitude, *deltas)}


class SubscriptionSerializer(EventFilterSerializer):
    """What a websocket client wants to hear of."""

    terms = SUBSCRIPTION_TERMS


class PolicyFilterSerializer(FilterSerializer):
    """`filters` of handler policies and conditional tags. Empty filters accept everything."""

    terms = POLICY_TERMS
    strict = True
    match = serializers.ListField(child=LabelSimilaritySerializer(), required=False, max_length=MAX_MATCH_FILTERS)

    def conditions(self, values: dict[str, Any]) -> dict[str, Any]:
        match = values.pop("match", ())
        return {MATCH.name: match} if match else {}
