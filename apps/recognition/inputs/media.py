"""Content types of images and descriptors, and the decoding of their Base64 forms."""

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
# Content types of clients that do not know the type of an image; the bytes determine it.
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
MAX_DESCRIPTOR_BYTES = 256 * 1024  # size on the wire; thirty descriptors in Base64 fit
BLANKS = b" \t\r\n"


def image_bytes(data: bytes, content_type: str) -> bytes:
    """Return the decoded bytes of an image. Raises LunaError BAD_BASE64 for a Base64 type with invalid Base64."""
    if content_type not in BASE64_TYPES:
        return data
    try:
        return base64.b64decode(data.translate(None, BLANKS), validate=True)
    except binascii.Error as error:
        raise LunaError(errors.BAD_BASE64) from error


def wire_bytes(image_bytes: int, content_type: str) -> int:
    """Return the maximum size on the wire of an image of `image_bytes` bytes.

    Base64 with line breaks is up to one and a half times as long.
    """
    return image_bytes * 3 // 2 if content_type in BASE64_TYPES else image_bytes
