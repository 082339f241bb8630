"""Pictures, and requests that store them."""

import io
from typing import Any
from uuid import UUID

from django.test import Client
from PIL import Image


def picture(size: tuple[int, int] = (250, 250), form: str = "JPEG", mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 64).convert(mode).save(buffer, form)
    return buffer.getvalue()


def post(client: Client, path: str, data: bytes, content_type: str = "image/jpeg", **extra: Any) -> Any:
    return client.post(path, data, content_type=content_type, **extra)


def stored(client: Client, path: str, data: bytes, content_type: str = "image/jpeg", **extra: Any) -> UUID:
    """Return the id of the object that a POST to `path` created."""
    answer = post(client, path, data, content_type, **extra)
    assert answer.status_code == 201, answer.content
    return UUID(next(iter(answer.json().values())))


def png_header(width: int, height: int) -> bytes:
    return (
        b"\x89PNG\r\n\x1a\n"
        + (13).to_bytes(4, "big")
        + b"IHDR"
        + width.to_bytes(4, "big")
        + height.to_bytes(4, "big")
        + b"\x08\x02\x00\x00\x00"
        + bytes(4)
    )
