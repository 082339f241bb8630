"""BlazeFace: the picture letterboxed to 256×256, and tiles of it.

Beside the whole picture the network sees 2×2 tiles that overlap by a quarter, so that small faces of a group are large
enough for it (recall .935 without tiles, .960 with them on 278 faces). Tiles of a picture that is no larger than the
input show nothing new and are left out.

Outputs in order: scores of the 16×16 grid and of the 8×8 grid, boxes of both (centre, size, six points: image-left eye,
image-right eye, nose, mouth, image-left and image-right ear; all relative to the anchor's centre).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.detection import Window, letterboxed, resized, slices_of
from apps.recognition.engine.heads.base import Candidates, Head, Values, grid
from apps.recognition.types import Image

TILE_SHARE = 1 / 1.75  # of the longer side: two tiles with a quarter of overlap
STRIDES = ((16, 2), (32, 6))  # (pixels a cell, anchors a cell)


class BlazeFace(Head):
    """For square inputs of a fixed size."""

    last_sides = (1, 1, 16, 16)
    mesh_scale = 1.5
    five_points = False

    def windows(self, image: Image) -> tuple[NDArray[np.uint8], list[Window]]:
        """The whole picture and its tiles."""
        size = self.spec.width
        height, width = image.shape[:2]
        longer = max(height, width)
        if longer <= size:
            return self._whole(image, 1.0)
        tile = int(np.ceil(longer * TILE_SHARE))
        scale = size / tile
        scaled = resized(image, scale)  # once; every tile is a slice of it, and the whole is made smaller from it
        crops, places = self._whole(scaled, scale)
        tiles = [
            (round(left * scale), round(top * scale)) for top in _starts(height, tile) for left in _starts(width, tile)
        ]
        return np.concatenate([crops, slices_of(scaled, tiles, (size, size))]), places + [
            Window(left / scale, top / scale, scale) for left, top in tiles
        ]

    def _whole(self, image: Image, image_scale: float) -> tuple[NDArray[np.uint8], list[Window]]:
        size = self.spec.width
        return letterboxed(image, size / max(image.shape[:2]), (size, size), image_scale)

    def candidates(self, values: Sequence[Values], height: int, width: int) -> Candidates:
        """As the network was trained: sizes and offsets in network pixels."""
        scores = np.concatenate(values[:2], 1)[..., 0]
        rows = np.concatenate(values[2:], 1)
        rows += _anchors(height, width)
        placed = rows.reshape(*scores.shape, 8, 2)
        centres, halves = placed[:, :, 0], placed[:, :, 1] / 2
        return np.concatenate([centres - halves, centres + halves], -1), scores, placed[:, :, 2:]


@lru_cache(maxsize=4)
def _anchors(height: int, width: int) -> Values:
    """What is added to a row of the network, in network pixels: [A, 16], the anchor's centre except to the size."""
    centres = np.concatenate([(grid(height, width, stride, repeat) + 0.5) * stride for stride, repeat in STRIDES])
    rows = np.tile(centres, 8)  # one addition of long rows takes a third of the time of many of pairs
    rows[:, 2:4] = 0
    return rows


def _starts(length: int, tile: int) -> list[int]:
    """Where the tiles of one axis begin; one centred tile where the axis is shorter than a tile."""
    if length <= tile:
        return [-(tile - length) // 2]
    return [0, length - tile]
