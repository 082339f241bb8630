"""XPK: a file of one or more descriptors in SDK form.

The layout of LUNA PLATFORM is not published. This layout, all numbers little-endian: magic `LXPK`, uint32 count, then
per descriptor uint32 length and the SDK descriptor. `xpk_decode` also reads concatenated SDK descriptors: each ends
with its version, which determines its length.
"""

import struct
from collections.abc import Iterable, Iterator

from apps.common import errors
from apps.common.descriptors import SDK_SIGNATURE, SDK_TRAILER, DescriptorVersion, Vector, sdk_decode, versions
from apps.common.errors import LunaError

MAGIC = b"LXPK"
NUMBER = struct.Struct("<I")
MAX_DESCRIPTORS = 1000


def xpk_encode(descriptors: Iterable[bytes]) -> bytes:
    """Encode SDK descriptors as an XPK file."""
    items = list(descriptors)
    return MAGIC + NUMBER.pack(len(items)) + b"".join(NUMBER.pack(len(item)) + item for item in items)


def xpk_decode(data: bytes) -> list[tuple[DescriptorVersion, Vector]]:
    """Decode the descriptors of a file, in order: unit vectors, float32 [dimension of the version].

    Raises LunaError BAD_XPK for a malformed file or more than `MAX_DESCRIPTORS`, XPK_WITHOUT_DESCRIPTOR for an empty
    one, and the errors of `sdk_decode` for its descriptors.
    """
    items = list(_framed(data) if data.startswith(MAGIC) else _bare(data))
    if not items:
        raise LunaError(errors.XPK_WITHOUT_DESCRIPTOR)
    return [sdk_decode(item) for item in items]


def _framed(data: bytes) -> Iterator[bytes]:
    at = len(MAGIC)
    count, at = _number(data, at)
    if count > MAX_DESCRIPTORS:
        raise LunaError(errors.BAD_XPK)
    for _ in range(count):
        length, at = _number(data, at)
        if at + length > len(data):
            raise LunaError(errors.BAD_XPK)
        yield data[at : at + length]
        at += length
    if at != len(data):
        raise LunaError(errors.BAD_XPK)


def _number(data: bytes, at: int) -> tuple[int, int]:
    if at + NUMBER.size > len(data):
        raise LunaError(errors.BAD_XPK)
    return NUMBER.unpack_from(data, at)[0], at + NUMBER.size


def _bare(data: bytes) -> list[bytes]:
    """Split concatenated descriptors, starting at the end, where the last descriptor's version is."""
    items: list[bytes] = []
    end = len(data)
    while end:
        if end < SDK_TRAILER.size or len(items) == MAX_DESCRIPTORS:
            raise LunaError(errors.BAD_XPK)
        number, signature = SDK_TRAILER.unpack_from(data, end - SDK_TRAILER.size)
        if signature != SDK_SIGNATURE:
            raise LunaError(errors.BAD_XPK)
        start = end - SDK_TRAILER.size - versions.get(number).raw_bytes
        if start < 0:
            raise LunaError(errors.BAD_XPK)
        items.append(data[start:end])
        end = start
    return items[::-1]
