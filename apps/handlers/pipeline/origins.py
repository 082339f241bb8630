"""Pictures that are stored: what is kept beside a sample, and source images in the format that a policy wants."""

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
    """The five points in the warp: with them nothing needs to be detected in the sample again."""
    return {"landmarks5": [[round(float(x), 3), round(float(y), 3)] for x, y in face.warp_landmarks5]}


def origin_bytes(data: bytes, policy: ImageOriginPolicy) -> tuple[bytes, str]:
    """A source image that could be decoded, and its content type. One in the wanted format stays as it came."""
    wanted = PILLOW_NAMES[policy.image_format]
    with open_picture(data, FORMATS) as picture:
        if picture.format == wanted:
            return data, CONTENT_TYPES[wanted]
    decoded = decode(data, max_bytes=config(Images).max_bytes, max_pixels=config(Images).max_pixels)
    buffer = io.BytesIO()
    Pillow.fromarray(decoded.pixels).save(buffer, wanted, quality=policy.image_quality)
    return buffer.getvalue(), CONTENT_TYPES[wanted]
