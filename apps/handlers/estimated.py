"""Columns of an event from estimations in the form of responses: the reverse of `event_message`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from apps.common.fields import WholeNumberField
from apps.common.filters import enums
from apps.common.filters.kinds import NumberField

Attributes = Mapping[str, Any]
MAX_AGE = 1000


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a column's value in `attributes`, and the field that reads it."""

    path: tuple[str, ...]
    field: serializers.Field[Any, Any, Any, Any]
    schema: Mapping[str, Any]  # of the value in responses; words and numbers are both accepted

    def read(self, attributes: Attributes) -> Any:
        """Return the value, None if it is missing. Raises DRF's ValidationError, which names the path."""
        value: Any = attributes
        for name in self.path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is None:
            return None
        try:
            return self.field.run_validation(value)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({".".join(self.path): error.detail}) from error


def _age(*path: str) -> _Place:
    field = WholeNumberField(min_value=0, max_value=MAX_AGE)
    return _Place(path, field, {"type": "integer", "minimum": 0, "maximum": MAX_AGE})


def _number(numbers: type[enums.Number], *path: str) -> _Place:
    return _Place(path, NumberField(numbers=numbers), {"type": "integer", "enum": [each.value for each in numbers]})


def _word(numbers: type[enums.Number], *path: str) -> _Place:
    return _Place(path, NumberField(numbers=numbers), {"type": "string", "enum": [each.word for each in numbers]})


def _words(numbers: type[enums.Number], *path: str) -> _Place:
    one = _word(numbers, *path)
    field = serializers.ListField(child=one.field, max_length=len(numbers))
    return _Place(path, field, {"type": "array", "items": one.schema})


FACE: Mapping[str, _Place] = {
    "age": _age("basic_attributes", "age"),
    "gender": _number(enums.Gender, "basic_attributes", "gender"),
    "ethnic_group": _word(enums.EthnicGroup, "basic_attributes", "ethnicities", "predominant_ethnicity"),
    "emotion": _word(enums.Emotion, "emotions", "predominant_emotion"),
    "mask": _word(enums.Mask, "mask", "predominant_mask"),
    "liveness": _number(enums.Liveness, "liveness", "prediction"),
    "deepfake": _word(enums.Deepfake, "deepfake", "prediction"),
}
BODY: Mapping[str, _Place] = {
    "apparent_age": _age("basic_attributes", "apparent_age"),
    "apparent_gender": _number(enums.ApparentGender, "basic_attributes", "apparent_gender"),
    "headwear_state": _number(enums.Presence, "upper_body", "headwear", "state"),
    "headwear_apparent_color": _word(enums.PlainColour, "upper_body", "headwear", "apparent_color"),
    "sleeve_length": _word(enums.SleeveLength, "upper_body", "sleeve", "length"),
    "upper_clothing_colors": _words(enums.Colour, "upper_body", "upper_clothing", "colors"),
    "lower_garment_type": _word(enums.Garment, "lower_body", "lower_garment", "type"),
    "lower_garment_colors": _words(enums.Colour, "lower_body", "lower_garment", "colors"),
    "shoes_apparent_color": _word(enums.PlainColour, "lower_body", "shoes", "apparent_color"),
    "backpack_state": _number(enums.Presence, "accessories", "backpack", "state"),
}


def places_schema(places: Iterable[_Place]) -> dict[str, Any]:
    """Return the JSON Schema of an object with these places."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    for place in places:
        inner = schema
        for name in place.path[:-1]:
            inner = inner["properties"].setdefault(name, {"type": "object", "properties": {}})
        inner["properties"][place.path[-1]] = place.schema
    return schema


def estimated_columns(places: Mapping[str, _Place], found: Iterable[Attributes]) -> dict[str, Any]:
    """Return the columns of `FACE` or `BODY`, each from the first attributes that have its value.

    Raises DRF's ValidationError for an unknown word or a number out of range.
    """
    columns: dict[str, Any] = {}
    for attributes in found:
        read = {column: place.read(attributes) for column, place in places.items()}
        columns = {name: value for name, value in read.items() if value is not None} | columns
    return columns
