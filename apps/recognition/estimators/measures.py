"""Measurements of several estimators: luminance, exposure, sharpness, and sigmoids that map them to 0..1.

Definitions are those of ISO/IEC 29794-5 and its reference implementation OFIQ (BSI) if available. Components are 0..100
there and 0..1 here.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.recognition.types import Image, Points

SHARPNESS_SIZE_PX = 128  # size of the measured warp; larger sizes would measure noise
MIDDLE = (slice(40, 102), slice(32, 96))  # region of it: brows to chin and cheek to cheek of the warp template
SHARPNESS_LOG_VARIANCE = 1.65  # log10 of the Laplacian's variance at a score of one half
SHARPNESS_WIDTH = 0.12

_encoded = np.arange(256) / 255
_LINEAR = np.where(_encoded <= 0.04045, _encoded / 12.92, ((_encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def sigmoid(x: float, centre: float, width: float) -> float:
    """Return 1 / (1 + exp((centre − x) / width)): 0.5 at `centre`, increasing for a positive `width`."""
    return float(1 / (1 + np.exp(np.clip((centre - x) / width, -60, 60))))


def luminance(image: Image) -> NDArray[np.float32]:
    """Return Rec. 709 luminance of linearised sRGB in sRGB's encoding: float32 [H, W], 0..1."""
    linear = _LINEAR.take(image) @ _LUMINANCE
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.power(linear, 1 / 2.4) - 0.055)
    return encoded.astype(np.float32)


def region(points: Points, size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the convex hull of `points` as a mask [height, width]. `size_px`: (height, width)."""
    mask = np.zeros(size_px, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    return mask.astype(np.bool_)


def sharpness(warp: Image) -> float:
    """Return the sharpness 0..1 by the variance of the Laplacian of the warp's middle at a fixed size.

    It is one half at a variance of 45. The median of 58 faces is .99; after a Gaussian blur of 2 warp pixels (a
    thirtieth of the eye distance) it is .35, after 3 pixels .02. Faces with less than 20 px between the eyes have .55.
    """
    grey = cv2.cvtColor(warp, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SHARPNESS_SIZE_PX, SHARPNESS_SIZE_PX), interpolation=cv2.INTER_AREA)
    middle = cv2.Laplacian(small.astype(np.float32), cv2.CV_32F)[MIDDLE]
    return sigmoid(float(np.log10(middle.var() + 1e-3)), SHARPNESS_LOG_VARIANCE, SHARPNESS_WIDTH)
