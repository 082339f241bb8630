"""Pictures that the recognition tests work on."""

import io
from functools import lru_cache
from typing import Any

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from apps.common.config import Directories, config
from apps.recognition.networks.samples import sample_photographs


@lru_cache(maxsize=1)
def astronaut() -> NDArray[np.uint8]:
    """One woman, 512×512 RGB, face at about (180..270, 60..170)."""
    return np.asarray(skimage.data.astronaut())


@lru_cache(maxsize=1)
def samples() -> tuple[bytes, ...]:
    """The six sample photographs: 21 faces; one woman is in the first and in the third."""
    return tuple(path.read_bytes() for path in sample_photographs(config(Directories).cache))


def as_pixels(picture: Any) -> NDArray[np.uint8]:
    """Check that OpenCV's result has bytes, which its types do not tell."""
    assert picture.dtype == np.uint8
    return picture


def one_turned_away() -> bytes:
    """The second sample, the profile of the woman on the left painted over as with hair: three bodies, two faces."""
    pixels = np.array(Image.open(io.BytesIO(samples()[1])))
    pixels[60:450, 340:560] = (40, 30, 28)
    return encoded(pixels, "JPEG", quality=95)


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG", **options: Any) -> bytes:
    """`pixels` as a file of a format that Pillow writes."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()
