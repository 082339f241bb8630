"""Two descriptor versions, one of floats and one of bytes, that every test here may decode."""

import pytest

from apps.common.descriptors import versions
from tests.unit.common.helpers import BYTES, FLOATS


@pytest.fixture(autouse=True)
def _two_versions(_own_versions: None) -> None:
    for version in (FLOATS, BYTES):
        versions.register(version)
