"""Estimations of bodies as columns of events: numbers for words."""

from collections.abc import Mapping
from typing import Any

from apps.common.filters.enums import ApparentGender, Colour, Garment, PlainColour, Presence, SleeveLength
from apps.recognition.estimators.accessories import Accessories
from apps.recognition.estimators.body_basic_attributes import BodyBasicAttributes
from apps.recognition.estimators.lower_body import LowerBody
from apps.recognition.estimators.upper_body import UpperBody


def body_columns(estimations: Mapping[str, object]) -> dict[str, Any]:
    """The columns of `EventDraft` that these estimations fill; what was not estimated is left out."""
    columns: dict[str, Any] = {}
    for value in estimations.values():
        match value:
            case BodyBasicAttributes():
                columns |= {"apparent_age": value.age, "apparent_gender": ApparentGender.of(value.gender)}
            case UpperBody():
                columns |= {
                    "headwear_state": Presence.UNKNOWN,
                    "headwear_apparent_color": PlainColour.UNKNOWN,
                    "sleeve_length": SleeveLength.of(value.sleeve),
                    "upper_clothing_colors": [Colour.of(colour) for colour in value.colours],
                }
            case LowerBody():
                columns |= {
                    "lower_garment_type": Garment.of(value.garment),
                    "lower_garment_colors": [Colour.of(colour) for colour in value.colours],
                    "shoes_apparent_color": PlainColour.of(value.shoes),
                }
            case Accessories():
                columns |= {"backpack_state": Presence.of(value.backpack_state)}
    return columns
