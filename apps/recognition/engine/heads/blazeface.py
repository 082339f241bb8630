"""BlazeFace: the picture letterboxed to 256×256, and tiles of it.

Besides the whole picture the network runs on 2×2 tiles that overlap by a quarter, for small faces of a group. Recall on
278 faces: .935 without tiles, .960 with tiles. A picture up to the size of the input has no tiles.

Outputs in order: scores of the 16×16 grid and of the 8×8 grid, boxes of both (centre, size, six points: image-left eye,
image-right eye, nose, mouth, image-left and image-right ear; all relative to the anchor's centre).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.detection import Window, letterboxed, resized, slices_of
from apps.recognition.engine.heads.base import Anchors, Head, Located, Values, grid, rows_of
from apps.recognition.types import Image

TILE_SHARE = 1 / 1.75  # share of the longer side: two tiles that overlap by a quarter
STRIDES = ((16, 2), (32, 6))  # (pixels per cell, anchors per cell)


class BlazeFace(Head):
    """Head of BlazeFace, for square inputs of a fixed size."""

    last_sides = (1, 1, 16, 16)
    mesh_scale = 1.5
    five_points = False

    def windows(self, image: Image) -> tuple[NDArray[np.uint8], list[Window]]:
        """Return the whole picture and its tiles."""
        size = self.spec.width
        height, width = image.shape[:2]
        longer = max(height, width)
        if longer <= size:
            return self._whole(image, 1.0)
        tile = int(np.ceil(longer * TILE_SHARE))
        scale = size / tile
        scaled = resized(image, scale)  # tiles are slices of it, and the whole picture is downscaled from it
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

    def scores(self, values: Sequence[Values]) -> Values:
        """Return the scores of both grids."""
        scores: Values = np.concatenate(values[:2], 1)[..., 0]
        return scores

    def located(self, values: Sequence[Values], chosen: Anchors, height: int, width: int) -> Located:
        """Return boxes and points by the training's encoding: sizes and offsets in network pixels."""
        placed = (rows_of(values[2:], chosen) + _anchors(height, width)[chosen[1]]).reshape(-1, 8, 2)
        centres, halves = placed[:, 0], placed[:, 1] / 2
        return np.concatenate([centres - halves, centres + halves], -1), placed[:, 2:]


@lru_cache(maxsize=4)
def _anchors(height: int, width: int) -> Values:
    """Return the offsets to add to rows of the output, in network pixels, [A, 16]: the anchor's centre, 0 for sizes."""
    centres = np.concatenate([(grid(height, width, stride, repeat) + 0.5) * stride for stride, repeat in STRIDES])
    rows = np.tile(centres, 8)
    rows[:, 2:4] = 0
    return rows


def _starts(length: int, tile: int) -> list[int]:
    """Return the starts of the tiles on one axis; one centred tile if the axis is shorter than a tile."""
    if length <= tile:
        return [-(tile - length) // 2]
    return [0, length - tile]
