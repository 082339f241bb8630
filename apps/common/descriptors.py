"""Descriptor versions: the facts of each version, its wire forms and its similarity calibration.

A version is an integer. Its network, dimension, raw encoding and similarity calibration come from the network's
manifest; the recognition room registers them at start. Vectors inside the platform are float32, L2-normalised.

Wire forms: *raw* holds the components in the version's encoding; *SDK* is raw + 4 bytes version
(little-endian) + 4 bytes signature `LUNA`; *XPK* is a file of SDK descriptors (apps/common/xpk.py).

The encoding `uint8` writes a component x of a unit vector as the byte 128 + 128·x, rounded, at most 255. The SQL
function `vlmatch` of two such descriptors is Σ(aᵢ − bᵢ)²/128² over their bytes. Apart from rounding, it equals their
squared Euclidean distance 2 − 2·cosine: √vlmatch differs from the distance by at most √(D + 3)/128 for D components.
(Each component is off by at most 1/256; the only one that can exceed 127.5/128 is off by at most 1/128.)
"""

import base64
import binascii
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from apps.common import errors
from apps.common.errors import LunaError

Vector = NDArray[np.float32]
Kind = Literal["face", "body"]
RawEncoding = Literal["float32-le", "uint8"]

SDK_TRAILER = struct.Struct("<I4s")
SDK_SIGNATURE = b"LUNA"
MIN_NORM = 1e-6
UINT8_ZERO = UINT8_PER_UNIT = 128.0  # the byte of component 0, and the steps from 0 to 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """Cosine to similarity 0..1: monotone, linear between the points.

    `points` are (cosine, similarity) pairs, both strictly increasing, from (-1, 0) to (1, 1).
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        cosines, similarities = zip(*self.points, strict=True)
        for values, ends in ((cosines, (-1.0, 1.0)), (similarities, (0.0, 1.0))):
            if (values[0], values[-1]) != ends or any(b <= a for a, b in itertools.pairwise(values)):
                raise ValueError(f"calibration must increase from {ends[0]} to {ends[1]}: {values}")

    def similarity(self, cosine: float) -> float:
        cosines, similarities = zip(*self.points, strict=True)
        return float(np.interp(cosine, cosines, similarities))

    def cosine(self, similarity: float) -> float:
        """Return the cosine of a similarity: the inverse of `similarity`."""
        cosines, similarities = zip(*self.points, strict=True)
        return float(np.interp(similarity, similarities, cosines))


@dataclass(frozen=True, slots=True)
class DescriptorVersion:
    """The facts of one descriptor version."""

    version: int
    kind: Kind
    network: str
    dimension: int
    raw_encoding: RawEncoding
    calibration: Calibration

    @property
    def raw_bytes(self) -> int:
        return self.dimension * (4 if self.raw_encoding == "float32-le" else 1)


@dataclass(frozen=True, slots=True, eq=False)
class Descriptor:
    """A unit vector that identifies a face or a body, float32 [dimension of the version].

    `score` 0..1 rates the picture's fitness for recognition (1 = best); None if the picture is unknown.
    """

    version: int
    vector: Vector
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """A stored face or event that lacks a descriptor or basic attributes, with the samples to extract it from.

    `generation` is the generation of a face's attribute.
    """

    key: int  # primary key of its row
    object_id: UUID
    account_id: UUID
    samples: tuple[UUID, ...]
    generation: int = 0


class Added(NamedTuple):
    """Result of adding what was extracted from samples: the number of objects, and conflicts by id of the object.

    Objects that were deleted, or that received the same from another process, are in neither.
    """

    objects: int
    conflicts: tuple[tuple[UUID, LunaError], ...] = ()


class DescriptorRegistry:
    """The registered versions of this process, and the default version of each kind."""

    def __init__(self) -> None:
        self._versions: dict[int, DescriptorVersion] = {}
        self._defaults: dict[Kind, int] = {}

    def register(self, version: DescriptorVersion, *, default: bool = False) -> None:
        known = self._versions.setdefault(version.version, version)
        if known != version:
            raise ValueError(f"descriptor version {version.version} is registered twice with different facts")
        if default:
            self._defaults[version.kind] = version.version

    def get(self, version: int) -> DescriptorVersion:
        """Return a version. Raises LunaError UNKNOWN_DESCRIPTOR_VERSION when no installed manifest declares it."""
        if version not in self._versions:
            raise LunaError(errors.UNKNOWN_DESCRIPTOR_VERSION, version)
        return self._versions[version]

    def default(self, kind: Kind = "face") -> DescriptorVersion:
        """Return the version of new descriptors of a kind.

        Raises LunaError ESTIMATOR_NOT_INITIALIZED when no installed network extracts this kind.
        """
        if kind not in self._defaults:
            raise LunaError(errors.ESTIMATOR_NOT_INITIALIZED, f"{kind}_descriptor")
        return self._versions[self._defaults[kind]]

    def defaults(self) -> frozenset[int]:
        """Return the default versions of all kinds."""
        return frozenset(self._defaults.values())

    def all(self) -> Sequence[DescriptorVersion]:
        return [self._versions[key] for key in sorted(self._versions)]


versions = DescriptorRegistry()


def normalised(vector: NDArray[np.floating]) -> Vector:
    """Scale `vector` to length 1, float32.

    Raises LunaError BAD_SDK_DESCRIPTOR for NaN, infinities and vectors shorter than `MIN_NORM`.
    """
    wide = vector.astype(np.float64)
    norm = float(np.linalg.norm(wide)) if np.isfinite(wide).all() else 0.0
    if not np.isfinite(norm) or norm < MIN_NORM:
        raise LunaError(errors.BAD_SDK_DESCRIPTOR)
    return (wide / norm).astype(np.float32)


def raw_encode(vector: Vector, version: DescriptorVersion) -> bytes:
    """Encode a unit vector, float32 [dimension], as the version's raw bytes."""
    if version.raw_encoding == "float32-le":
        return bytes(vector.astype("<f4").tobytes())
    return bytes(np.clip(np.rint(vector * UINT8_PER_UNIT) + UINT8_ZERO, 0, 255).astype(np.uint8).tobytes())


def raw_decode(data: bytes, version: DescriptorVersion) -> Vector:
    """Decode raw bytes to a unit vector, float32 [dimension].

    Raises LunaError WRONG_DESCRIPTOR_LENGTH for a wrong length, BAD_SDK_DESCRIPTOR as `normalised` does.
    """
    if len(data) != version.raw_bytes:
        raise LunaError(errors.WRONG_DESCRIPTOR_LENGTH, len(data))
    if version.raw_encoding == "float32-le":
        return normalised(np.frombuffer(data, "<f4"))
    return normalised(np.frombuffer(data, np.uint8).astype(np.float32) - UINT8_ZERO)


def sdk_encode(vector: Vector, version: DescriptorVersion) -> bytes:
    """Encode a unit vector as an SDK descriptor: raw bytes, version, signature."""
    return raw_encode(vector, version) + SDK_TRAILER.pack(version.version, SDK_SIGNATURE)


def sdk_decode(data: bytes) -> tuple[DescriptorVersion, Vector]:
    """Decode an SDK descriptor to its version and unit vector.

    Raises LunaError BAD_SDK_DESCRIPTOR for a malformed descriptor, UNKNOWN_DESCRIPTOR_VERSION for an unknown version.
    """
    if len(data) <= SDK_TRAILER.size:
        raise LunaError(errors.BAD_SDK_DESCRIPTOR)
    number, signature = SDK_TRAILER.unpack(data[-SDK_TRAILER.size :])
    if signature != SDK_SIGNATURE:
        raise LunaError(errors.BAD_SDK_DESCRIPTOR)
    version = versions.get(number)
    return version, raw_decode(data[: -SDK_TRAILER.size], version)


def base64_decode(text: str) -> bytes:
    """Decode base64. Raises LunaError BAD_DESCRIPTOR_BASE64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LunaError(errors.BAD_DESCRIPTOR_BASE64) from error


def base64_encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
