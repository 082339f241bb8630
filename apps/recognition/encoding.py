"""Encoding of warps as files."""

import cv2

from apps.recognition.types import Image

# Descriptors of a warp before and after this JPEG quality, without chroma subsampling, have a cosine above .998.
QUALITY = 95


def warp_bytes(warp: Image) -> bytes:
    """Return a warp, uint8 RGB [H, W, 3], as JPEG bytes."""
    parameters = [
        cv2.IMWRITE_JPEG_QUALITY, QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]  # fmt: skip
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(warp, cv2.COLOR_RGB2BGR), parameters)[1])
