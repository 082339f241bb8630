"""Conversion of clients' attributes to the arguments of services."""

from collections.abc import Mapping
from typing import Any

from apps.common import errors
from apps.common.descriptors import (
    Descriptor,
    DescriptorVersion,
    Kind,
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
    """Parse a validated `{basic_attributes?, face_descriptors?}`. Raises the errors of `face_descriptors_parse`."""
    basic: Mapping[str, Any] = body.get("basic_attributes") or {}
    faces: Mapping[str, Any] = body.get("face_descriptors") or {}
    known = {name: value for name, value in (basic.get("attributes") or {}).items() if value is not None}
    return AttributeData(
        descriptors=tuple(
            descriptor for item in faces.get("descriptors") or () for descriptor in face_descriptors_parse(item)
        ),
        basic=BasicData(**known) if known else None,
        descriptor_samples=tuple(faces.get("samples") or ()),
        basic_samples=tuple(basic.get("samples") or ()),
    )


def face_descriptors_parse(item: Mapping[str, Any]) -> tuple[Descriptor, ...]:
    """Parse `{type, data, version?, score?}` to descriptors of faces, as `descriptors_parse` does.

    Raises LunaError UNKNOWN_DESCRIPTOR_VERSION for a descriptor of a body, and the errors of `descriptors_parse`.
    """
    parsed = descriptors_parse(item, kind="face")
    for descriptor in parsed:
        if versions.get(descriptor.version).kind != "face":
            raise LunaError(errors.UNKNOWN_DESCRIPTOR_VERSION, descriptor.version)
    return parsed


def descriptors_parse(item: Mapping[str, Any], *, kind: Kind) -> tuple[Descriptor, ...]:
    """Parse `{type, data, version?, score?}` to one descriptor of any kind, or to all descriptors of an XPK file.

    The default version of `kind` applies to a raw descriptor without `version`. Raises LunaError BAD_DESCRIPTOR_BASE64
    for invalid Base64, WRONG_DESCRIPTOR_LENGTH for a wrong length, UNKNOWN_DESCRIPTOR_VERSION for an unknown version,
    BAD_SDK_DESCRIPTOR for an invalid SDK descriptor, BAD_XPK for an invalid XPK file, XPK_WITHOUT_DESCRIPTOR for an XPK
    file without descriptors, INVALID_JSON for a `version` that differs from the SDK descriptor's own,
    ESTIMATOR_NOT_INITIALIZED if `kind` has no default version.
    """
    decoded = _decoded(item, base64_decode(item["data"]), kind)
    for version, _ in decoded:
        if item.get("version") not in (None, version.version):
            raise LunaError(errors.INVALID_JSON, f"The descriptor has version {version.version}. Path: 'version'")
    return tuple(Descriptor(version.version, vector, item.get("score")) for version, vector in decoded)


def _decoded(item: Mapping[str, Any], data: bytes, kind: Kind) -> list[tuple[DescriptorVersion, Vector]]:
    if item["type"] == XPK:
        return xpk_decode(data)
    if item["type"] == SDK:
        return [sdk_decode(data)]
    number = item.get("version")
    version = versions.default(kind) if number is None else versions.get(number)
    return [(version, raw_decode(data, version))]


def descriptor_shape(*, version: int, vector: Vector, score: float | None) -> dict[str, Any]:
    """Return a descriptor in the form of requests: SDK descriptor in Base64."""
    return {
        "type": SDK,
        "version": version,
        "data": base64_encode(sdk_encode(vector, versions.get(version))),
        "score": score,
    }
