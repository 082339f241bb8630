"""Attributes as clients send them, made into what the services take."""

from collections.abc import Mapping
from typing import Any

from apps.common import errors
from apps.common.descriptors import (
    Descriptor,
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
from apps.common.xpk import xpk_decode
from apps.faces.types import AttributeData, BasicData

RAW, SDK, XPK = "raw_descriptor", "sdk_descriptor", "xpk_file"


def attribute_parse(body: Mapping[str, Any]) -> AttributeData:
    """The validated `{basic_attributes?, face_descriptors?}` of a body.

    Raises LunaError as `descriptors_parse` does.
    """
    basic: Mapping[str, Any] = body.get("basic_attributes") or {}
    faces: Mapping[str, Any] = body.get("face_descriptors") or {}
    known = {name: value for name, value in (basic.get("attributes") or {}).items() if value is not None}
    return AttributeData(
        descriptors=tuple(
            descriptor for item in faces.get("descriptors") or () for descriptor in descriptors_parse(item)
        ),
        basic=BasicData(**known) if known else None,
        descriptor_samples=tuple(faces.get("samples") or ()),
        basic_samples=tuple(basic.get("samples") or ()),
    )


def descriptors_parse(item: Mapping[str, Any]) -> tuple[Descriptor, ...]:
    """`{type, data, version?, score?}`: one descriptor, of an XPK file all; a raw one may lack the default version.

    Raises LunaError BAD_DESCRIPTOR_BASE64 for bad Base64; WRONG_DESCRIPTOR_LENGTH, UNKNOWN_DESCRIPTOR_VERSION,
    BAD_SDK_DESCRIPTOR for a descriptor of wrong length, of a version that is unknown or no face's, with odd numbers;
    BAD_XPK, XPK_WITHOUT_DESCRIPTOR for an XPK file that is none or holds none; INVALID_JSON for a `version` other
    than the one that an SDK descriptor says itself.
    """
    decoded = _decoded(item, base64_decode(item["data"]))
    for version, _ in decoded:
        if version.kind != "face":
            raise LunaError(errors.UNKNOWN_DESCRIPTOR_VERSION, version.version)
        if item.get("version") not in (None, version.version):
            raise LunaError(errors.INVALID_JSON, f"the descriptor is of version {version.version}. Path: 'version'")
    return tuple(Descriptor(version.version, vector, item.get("score")) for version, vector in decoded)


def _decoded(item: Mapping[str, Any], data: bytes) -> list[tuple[DescriptorVersion, Vector]]:
    if item["type"] == XPK:
        return xpk_decode(data)
    if item["type"] == SDK:
        return [sdk_decode(data)]
    number = item.get("version")
    version = versions.default("face") if number is None else versions.get(number)
    return [(version, raw_decode(data, version))]


def descriptor_shape(*, version: int, vector: Vector, score: float | None) -> dict[str, Any]:
    """The form in which it can be sent back: SDK descriptor in Base64."""
    return {
        "type": SDK,
        "version": version,
        "data": base64_encode(sdk_encode(vector, versions.get(version))),
        "score": score,
    }
