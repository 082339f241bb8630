"""SCRFD as InsightFace exports it with keypoints: two anchors per cell of strides 8, 16 and 32.

Outputs in order: scores, boxes and points, each for strides 8, 16, 32. Boxes are distances to the left, top, right and
bottom edge, points are offsets; both are in cells, from the corner of the cell. The first of the five points is the
image-left eye.
"""

from collections.abc import Sequence

import numpy as np

from apps.recognition.engine.heads.base import Anchors, Head, Located, Values, cells_of, rows_of

STRIDES = (8, 16, 32)
ANCHORS_A_CELL = 2


class Scrfd(Head):
    """Head of SCRFD, for inputs whose sides are multiples of 32."""

    last_sides = (1, 1, 1, 4, 4, 4, 10, 10, 10)

    def scores(self, values: Sequence[Values]) -> Values:
        """Return the published scores."""
        scores: Values = np.concatenate(values[:3], 1)[..., 0]
        return scores

    def located(self, values: Sequence[Values], chosen: Anchors, height: int, width: int) -> Located:
        """Return boxes and points as InsightFace's `distance2bbox` and `distance2kps`."""
        cells, strides = (each[chosen[1]] for each in cells_of(height, width, STRIDES, ANCHORS_A_CELL))
        corners, edges = cells * strides, rows_of(values[3:6], chosen) * strides
        offsets = rows_of(values[6:], chosen).reshape(-1, 5, 2) * strides[:, None]
        boxes = np.concatenate([corners - edges[:, :2], corners + edges[:, 2:]], -1)
        return boxes, corners[:, None] + offsets
