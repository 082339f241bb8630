"""Content types of images and descriptors, and the bytes behind their Base64 forms."""

import base64
import binascii

from apps.common import errors
from apps.common.errors import LunaError

IMAGE_TYPES = frozenset(
    f"image/{name}"
    for name in (
        "jpeg", "jpg", "png", "bmp", "x-windows-bmp", "x-ms-bmp", "tiff", "gif", "webp",
        "x-portable-pixmap", "x-portable-anymap", "x-portable-graymap",
        "heic", "heif", "avif", "jp2", "jpx", "jpeg2000",
    )
)  # fmt: skip
BASE64_TYPES = frozenset(
    f"image/x-{name}-base64"
    for name in (
        "jpeg", "jpg", "png", "bmp", "windows-bmp", "tiff", "gif", "webp", "portable-pixmap", "heic", "heif", "avif",
        "jp2", "jpx", "jpeg2000",
    )
)  # fmt: skip
# What programs send that do not know an image's type; the bytes decide.
UNSAID_TYPES = frozenset({"", "application/octet-stream"})
FACE_DESCRIPTOR_TYPE = "application/x-vl-face-descriptor"
BODY_DESCRIPTOR_TYPE = "application/x-vl-body-descriptor"
XPK_TYPE = "application/x-vl-xpk"
BASE64_SUFFIX = "-base64"
DESCRIPTOR_TYPES = frozenset(
    f"{name}{suffix}"
    for name in (FACE_DESCRIPTOR_TYPE, BODY_DESCRIPTOR_TYPE, XPK_TYPE)
    for suffix in ("", BASE64_SUFFIX)
)
MAX_DESCRIPTOR_BYTES = 256 * 1024  # on the wire; thirty in Base64 fit
BLANKS = b" \t\r\n"


def image_bytes(data: bytes, content_type: str) -> bytes:
    """The image itself. Raises LunaError BAD_BASE64 when a Base64 type holds something else."""
    if content_type not in BASE64_TYPES:
        return data
    try:
        return base64.b64decode(data.translate(None, BLANKS), validate=True)
    except binascii.Error as error:
        raise LunaError(errors.BAD_BASE64) from error


def wire_bytes(image_bytes: int, content_type: str) -> int:
    """How long an image of `image_bytes` may be on the wire: Base64 with line breaks takes half as much again."""
    return image_bytes * 3 // 2 if content_type in BASE64_TYPES else image_bytes
