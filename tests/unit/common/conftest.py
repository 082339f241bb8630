"""Two descriptor versions, one of floats and one of bytes, that every test here may decode."""

import pytest

from apps.common.descriptors import Calibration, DescriptorVersion, versions

BENT = Calibration(((-1.0, 0.0), (0.0, 0.1), (0.5, 0.4), (0.9, 0.95), (1.0, 1.0)))
FLOATS = DescriptorVersion(9001, "face", "test", 16, "float32-le", BENT)
BYTES = DescriptorVersion(9002, "face", "test", 64, "uint8", BENT)


@pytest.fixture(autouse=True)
def _two_versions(_own_versions: None) -> None:
    for version in (FLOATS, BYTES):
        versions.register(version)
