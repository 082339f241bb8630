"""Faces, lists and attributes as JSON."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from apps.common import errors
from apps.common.addresses import address
from apps.common.errors import LunaError
from apps.common.links import links
from apps.common.times import format_time
from apps.faces.attribute_input import descriptor_shape
from apps.faces.models import Face, FaceAttribute, List
from apps.faces.selectors import face_lists
from apps.faces.types import FaceRow, TemporaryAttribute

FACE_TARGETS = (
    "face_id", "account_id", "event_id", "user_data", "create_time", "external_id", "avatar", "lists",
)  # fmt: skip
DESCRIPTOR = "face_descriptor"
ATTRIBUTE_TARGETS = ("attribute_id", "account_id", "create_time", "basic_attributes", DESCRIPTOR)
FACE_ATTRIBUTE_TARGETS = ("create_time", "basic_attributes", "samples", DESCRIPTOR)
repeated_id = lru_cache(1024)(str)  # accounts and lists: a page names the same ones with every face


def targets_check(targets: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    """The parts to show; none named means all but descriptors. Raises LunaError BAD_FACE_TARGET for one that is not
    known.
    """
    for target in targets:
        if target not in known:
            raise LunaError(errors.BAD_FACE_TARGET, target, ", ".join(known))
    return frozenset(targets or known) - (frozenset() if targets else {DESCRIPTOR})


def face_shape(face: Face | FaceRow, targets: Collection[str] = FACE_TARGETS) -> dict[str, Any]:
    """A face; `lists` needs one that came through `selectors.with_list_ids`."""
    shape: dict[str, Any] = {
        "face_id": str(face.face_id),
        "account_id": repeated_id(face.account_id),
        "event_id": face.event_id and str(face.event_id),
        "user_data": face.user_data,
        "create_time": format_time(face.create_time),
        "external_id": face.external_id,
        "avatar": face.avatar or None,
    }
    if "lists" in targets:
        shape["lists"] = [repeated_id(list_id) for list_id in face_lists(face)]
    if len(targets) == len(FACE_TARGETS):
        return shape
    return {name: value for name, value in shape.items() if name in targets}


def list_shape(row: List) -> dict[str, Any]:
    return {
        "list_id": str(row.list_id),
        "account_id": str(row.account_id),
        "user_data": row.user_data,
        "create_time": format_time(row.create_time),
        "last_update_time": format_time(row.last_update_time),
    }


def attribute_shape(attribute: TemporaryAttribute, targets: Collection[str]) -> dict[str, Any]:
    """A temporary attribute. Raises LunaError UNKNOWN_DESCRIPTOR_VERSION when a version asked for is installed no
    more.
    """
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
    return shape | links(address("attribute", attribute.attribute_id))


def face_attribute_shape(attribute: FaceAttribute, targets: Collection[str]) -> dict[str, Any]:
    """The attribute of a face. Raises LunaError UNKNOWN_DESCRIPTOR_VERSION when a version asked for is installed no
    more.
    """
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
    """Samples with what they served: 1 descriptor, 5 basic attributes, the platform's numbers."""
    typed = [(sample, 1) for sample in descriptor_samples] + [(sample, 5) for sample in basic_samples]
    return [{"sample_id": str(sample), "type": number} for sample, number in typed]
