"""Serializers of filters in query parameters, in JSON of policies and candidates, and in websocket queries."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.fields import empty

from apps.common.fields import NULL, CommaListField, FlagField, shown
from apps.common.filters import terms
from apps.common.filters.conditions import AREA, MATCH, Box, LabelSimilarity
from apps.common.filters.kinds import AnyField, FiniteFloatField
from apps.common.filters.meta import META, PREFIX, meta_condition
from apps.common.filters.terms import TERMS, Term
from apps.common.validation import StrictSerializer, refuse_unknown, without_nulls

MAX_MATCH_FILTERS = 30
DEFAULT_DELTA_DEGREES = 0.01
Terms = Mapping[str, Term]


def _named(*groups: tuple[Term, ...], **aliases: str) -> Terms:
    own = {term.name: term for group in groups for term in group}
    return own | {alias: TERMS[name] for alias, name in aliases.items()}


SEARCH_TERMS: Terms = TERMS
"""Terms of GET /6/events and of candidates with origin `events`."""

POLICY_TERMS = _named(terms.FACE, terms.BODY, ethnicities="ethnic_groups")
"""Terms of handler policies; `match` is separate."""

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
"""Terms of websocket queries."""


class ValuesField(CommaListField):
    """A list of values: `a,b` in a query; `["a", "b"]` or a single value in JSON. `null` means not estimated."""

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
    """Degrees of an origin; `null` selects events without a position."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        return super().run_validation(None if data == NULL else data)


class LabelSimilaritySerializer(StrictSerializer):
    """`{label, similarity__gte, …}`: bounds of the best candidate of the match policy with this label.

    `no_match` 1 reverses the item: no candidate of the label is within the bounds, or there is none.
    """

    label = serializers.CharField(max_length=36)  # type: ignore[assignment]  # DRF removes declared fields
    similarity__gte = FiniteFloatField(min_value=0, max_value=1, required=False)
    similarity__gt = FiniteFloatField(min_value=0, max_value=1, required=False)
    similarity__lt = FiniteFloatField(min_value=0, max_value=1, required=False)
    similarity__lte = FiniteFloatField(min_value=0, max_value=1, required=False)
    no_match = FlagField(required=False)

    def to_internal_value(self, data: Any) -> LabelSimilarity:
        values = super().to_internal_value(data)
        label, no_match = values.pop("label"), values.pop("no_match", False)
        bounds = {name.removeprefix("similarity__"): bound for name, bound in values.items()}
        return LabelSimilarity(label, bounds, no_match)


class FilterSerializer(serializers.Serializer[Any]):
    """Collects its terms in `validated_data["filters"]`; other declared fields stay outside.

    `terms`: the terms by parameter name. `strict`: reject unknown parameters.
    """

    terms: ClassVar[Terms] = {}
    strict: ClassVar[bool] = False

    def get_fields(self) -> dict[str, AnyField]:
        return {**super().get_fields(), **{name: _field(term) for name, term in self.terms.items()}}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if self.strict:
            refuse_unknown(data, set(self.fields))
        values = dict(super().to_internal_value(without_nulls(data, self.fields)))
        filters = {term.name: values.pop(name) for name, term in self.terms.items() if name in values}
        return {**values, "filters": filters | self.conditions(values)}

    def conditions(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return filters made of several parameters, and remove those parameters from `values`."""
        return {}


def filters_shown(serializer: serializers.Serializer[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked filters in the types of the OpenAPI document."""
    known = serializer.fields
    return {
        name: shown(known[name], value) if name in known else value
        for name, value in given.items()
        if value is not None
    }


def _field(term: Term) -> AnyField:
    if term.operator.many:
        child = term.kind.field(allow_null=term.nullable)
        return ValuesField(child=child, required=False, help_text=described(term, child))
    field = term.kind.field(required=False)
    field.help_text = described(term, field)
    return field


def described(term: Term, field: AnyField) -> str:
    """Return the description of a term, with that of its values."""
    return f"{term.text} {field.help_text}." if field.help_text else term.text


class EventFilterSerializer(FilterSerializer):
    """All filters of the event search."""

    terms = SEARCH_TERMS
    meta = serializers.ChoiceField(
        choices=((NULL, "events without meta"),), required=False, help_text="`null`: events without meta."
    )
    origin_longitude = DegreesField(
        min_value=-180, max_value=180, help_text="Centre of an area, degrees. `null`: events without a position."
    )
    origin_latitude = DegreesField(
        min_value=-90, max_value=90, help_text="Centre of an area, degrees. `null`: events without a position."
    )
    longitude_delta = FiniteFloatField(
        min_value=0, max_value=90, default=DEFAULT_DELTA_DEGREES, help_text="Half the width of the area, degrees."
    )
    latitude_delta = FiniteFloatField(
        min_value=0, max_value=90, default=DEFAULT_DELTA_DEGREES, help_text="Half the height of the area, degrees."
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Parse parameters `meta.…`, whose names are free, in addition to the declared fields."""
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
            raise serializers.ValidationError({"origin_longitude": "give both origins, or null for both."})
        longitude, latitude = origin
        return {AREA.name: None if longitude is None else Box.around(longitude, latitude, *deltas)}


class SubscriptionSerializer(EventFilterSerializer):
    """Filters of a websocket subscription."""

    terms = SUBSCRIPTION_TERMS


class PolicyFilterSerializer(FilterSerializer):
    """`filters` of handler policies and conditional tags. Empty filters accept all events."""

    terms = POLICY_TERMS
    strict = True
    match = serializers.ListField(child=LabelSimilaritySerializer(), required=False, max_length=MAX_MATCH_FILTERS)

    def conditions(self, values: dict[str, Any]) -> dict[str, Any]:
        match = values.pop("match", ())
        return {MATCH.name: match} if match else {}
