"""Decoding of descriptors that replace images: raw bytes, SDK form, XPK files."""

from collections.abc import Callable, Mapping

from apps.common import errors
from apps.common.descriptors import (
    SDK_SIGNATURE,
    DescriptorVersion,
    Kind,
    Vector,
    base64_decode,
    raw_decode,
    sdk_decode,
    versions,
)
from apps.common.errors import LunaError
from apps.common.xpk import xpk_decode
from apps.recognition.inputs.media import BASE64_SUFFIX, BLANKS, BODY_DESCRIPTOR_TYPE, FACE_DESCRIPTOR_TYPE, XPK_TYPE

Decoded = tuple[DescriptorVersion, Vector]


def descriptors_decode(data: bytes, content_type: str) -> tuple[Decoded, ...]:
    """Return the descriptors in data of a content type of `media.DESCRIPTOR_TYPES`: unit vectors with versions.

    Raises LunaError BAD_DESCRIPTOR_BASE64 for invalid Base64, WRONG_DESCRIPTOR_LENGTH for a wrong length,
    UNKNOWN_DESCRIPTOR_VERSION for an unknown version or a version of the other kind, BAD_SDK_DESCRIPTOR for an invalid
    SDK form, BAD_XPK for an invalid XPK file, XPK_WITHOUT_DESCRIPTOR for an XPK file without descriptors,
    ESTIMATOR_NOT_INITIALIZED for raw bytes if no network extracts descriptors of their kind.
    """
    if content_type.endswith(BASE64_SUFFIX):
        # latin-1 maps non-ASCII bytes to characters outside of Base64, so that the decoder rejects them.
        data = base64_decode(data.translate(None, BLANKS).decode("latin-1"))
    return tuple(_DECODERS[content_type.removesuffix(BASE64_SUFFIX)](data))


def _one(data: bytes, kind: Kind) -> list[Decoded]:
    """Return one descriptor from SDK form, or from raw bytes of the default version."""
    if not data.endswith(SDK_SIGNATURE):
        default = versions.default(kind)
        if len(data) == default.raw_bytes:
            return [(default, raw_decode(data, default))]
    version, vector = sdk_decode(data)
    if version.kind != kind:
        raise LunaError(errors.UNKNOWN_DESCRIPTOR_VERSION, version.version)
    return [(version, vector)]


_DECODERS: Mapping[str, Callable[[bytes], list[Decoded]]] = {
    FACE_DESCRIPTOR_TYPE: lambda data: _one(data, "face"),
    BODY_DESCRIPTOR_TYPE: lambda data: _one(data, "body"),
    XPK_TYPE: xpk_decode,
}
