"""Pictures that are stored: samples as JPEG, source images as they came or in the format that a policy wants."""

import io

import cv2
from django.conf import settings
from PIL import Image as Pillow

from apps.handlers.policies.storage import ImageOriginPolicy
from apps.recognition.engine.decode import FORMATS, decode
from apps.recognition.types import Face, Image

# At this quality, without subsampling of colours, descriptors of the stored warp stay within .002 of the cosine.
SAMPLE_QUALITY = 95
CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png"}
PILLOW_NAMES = {"jpg": "JPEG", "png": "PNG"}


def sample_bytes(warp: Image) -> bytes:
    """A warp, uint8 RGB [250, 250, 3], as JPEG."""
    parameters = [
        cv2.IMWRITE_JPEG_QUALITY, SAMPLE_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]  # fmt: skip
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(warp, cv2.COLOR_RGB2BGR), parameters)[1])


def sample_meta(face: Face) -> dict[str, object]:
    """The five points in the warp: with them nothing needs to be detected in the sample again."""
    return {"landmarks5": [[round(float(x), 3), round(float(y), 3)] for x, y in face.warp_landmarks5]}


def origin_bytes(data: bytes, policy: ImageOriginPolicy) -> tuple[bytes, str]:
    """A source image that could be decoded, and its content type. One in the wanted format stays as it came."""
    wanted = PILLOW_NAMES[policy.image_format]
    with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
        if picture.format == wanted:
            return data, CONTENT_TYPES[wanted]
    decoded = decode(data, max_bytes=settings.LUNA_MAX_IMAGE_BYTES, max_pixels=settings.LUNA_MAX_IMAGE_PIXELS)
    buffer = io.BytesIO()
    Pillow.fromarray(decoded.pixels).save(buffer, wanted, quality=policy.image_quality)
    return buffer.getvalue(), CONTENT_TYPES[wanted]
