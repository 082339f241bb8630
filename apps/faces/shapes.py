"""Conversion of faces, lists and attributes to JSON."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from apps.common import errors
from apps.common.addresses import address
from apps.common.errors import LunaError
from apps.common.links import links
from apps.common.times import format_time
from apps.faces.attribute_input import descriptor_shape
from apps.faces.models import FaceAttribute, List
from apps.faces.types import FaceRow, ListRow, TemporaryAttribute

FACE_TARGETS = FaceRow._fields[1:]
DESCRIPTOR = "face_descriptor"
ATTRIBUTE_TARGETS = ("attribute_id", "account_id", "create_time", "basic_attributes", DESCRIPTOR)
FACE_ATTRIBUTE_TARGETS = ("create_time", "basic_attributes", "samples", DESCRIPTOR)
repeated_id = lru_cache(1024)(str)  # ids of accounts and lists repeat for every face of a page

_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "face_id": str,
    "account_id": repeated_id,
    "event_id": lambda event_id: event_id and str(event_id),
    "create_time": format_time,
    "avatar": lambda avatar: avatar or None,
    "lists": lambda list_ids: list(map(repeated_id, list_ids)),
}
FACE_JSON = tuple(_CONVERT.get(name) for name in FACE_TARGETS)
"""Conversion of each target to JSON; None keeps the value unchanged."""


def targets_check(targets: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    """Return the members to show: `targets`, or all except descriptors if it is empty.

    Raises LunaError BAD_FACE_TARGET for an unknown name.
    """
    for target in targets:
        if target not in known:
            raise LunaError(errors.BAD_FACE_TARGET, target, ", ".join(known))
    return frozenset(targets or known) - (frozenset() if targets else {DESCRIPTOR})


def face_shape(face: FaceRow, targets: Collection[str] = FACE_TARGETS) -> dict[str, Any]:
    """Return the members `targets` of a face."""
    return {
        name: value if convert is None else convert(value)
        for name, convert, value in zip(FACE_TARGETS, FACE_JSON, face[1:], strict=True)
        if name in targets
    }


def list_shape(row: List | ListRow) -> dict[str, Any]:
    return {
        "list_id": str(row.list_id),
        "account_id": repeated_id(row.account_id),
        "user_data": row.user_data,
        "create_time": format_time(row.create_time),
        "last_update_time": format_time(row.last_update_time),
    }


def attribute_shape(attribute: TemporaryAttribute, targets: Collection[str]) -> dict[str, Any]:
    """Return a temporary attribute. Raises LunaError UNKNOWN_DESCRIPTOR_VERSION for a version without network."""
    data = attribute.data
    basic = data.basic and {"age": data.basic.age, "gender": data.basic.gender, "ethnicity": data.basic.ethnicity}
    shape: dict[str, Any] = {
        "attribute_id": str(attribute.attribute_id),
        "account_id": str(attribute.account_id),
        "create_time": format_time(attribute.create_time),
        "basic_attributes": basic,
    }
    if DESCRIPTOR in targets:
        shape[DESCRIPTOR] = [
            descriptor_shape(version=found.version, vector=found.vector, score=found.score)
            for found in data.descriptors
        ]  # fmt: skip
    shape = {name: value for name, value in shape.items() if name in targets}
    return {**shape, **links(address("attribute", attribute.attribute_id))}


def face_attribute_shape(attribute: FaceAttribute, targets: Collection[str]) -> dict[str, Any]:
    """Return the attribute of a face. Raises LunaError UNKNOWN_DESCRIPTOR_VERSION for a version without network."""
    basic = {"age": attribute.age, "gender": attribute.gender, "ethnicity": attribute.ethnicity}
    shape: dict[str, Any] = {
        "create_time": format_time(attribute.create_time),
        "basic_attributes": basic if any(value is not None for value in basic.values()) else None,
        "samples": samples_shape(attribute.descriptor_samples, attribute.basic_attributes_samples),
    }
    if DESCRIPTOR in targets:
        shape[DESCRIPTOR] = [
            descriptor_shape(version=row.version, vector=np.asarray(row.vector, np.float32), score=row.score)
            for row in attribute.face.descriptors.order_by("version")
        ]
    return {name: value for name, value in shape.items() if name in targets}


def samples_shape(descriptor_samples: Sequence[Any], basic_samples: Sequence[Any]) -> list[dict[str, Any]]:
    """Return samples with their type, the platform's numbers: 1 descriptor, 5 basic attributes."""
    typed = [(sample, 1) for sample in descriptor_samples] + [(sample, 5) for sample in basic_samples]
    return [{"sample_id": str(sample), "type": number} for sample, number in typed]
