"""Names of colours: ranges of lightness, chroma and hue in CIELAB (D50), and the colours of a region of pixels.

The hues are those of CSS named colours: red 41°, orange 71°, yellow 100°, green 134°, teal 196°, blue 301°, purple
327°, pink 351°. Brown, beige and khaki are dark or pale orange and yellow. The words are the platform's.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from apps.recognition.estimators.skin import cielab

NAMES = (
    "black", "white", "grey", "pink", "red", "brown", "orange", "beige", "khaki", "yellow", "green", "blue", "purple",
)  # fmt: skip
UNKNOWN, MULTICOLOURED = "unknown", "multicolored"

BLACK_BELOW, WHITE_FROM = 22.0, 80.0  # L*
GREY_CHROMA, DARK_GREY_CHROMA = 9.0, 14.0  # dark pixels have more noise and colour casts
LEAST_SHARE = 0.2  # minimum share of a region for a named colour
MOST_COLOURS = 3
NAMED_SHARE = 0.6  # minimum total share of the named colours; below it the region is multicoloured
LEAST_PIXELS = 40


def named(pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    """Return the colours of a region, uint8 RGB [N, 3], the most frequent first.

    Many small colours give `multicolored`, too few pixels give `unknown`.
    """
    if len(pixels) < LEAST_PIXELS:
        return (UNKNOWN,)
    shares = np.bincount(name_indices(pixels), minlength=len(NAMES)) / len(pixels)
    common = [index for index in np.argsort(-shares) if shares[index] >= LEAST_SHARE][:MOST_COLOURS]
    if shares[common].sum() < NAMED_SHARE:
        return (MULTICOLOURED,)
    return tuple(NAMES[index] for index in common)


def name_indices(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return the index in `NAMES` of each pixel's colour: uint8 RGB [N, 3] to [N]."""
    lightness, a, b = np.moveaxis(cielab(pixels), -1, 0)
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
    dark = lightness < 30
    greyish = chroma < np.where(dark, DARK_GREY_CHROMA, GREY_CHROMA)
    pale, dull = chroma < 32, chroma < 45
    warm, sandy = (hue >= 52) & (hue < 84), (hue >= 84) & (hue < 115)
    rules: list[tuple[NDArray[np.bool_], str]] = [
        (greyish & (lightness < BLACK_BELOW), "black"),
        (greyish & (lightness >= WHITE_FROM), "white"),
        (greyish, "grey"),
        (((hue >= 340) | (hue < 15)) & (lightness >= 48), "pink"),
        ((hue >= 42) & (hue < 52) & (lightness >= 47) & ~dull, "orange"),
        ((hue < 52) & (lightness >= 62), "pink"),
        ((hue >= 312) & (lightness >= 68), "pink"),
        ((hue >= 30) & (hue < 52) & (lightness < 45) & pale, "brown"),
        ((hue < 52) | (hue >= 345), "red"),
        (warm & (lightness >= 66) & pale, "beige"),
        (warm & (lightness >= 58) & ~dull, "orange"),
        (warm, "brown"),
        (sandy & (lightness >= 70) & (chroma < 24), "beige"),
        (sandy & (lightness >= 65) & ~dull, "yellow"),
        (sandy & (hue < 94) & (lightness < 38), "brown"),
        (sandy, "khaki"),
        (hue < 185, "green"),
        (hue < 303, "blue"),
    ]
    conditions = [condition for condition, _ in rules]
    numbers = [NAMES.index(name) for _, name in rules]
    return cast(NDArray[np.intp], np.select(conditions, numbers, NAMES.index("purple")))


def plain(pixels: NDArray[np.uint8]) -> str:
    """Return `white`, `black` or `other` by the median of a region, uint8 RGB [N, 3]; too few pixels give `unknown`."""
    if len(pixels) < LEAST_PIXELS:
        return UNKNOWN
    (name,) = (NAMES[index] for index in name_indices(np.median(pixels, axis=0)[None].astype(np.uint8)))
    return name if name in ("white", "black") else "other"
