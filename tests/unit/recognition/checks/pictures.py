"""Portraits from public pictures, each with one change that a check must detect."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.decode import decode
from tests.unit.recognition.pictures import as_pixels, astronaut, samples

Pixels = NDArray[np.uint8]

EYES = ((203, 101), (247, 103))  # pupils of the astronaut, (x, y)


@lru_cache(maxsize=6)
def photograph(number: int) -> Pixels:
    """Sample 1..6, RGB."""
    return decode(samples()[number - 1], max_bytes=10**8, max_pixels=10**8).pixels


def portrait(number: int, x: int, y: int, side: int) -> Pixels:
    """The square of a sample around a face, brought to 720 pixels."""
    return as_pixels(
        cv2.resize(photograph(number)[y : y + side, x : x + side], (720, 720), interpolation=cv2.INTER_AREA)
    )


def framed() -> Pixels:
    """A frontal face as in a passport: 416 pixels of the fifth sample."""
    return portrait(5, 255, 858, 416)


def scaled(factor: float) -> Pixels:
    return as_pixels(cv2.resize(astronaut(), None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC))


def recoloured(change: Callable[[NDArray[np.float32]], Any], pixels: Pixels | None = None) -> Pixels:
    """`change` of the pixels as float 0..255."""
    values = change((astronaut() if pixels is None else pixels).astype(np.float32))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def grey() -> Pixels:
    return np.repeat(cv2.cvtColor(astronaut(), cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def one_side_dark() -> Pixels:
    light = np.where(np.arange(512) < 225, 1.0, 0.12)[None, :, None]
    return recoloured(lambda values: values * light)


def red_eyed() -> Pixels:
    """What a flash beside the lens does."""
    pixels = scaled(3)
    for x, y in EYES:
        cv2.circle(pixels, (x * 3, y * 3), 9, (200, 40, 40), -1, cv2.LINE_AA)
    return pixels


def before_a_wall(pixels: Pixels, colour: tuple[int, int, int]) -> Pixels:
    """Return the astronaut in front of one colour: all pixels except the head and the region below it."""
    mask = np.zeros((512, 512), np.uint8)
    cv2.ellipse(mask, (224, 110), (88, 118), 0, 0, 360, 255, -1)
    mask[200:, 60:400] = 255
    soft = cv2.GaussianBlur(mask, (0, 0), 3)[..., None] / 255
    return recoloured(lambda values: values * soft + np.array(colour) * (1 - soft), pixels)


def before_noise() -> Pixels:
    noise = np.random.default_rng(1).integers(0, 256, (512, 512, 3)).astype(np.uint8)
    wall = before_a_wall(astronaut(), (0, 0, 0))
    behind = before_a_wall(np.zeros_like(astronaut()), (1, 1, 1))
    return np.where(behind > 0, noise, wall)


def bent(pixels: Pixels, k: float) -> Pixels:
    """A barrel: r → r·(1 + k·r²) towards the middle, the corners stay."""
    height, width = pixels.shape[:2]
    middle = np.array([width / 2, height / 2])
    y, x = np.mgrid[:height, :width]
    places = (np.stack([x, y], -1) - middle) / np.linalg.norm(middle)
    source = places * ((1 + k * (places**2).sum(-1, keepdims=True)) / (1 + k)) * np.linalg.norm(middle) + middle
    x, y = source.astype(np.float32).transpose(2, 0, 1)
    return as_pixels(cv2.remap(pixels, x, y, cv2.INTER_LINEAR))


def brows_moved(pixels_up: float) -> Pixels:
    """The astronaut with brows higher (or, negative, lower) by so many pixels of 512."""
    y, x = np.mgrid[:512, :512].astype(np.float32)
    shift = np.zeros((512, 512), np.float32)
    for eye_x, eye_y in EYES:
        shift += np.exp(-(((x - eye_x) / 22) ** 2) - ((y - (eye_y - 14 - pixels_up / 2)) / 9) ** 2)
    return as_pixels(cv2.remap(astronaut(), x, y + pixels_up * shift, cv2.INTER_CUBIC))


def mouth_opened() -> Pixels:
    """The lower half of the laughing woman's mouth pulled down, with room around: detectors cut huge faces short."""
    pixels = portrait(1, 1432, 218, 272)
    upright = cv2.warpAffine(pixels, cv2.getRotationMatrix2D((360, 360), 45, 0.9), (720, 720))
    y, x = np.mgrid[:720, :720].astype(np.float32)
    pull = 70 * np.exp(-(((x - 370) / 110) ** 2) - ((y - 540) / 60) ** 2)
    opened = cv2.remap(upright, x, y - pull, cv2.INTER_CUBIC)
    return as_pixels(cv2.copyMakeBorder(opened, 150, 150, 150, 150, cv2.BORDER_REPLICATE))


def turned(degrees: float) -> Pixels:
    """Clockwise."""
    return as_pixels(cv2.warpAffine(astronaut(), cv2.getRotationMatrix2D((225, 115), -degrees, 1.0), (512, 512)))
