"""Conversion of estimations to descriptors and attributes of faces."""

from collections.abc import Mapping
from uuid import UUID

from apps.common.descriptors import Descriptor
from apps.faces.types import AttributeData, BasicData
from apps.recognition.request.aggregation import event_columns


def descriptor_of(estimations: Mapping[str, object], name: str = "face_descriptor") -> Descriptor | None:
    """Return the descriptor of estimator `name`, None if it was not estimated."""
    found = estimations.get(name)
    return found if isinstance(found, Descriptor) else None


def basic_of(estimations: Mapping[str, object]) -> BasicData | None:
    """Return age, gender and ethnicity, None if they were not estimated."""
    found = event_columns({"basic_attributes": estimations.get("basic_attributes")})
    return BasicData(age=found["age"], gender=found["gender"], ethnicity=found["ethnic_group"]) if found else None


def attribute_of(
    descriptor: Descriptor | None, basic: BasicData | None, samples: tuple[UUID, ...]
) -> AttributeData | None:
    """Return the descriptor and the basic attributes with their samples, None if both are missing."""
    if descriptor is None and basic is None:
        return None
    return AttributeData(
        descriptors=() if descriptor is None else (descriptor,),
        basic=basic,
        descriptor_samples=() if descriptor is None else samples,
        basic_samples=() if basic is None else samples,
    )
