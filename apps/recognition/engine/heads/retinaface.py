"""RetinaFace in its published PyTorch version with a MobileNet or ResNet-50 backbone.

Outputs in order: boxes, probabilities of background and face, points; over strides 8, 16, 32 with two square anchors
per cell. Values are relative to the anchor and scaled by the variances .1 (position) and .2 (logarithm of the size).
The first of the five points is the image-left eye.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from apps.recognition.engine.heads.base import Anchors, Head, Located, Values, grid, rows_of

ANCHORS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))  # (pixels per cell, sides of its anchors in pixels)
PLACE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2


class RetinaFace(Head):
    """Head of RetinaFace, for inputs of any size."""

    last_sides = (4, 2, 10)

    def scores(self, values: Sequence[Values]) -> Values:
        """Return the probabilities of a face."""
        return values[1][..., 1]

    def located(self, values: Sequence[Values], chosen: Anchors, height: int, width: int) -> Located:
        """Return boxes and points as the published `decode` and `decode_landm`."""
        centres, sides = (each[chosen[1]] for each in _anchors(height, width))
        box, offsets = rows_of(values[:1], chosen), rows_of(values[2:], chosen)
        middles = centres + box[:, :2] * PLACE_VARIANCE * sides
        halves = sides * np.exp(box[:, 2:] * SIZE_VARIANCE) / 2
        points = centres[:, None] + offsets.reshape(-1, 5, 2) * PLACE_VARIANCE * sides[:, None]
        return np.concatenate([middles - halves, middles + halves], -1), points


@lru_cache(maxsize=16)
def _anchors(height: int, width: int) -> tuple[Values, Values]:
    """Return centres [A, 2] and sides [A, 1] of the anchors in pixels."""
    centres, sides = [], []
    for stride, sizes in ANCHORS:
        cells = grid(height, width, stride, len(sizes))
        centres.append((cells + 0.5) * stride)
        sides.append(np.tile(np.array(sizes, np.float32), len(cells) // len(sizes)))
    return np.concatenate(centres), np.concatenate(sides)[:, None]
