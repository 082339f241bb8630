"""Codecs and calibration of descriptors."""

import contextlib
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from apps.common.descriptors import (
    SDK_TRAILER,
    Calibration,
    DescriptorRegistry,
    DescriptorVersion,
    Vector,
    base64_decode,
    base64_encode,
    normalised,
    raw_decode,
    raw_encode,
    sdk_decode,
    sdk_encode,
)
from apps.common.errors import LunaError
from tests.unit.common.helpers import BENT, BYTES, FLOATS

LINE = Calibration(((-1.0, 0.0), (1.0, 1.0)))

components = st.lists(st.floats(-1, 1, width=32), min_size=16, max_size=16).filter(
    lambda values: float(np.linalg.norm(values)) > 1e-3
)


def refused(code: int, action: object, *args: object) -> None:
    with pytest.raises(LunaError) as error:
        action(*args)  # type: ignore[operator]
    assert error.value.code == code


@given(components)
def test_float_vectors_survive_both_wire_forms(values: list[float]) -> None:
    vector = normalised(np.array(values))
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    raw = raw_encode(vector, FLOATS)
    assert len(raw) == FLOATS.raw_bytes == 64
    np.testing.assert_allclose(raw_decode(raw, FLOATS), vector, atol=1e-6)
    version, decoded = sdk_decode(sdk_encode(vector, FLOATS))
    assert version is FLOATS
    np.testing.assert_allclose(decoded, vector, atol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_byte_vectors_keep_their_direction(seed: int) -> None:
    vector = normalised(np.random.default_rng(seed).standard_normal(64))
    raw = raw_encode(vector, BYTES)
    assert len(raw) == BYTES.raw_bytes == 64
    assert float(raw_decode(raw, BYTES) @ vector) > 0.995


def unit(values: list[float]) -> NDArray[np.float32]:
    return normalised(np.array(values))


spikes = st.integers(0, 63).map(lambda at: [float(index == at) for index in range(64)])
sixty_four = st.one_of(
    spikes, st.lists(st.floats(-1, 1, width=32), min_size=64, max_size=64).filter(lambda v: max(map(abs, v)) > 1e-3)
)


@given(sixty_four, sixty_four)
def test_distance_of_bytes_is_the_distance_of_floats(one: list[float], other: list[float]) -> None:
    """√vlmatch within √(D + 3)/128 of the Euclidean distance, as the module says."""
    a, b = unit(one), unit(other)
    bytes_a, bytes_b = (np.frombuffer(raw_encode(vector, BYTES), np.uint8).astype(float) for vector in (a, b))
    distance = np.sqrt(((bytes_a - bytes_b) ** 2).sum() / 128**2)
    assert abs(distance - np.linalg.norm(a.astype(float) - b)) <= np.sqrt(64 + 3) / 128 + 1e-6


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_crash_the_decoders(data: bytes) -> None:
    """A vector of length one, or a LunaError: no other exception."""
    decoders: tuple[Callable[[], Vector], ...] = (
        lambda: raw_decode(data, FLOATS), lambda: raw_decode(data, BYTES), lambda: sdk_decode(data)[1]
    )  # fmt: skip
    for decode in decoders:
        with contextlib.suppress(LunaError):
            assert np.linalg.norm(decode()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_with_holes_are_refused(bad: float) -> None:
    values = np.ones(16, np.float32)
    values[3] = bad
    refused(12038, normalised, values)
    refused(12038, raw_decode, values.astype("<f4").tobytes(), FLOATS)


def test_zero_vector_is_refused() -> None:
    refused(12038, raw_decode, bytes(64), FLOATS)
    refused(12038, raw_decode, bytes([128] * 64), BYTES)


def test_largest_floats_do_not_overflow() -> None:
    huge = np.full(16, np.finfo(np.float32).max)
    np.testing.assert_allclose(normalised(huge), np.full(16, 0.25), atol=1e-6)


def test_wrong_lengths_versions_and_signatures() -> None:
    vector = normalised(np.ones(16))
    raw = raw_encode(vector, FLOATS)
    refused(12034, raw_decode, raw[:-1], FLOATS)
    refused(12034, raw_decode, raw + b"\0", FLOATS)
    refused(12034, sdk_decode, raw[4:] + SDK_TRAILER.pack(FLOATS.version, b"LUNA"))
    refused(12038, sdk_decode, raw + SDK_TRAILER.pack(FLOATS.version, b"luna"))
    refused(12036, sdk_decode, raw + SDK_TRAILER.pack(4_000_000_000, b"LUNA"))
    refused(12038, sdk_decode, b"")


@given(st.binary())
def test_base64_round_trip(data: bytes) -> None:
    assert base64_decode(base64_encode(data)) == data


@pytest.mark.parametrize("text", ["a", "!!!!", "é===", "aGk=\n"])
def test_base64_that_is_none(text: str) -> None:
    refused(22012, base64_decode, text)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_similarity_never_falls_when_cosine_rises(one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert 0 <= BENT.similarity(low) <= BENT.similarity(high) <= 1


@given(st.floats(0, 1))
def test_cosine_is_the_inverse(similarity: float) -> None:
    assert BENT.similarity(BENT.cosine(similarity)) == pytest.approx(similarity, abs=1e-9)


def test_similarity_between_the_points() -> None:
    assert [BENT.similarity(cosine) for cosine in (-1, 0, 0.25, 0.9, 1)] == pytest.approx([0, 0.1, 0.25, 0.95, 1])
    assert BENT.similarity(1.0000001) == 1, "rounding beyond a cosine of one changes nothing"


@pytest.mark.parametrize(
    "points",
    [
        ((-1.0, 0.0), (0.5, 0.5), (0.5, 0.6), (1.0, 1.0)),
        ((-1.0, 0.0), (0.0, 0.6), (0.5, 0.6), (1.0, 1.0)),
        ((0.0, 0.0), (1.0, 1.0)),
        ((-1.0, 0.1), (1.0, 1.0)),
    ],
)
def test_calibration_that_does_not_rise_is_refused(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="increase"):
        Calibration(points)


def test_registry() -> None:
    registry = DescriptorRegistry()
    refused(200005, registry.default)
    refused(12036, registry.get, 9001)
    registry.register(FLOATS)
    registry.register(FLOATS)
    registry.register(BYTES, default=True)
    assert registry.default() is BYTES
    assert registry.get(9001) is FLOATS
    assert [version.version for version in registry.all()] == [9001, 9002]
    changed = DescriptorVersion(9001, "face", "test", 17, "float32-le", LINE)
    with pytest.raises(ValueError, match="twice"):
        registry.register(changed)


def test_vectors_of_one_direction_are_equal_after_any_form() -> None:
    vectors = [normalised(np.arange(1, 17) * factor) for factor in (1e-3, 1.0, 1e6)]
    for one, two in itertools.combinations(vectors, 2):
        np.testing.assert_allclose(one, two, atol=1e-6)
