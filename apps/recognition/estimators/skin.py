"""Colours of the skin in squares on both cheeks, and conversion to CIELAB.

The squares are those of ISO/IEC 29794-5: three tenths of the eye distance wide, half-way from eyes to mouth.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.recognition.types import Image, Points

SQUARE_SIDE = 0.3  # share of the eye distance
# Linear sRGB to XYZ relative to D50 (Bradford adaptation, B. Lindbloom), divided by the white point.
_TO_XYZ = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
) / np.array([[0.96422], [1.0], [0.82521]])


def cheek_pixels(warp: Image, landmarks5: Points) -> NDArray[np.uint8]:
    """Return the pixels of both squares, uint8 RGB [N, 3], empty if the squares are outside of the warp."""
    left_eye, right_eye = landmarks5[0], landmarks5[1]
    side = int(SQUARE_SIDE * np.linalg.norm(right_eye - left_eye))
    drop = int(np.linalg.norm(landmarks5[3:].mean(0) - landmarks5[:2].mean(0)) / 2)
    corners = ((int(left_eye[0]) - side, int(left_eye[1]) + drop), (int(right_eye[0]), int(right_eye[1]) + drop))
    squares = [warp[max(0, y) : max(0, y + side), max(0, x) : max(0, x + side)] for x, y in corners]
    return np.concatenate([square.reshape(-1, 3) for square in squares])


def cielab(rgb: ArrayLike) -> NDArray[np.float64]:
    """Convert sRGB colours 0..255 to L*, a*, b* (D50), [..., 3] to [..., 3]."""
    encoded = np.asarray(rgb, np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T
    x, y, z = np.moveaxis(np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
