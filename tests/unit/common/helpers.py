"""Two descriptor versions, one of floats and one of bytes."""

from apps.common.descriptors import Calibration, DescriptorVersion

BENT = Calibration(((-1.0, 0.0), (0.0, 0.1), (0.5, 0.4), (0.9, 0.95), (1.0, 1.0)))
FLOATS = DescriptorVersion(9001, "face", "test", 16, "float32-le", BENT)
BYTES = DescriptorVersion(9002, "face", "test", 64, "uint8", BENT)
