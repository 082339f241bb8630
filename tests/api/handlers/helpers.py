"""Photographs and handlers."""

import io
from functools import cache
from typing import Any

import numpy as np
from django.test import Client
from PIL import Image
from skimage import data as photographs

from apps.common.config import Directories, config
from apps.recognition.networks.samples import sample_photographs

JSON = "application/json"
JPEG = "image/jpeg"


@cache
def astronaut() -> bytes:
    """One face, 512×512."""
    return encoded(Image.fromarray(photographs.astronaut()))


@cache
def sample(number: int) -> bytes:
    """Photograph 1..6 of the sample package."""
    return sample_photographs(config(Directories).cache)[number - 1].read_bytes()


@cache
def nobody() -> bytes:
    """A picture without a face."""
    return encoded(Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (256, 1))).convert("RGB"))


def encoded(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def make_handler(client: Client, policies: Any = None, **body: Any) -> str:
    """Its path."""
    answer = client.post("/6/handlers", {"policies": policies or {}, **body} if policies != "dynamic" else body, JSON)
    assert answer.status_code == 201, answer.json()
    url: str = answer.json()["url"]
    return url
