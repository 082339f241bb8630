"""Attributes as clients send them, made into what the services take."""

from collections.abc import Mapping
from typing import Any

from apps.common.descriptors import (
    DescriptorVersion,
    Vector,
    base64_decode,
    base64_encode,
    raw_decode,
    sdk_decode,
    sdk_encode,
    versions,
)
from apps.common.errors import LunaError
from apps.faces.types import AttributeData, BasicData, DescriptorData

RAW, SDK, XPK = "raw_descriptor", "sdk_descriptor", "xpk_file"


def attribute_parse(body: Mapping[str, Any]) -> AttributeData:
    """The validated `{basic_attributes?, face_descriptors?}` of a body.

    Raises LunaError 22012 for bad Base64, 12034/12036/12038 for a descriptor of wrong length, unknown version or odd
    numbers, 12029 for an XPK file, whose layout is not public.
    """
    basic: Mapping[str, Any] = body.get("basic_attributes") or {}
    faces: Mapping[str, Any] = body.get("face_descriptors") or {}
    known = {name: value for name, value in (basic.get("attributes") or {}).items() if value is not None}
    return AttributeData(
        descriptors=tuple(descriptor_parse(item) for item in faces.get("descriptors") or ()),
        basic=BasicData(**known) if known else None,
        descriptor_samples=tuple(faces.get("samples") or ()),
        basic_samples=tuple(basic.get("samples") or ()),
    )


def descriptor_parse(item: Mapping[str, Any]) -> DescriptorData:
    """`{type, data, version?}`; the version of a raw descriptor without one is the default. Raises as above."""
    if item["type"] == XPK:
        raise LunaError(12029)
    data = base64_decode(item["data"])
    version: DescriptorVersion
    vector: Vector
    if item["type"] == SDK:
        version, vector = sdk_decode(data)
    else:
        number = item.get("version")
        version = versions.default("face") if number is None else versions.get(number)
        vector = raw_decode(data, version)
    if version.kind != "face":
        raise LunaError(12036, version.version)
    return DescriptorData(version.version, vector)


def descriptor_shape(*, version: int, vector: Vector, score: float | None) -> dict[str, Any]:
    """The form in which it can be sent back: SDK descriptor in Base64."""
    return {
        "type": SDK,
        "version": version,
        "data": base64_encode(sdk_encode(vector, versions.get(version))),
        "score": score,
    }
