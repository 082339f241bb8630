"""Files of descriptors."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.descriptors import SDK_TRAILER, normalised, sdk_encode
from apps.common.errors import LunaError
from apps.common.xpk import MAX_DESCRIPTORS, NUMBER, xpk_decode, xpk_encode
from tests.unit.common.helpers import BYTES, FLOATS

VERSIONS = st.lists(st.sampled_from([FLOATS, BYTES]), min_size=1, max_size=6)


def one(version: object = FLOATS, seed: int = 0) -> bytes:
    known = BYTES if version is BYTES else FLOATS
    return sdk_encode(normalised(np.random.default_rng(seed).standard_normal(known.dimension)), known)


@given(VERSIONS, st.integers(0, 1000), st.booleans())
def test_descriptors_come_back_in_order(versions: list[object], seed: int, framed: bool) -> None:
    parts = [one(version, seed + at) for at, version in enumerate(versions)]
    decoded = xpk_decode(xpk_encode(parts) if framed else b"".join(parts))
    assert [version for version, _ in decoded] == versions
    for part, (version, vector) in zip(parts, decoded, strict=True):
        if version is FLOATS:
            np.testing.assert_allclose(np.frombuffer(part[: -SDK_TRAILER.size], "<f4"), vector, atol=1e-6)


@given(VERSIONS, st.data())
def test_a_cut_file_is_refused(versions: list[object], data: st.DataObject) -> None:
    whole = xpk_encode([one(version) for version in versions])
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(LunaError) as error:
        xpk_decode(whole[:cut])
    assert error.value.code == (12037 if cut == 0 else 12035)


@given(st.binary(max_size=300), st.sampled_from([b"", b"LXPK", b"LXPK\1\0\0\0", xpk_encode([one()])]))
def test_arbitrary_bytes_never_crash(data: bytes, start: bytes) -> None:
    with contextlib.suppress(LunaError):
        assert xpk_decode(start + data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (xpk_encode([]), 12037),
        (b"", 12037),
        (xpk_encode([one()]) + b"x", 12035),
        (b"LXPK" + NUMBER.pack(2**32 - 1), 12035),
        (b"LXPK" + NUMBER.pack(1) + NUMBER.pack(2**32 - 1) + one(), 12035),
        (one()[4:], 12035),
        (b"x" + one(), 12035),
        (xpk_encode([one()] * (MAX_DESCRIPTORS + 1)), 12035),
        (one() * (MAX_DESCRIPTORS + 1), 12035),
        (bytes(64) + SDK_TRAILER.pack(4_000_000_000, b"LUNA"), 12036),
        (xpk_encode([bytes(64) + SDK_TRAILER.pack(FLOATS.version, b"LUNA")]), 12038),
        (xpk_encode([one()[4:]]), 12034),
        (xpk_encode([b""]), 12038),
    ],
    ids=lambda value: value if isinstance(value, int) else len(value),
)
def test_what_is_wrong_with_a_file(data: bytes, code: int) -> None:
    with pytest.raises(LunaError) as error:
        xpk_decode(data)
    assert error.value.code == code


def test_the_largest_file() -> None:
    assert len(xpk_decode(xpk_encode([one()] * MAX_DESCRIPTORS))) == MAX_DESCRIPTORS
