"""Descriptors that come in the place of images: every form, and every way to get it wrong."""

import base64
import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.descriptors import SDK_TRAILER, Calibration, DescriptorVersion, raw_encode, sdk_encode, versions
from apps.common.errors import LunaError
from apps.common.xpk import xpk_encode
from apps.recognition.inputs.descriptors import descriptors_decode
from apps.recognition.inputs.media import DESCRIPTOR_TYPES
from tests.factories import make_version, unit_vectors

FACE, BODY, XPK = (f"application/x-vl-{name}" for name in ("face-descriptor", "body-descriptor", "xpk"))
BODIES = DescriptorVersion(9301, "body", "test", 24, "uint8", Calibration(((-1.0, 0.0), (1.0, 1.0))))


def a_face(version: int | None = None) -> tuple[DescriptorVersion, bytes]:
    """A version, the default unless said otherwise, and raw bytes of it."""
    known = versions.default("face") if version is None else make_version(version, 16)
    return known, raw_encode(unit_vectors(1, known.dimension)[0], known)


def sdk(version: DescriptorVersion) -> bytes:
    return sdk_encode(unit_vectors(1, version.dimension)[0], version)


@pytest.fixture
def of_bodies() -> DescriptorVersion:
    """An installed version of bodies that is the default."""
    versions.register(BODIES, default=True)
    return BODIES


def code_of(data: bytes, content_type: str) -> int:
    with pytest.raises(LunaError) as caught:
        descriptors_decode(data, content_type)
    return caught.value.code


def test_raw_and_sdk_form_of_a_face() -> None:
    version, raw = a_face()
    for data in (raw, sdk(version)):
        ((found, vector),) = descriptors_decode(data, FACE)
        assert found is version
        assert np.allclose(vector, unit_vectors(1, version.dimension)[0], atol=1e-6)


def test_a_version_that_is_not_the_default_comes_in_sdk_form() -> None:
    older, raw = a_face(9302)
    assert [version.version for version, _ in descriptors_decode(sdk(older), FACE)] == [9302]
    assert code_of(raw, FACE) == 12038


def test_bodies(of_bodies: DescriptorVersion) -> None:
    raw = raw_encode(unit_vectors(1, 24)[0], of_bodies)
    for data in (raw, sdk(of_bodies)):
        assert [version for version, _ in descriptors_decode(data, BODY)] == [of_bodies]


def test_the_other_kind_is_refused(of_bodies: DescriptorVersion) -> None:
    assert code_of(sdk(of_bodies), FACE) == 12036
    assert code_of(sdk(a_face()[0]), BODY) == 12036


def test_raw_bytes_of_bodies_where_no_network_makes_them() -> None:
    assert code_of(bytes(24), BODY) == 200005


def test_a_file_holds_both_kinds(of_bodies: DescriptorVersion) -> None:
    version, _ = a_face()
    parts = [sdk(version), sdk(of_bodies), sdk(version)]
    for data in (xpk_encode(parts), b"".join(parts)):
        assert [found for found, _ in descriptors_decode(data, XPK)] == [version, of_bodies, version]


@pytest.mark.parametrize("content_type", [FACE, XPK])
def test_base64_with_line_breaks(content_type: str) -> None:
    data = sdk(a_face()[0])
    (plain,) = descriptors_decode(data, content_type)
    (coded,) = descriptors_decode(base64.encodebytes(data), f"{content_type}-base64")
    assert np.array_equal(plain[1], coded[1])


@pytest.mark.parametrize(
    ("data", "content_type", "code"),
    [
        (b"", FACE, 12038),
        (b"short", FACE, 12038),
        (b"\xff" * 512, FACE, 12038),  # not numbers
        (bytes(512), FACE, 12038),
        (b"x" * 520, FACE, 12038),
        (bytes(8) + SDK_TRAILER.pack(4_000_000_000, b"LUNA"), FACE, 12036),
        (b"LUNA", FACE, 12038),
        (b"", XPK, 12037),
        (xpk_encode([]), XPK, 12037),
        (b"descriptors", XPK, 12035),
        (b"LXPK", XPK, 12035),
        (xpk_encode([b"none"]), XPK, 12038),
        (b"!!!!", f"{FACE}-base64", 22012),
        (b"AAA", f"{XPK}-base64", 22012),
        ("ПРИВЕТ!!".encode(), f"{BODY}-base64", 22012),
        (b"", f"{FACE}-base64", 12038),
    ],
)
def test_what_is_wrong_with_it(data: bytes, content_type: str, code: int) -> None:
    assert code_of(data, content_type) == code


def test_a_cut_sdk_descriptor() -> None:
    assert code_of(sdk(a_face()[0])[4:], FACE) == 12034


@given(st.binary(max_size=600), st.sampled_from(["", "sdk", "xpk"]), st.sampled_from(sorted(DESCRIPTOR_TYPES)))
def test_arbitrary_bytes_never_crash(data: bytes, start: str, content_type: str) -> None:
    """Unit vectors, or a LunaError: no other exception."""
    whole = sdk(versions.default("face"))
    begun = {"": b"", "sdk": data + whole[-8:], "xpk": xpk_encode([whole])[: len(data)] + data}[start] or data
    for wire in (begun, base64.b64encode(begun)):
        with contextlib.suppress(LunaError):
            for _, vector in descriptors_decode(wire, content_type):
                assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
