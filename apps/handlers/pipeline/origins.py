"""Metadata of stored samples, and the encoding of stored source images."""

import io

from PIL import Image as Pillow

from apps.common.config import Images, config
from apps.common.pictures import open_picture
from apps.handlers.policies.storage import ImageOriginPolicy
from apps.recognition.engine.decode import FORMATS, decode
from apps.recognition.types import Face

CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png"}
PILLOW_NAMES = {"jpg": "JPEG", "png": "PNG"}


def sample_meta(face: Face) -> dict[str, object]:
    """Return the five landmarks in the frame of the warp, so that later extractions skip detection."""
    return {"landmarks5": [[round(float(x), 3), round(float(y), 3)] for x, y in face.warp_landmarks5]}


def origin_bytes(data: bytes, policy: ImageOriginPolicy) -> tuple[bytes, str]:
    """Return a decodable source image in the policy's format, and its content type.

    An image that already has this format is returned unchanged.
    """
    wanted = PILLOW_NAMES[policy.image_format]
    with open_picture(data, FORMATS) as picture:
        if picture.format == wanted:
            return data, CONTENT_TYPES[wanted]
    decoded = decode(data, max_bytes=config(Images).max_bytes, max_pixels=config(Images).max_pixels)
    buffer = io.BytesIO()
    Pillow.fromarray(decoded.pixels).save(buffer, wanted, quality=policy.image_quality)
    return buffer.getvalue(), CONTENT_TYPES[wanted]
