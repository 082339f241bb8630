"""Descriptor versions: what a descriptor of a version is, how it travels, how two are compared.

A version is an integer. Its network, dimension, raw encoding and similarity calibration come from the network's
manifest; the recognition room registers them at start. Vectors inside the platform are float32, L2-normalised.

Wire forms: *raw* is the components alone in the version's encoding; *SDK* is raw + 4 bytes version
(little-endian) + 4 bytes signature `LUNA`; *XPK* is a file of SDK descriptors (apps/common/xpk.py).

The encoding `uint8` writes a component x of a unit vector as the byte 128 + 128·x, rounded, at most 255. The SQL
function `vlmatch` of two such descriptors, Σ(aᵢ − bᵢ)²/128² over their bytes, then is their squared Euclidean distance
2 − 2·cosine, but for the rounding: √vlmatch differs from the distance by at most √(D + 3)/128 for D components (each
is off by 1/256 at most, the one that can lie beyond 127.5/128 by 1/128).
"""

import base64
import binascii
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
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
UINT8_ZERO = UINT8_PER_UNIT = 128.0  # the byte of a component 0, and the steps up to one of 1


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
        """The inverse: which cosine a threshold of similarity stands for."""
        cosines, similarities = zip(*self.points, strict=True)
        return float(np.interp(similarity, similarities, cosines))


@dataclass(frozen=True, slots=True)
class DescriptorVersion:
    """What the platform knows about descriptors of one version."""

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

    `score` 0..1 rates how well the picture suits recognition, 1 = best; None where the picture is not known.
    """

    version: int
    vector: Vector
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """A stored face or event without a descriptor of some version, and the samples that one can be made of.

    `generation` is that of a face's attribute.
    """

    key: int  # inside the database
    object_id: UUID
    account_id: UUID
    samples: tuple[UUID, ...]
    generation: int = 0


class DescriptorRegistry:
    """The versions that this process knows, and the one of each kind that new descriptors get."""

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
        """Raises LunaError UNKNOWN_DESCRIPTOR_VERSION for a version that no installed manifest declares."""
        if version not in self._versions:
            raise LunaError(errors.UNKNOWN_DESCRIPTOR_VERSION, version)
        return self._versions[version]

    def default(self, kind: Kind = "face") -> DescriptorVersion:
        """The version of new descriptors. Raises LunaError ESTIMATOR_NOT_INITIALIZED when no network gives any of
        this kind.
        """
        if kind not in self._defaults:
            raise LunaError(errors.ESTIMATOR_NOT_INITIALIZED, f"{kind}_descriptor")
        return self._versions[self._defaults[kind]]

    def defaults(self) -> frozenset[int]:
        """The default version of each kind that has one."""
        return frozenset(self._defaults.values())

    def all(self) -> Sequence[DescriptorVersion]:
        return [self._versions[key] for key in sorted(self._versions)]


versions = DescriptorRegistry()


def normalised(vector: NDArray[np.floating]) -> Vector:
    """`vector` at length 1, float32. Raises LunaError BAD_SDK_DESCRIPTOR for NaN, infinities and (nearly) zero
    vectors.
    """
    wide = vector.astype(np.float64)
    norm = float(np.linalg.norm(wide)) if np.isfinite(wide).all() else 0.0
    if not np.isfinite(norm) or norm < MIN_NORM:
        raise LunaError(errors.BAD_SDK_DESCRIPTOR)
    return (wide / norm).astype(np.float32)


def raw_encode(vector: Vector, version: DescriptorVersion) -> bytes:
    """Components of a unit vector [dimension] as the version's raw bytes."""
    if version.raw_encoding == "float32-le":
        return bytes(vector.astype("<f4").tobytes())
    return bytes(np.clip(np.rint(vector * UINT8_PER_UNIT) + UINT8_ZERO, 0, 255).astype(np.uint8).tobytes())


def raw_decode(data: bytes, version: DescriptorVersion) -> Vector:
    """Raw bytes to a unit vector. Raises LunaError WRONG_DESCRIPTOR_LENGTH for a wrong length, BAD_SDK_DESCRIPTOR for
    NaN or zeros.
    """
    if len(data) != version.raw_bytes:
        raise LunaError(errors.WRONG_DESCRIPTOR_LENGTH, len(data))
    if version.raw_encoding == "float32-le":
        return normalised(np.frombuffer(data, "<f4"))
    return normalised(np.frombuffer(data, np.uint8).astype(np.float32) - UINT8_ZERO)


def sdk_encode(vector: Vector, version: DescriptorVersion) -> bytes:
    """Raw bytes + version + signature."""
    return raw_encode(vector, version) + SDK_TRAILER.pack(version.version, SDK_SIGNATURE)


def sdk_decode(data: bytes) -> tuple[DescriptorVersion, Vector]:
    """Raises LunaError BAD_SDK_DESCRIPTOR for anything that is not an SDK descriptor, UNKNOWN_DESCRIPTOR_VERSION for
    an unknown version.
    """
    if len(data) <= SDK_TRAILER.size:
        raise LunaError(errors.BAD_SDK_DESCRIPTOR)
    number, signature = SDK_TRAILER.unpack(data[-SDK_TRAILER.size :])
    if signature != SDK_SIGNATURE:
        raise LunaError(errors.BAD_SDK_DESCRIPTOR)
    version = versions.get(number)
    return version, raw_decode(data[: -SDK_TRAILER.size], version)


def base64_decode(text: str) -> bytes:
    """Base64 of a JSON string. Raises LunaError BAD_DESCRIPTOR_BASE64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LunaError(errors.BAD_DESCRIPTOR_BASE64) from error


def base64_encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
