"""The SQL function vlmatch."""

import numpy as np
import pytest
from django.db import DatabaseError, connection, transaction

from apps.common.descriptors import raw_encode
from tests.factories import make_version, unit_vectors

pytestmark = pytest.mark.django_db


def vlmatch(one: bytes | None, other: bytes, length: int) -> float | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT vlmatch(%s::bytea, %s::bytea, %s)", [one, other, length])
        (value,) = cursor.fetchone()
    return None if value is None else float(value)


def test_known_value() -> None:
    """The pair of descriptors with which operators check their database."""
    digits = "1234567890"
    one = bytes.fromhex((digits * 7)[:64])
    other = bytes.fromhex(("0" + "1234567890"[:9]) * 6 + "0123")
    assert vlmatch(one, other, 32) == 0.4765625


def test_like_numpy() -> None:
    one, other = np.random.default_rng(1).integers(0, 256, (2, 512), np.uint8)
    for length in (0, 1, 100, 512):
        expected = ((one[:length].astype(float) - other[:length]) ** 2).sum() / 128**2
        assert vlmatch(one.tobytes(), other.tobytes(), length) == expected
    assert vlmatch(bytes(512), b"\xff" * 512, 512) == 512 * 255**2 / 128**2


def test_distance_of_byte_descriptors() -> None:
    version = make_version(9301, 512, "uint8")
    one, other = unit_vectors(2, 512, seed=4)
    found = vlmatch(raw_encode(one, version), raw_encode(other, version), 512)
    assert found is not None
    assert abs(np.sqrt(found) - np.linalg.norm(one - other)) <= np.sqrt(515) / 128


def test_nothing_and_too_little() -> None:
    assert vlmatch(None, b"\0", 1) is None
    for length in (2, -1):
        with pytest.raises(DatabaseError), transaction.atomic():
            vlmatch(b"\0", b"\0", length)
