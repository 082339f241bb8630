"""SCRFD as InsightFace exports it with keypoints: two anchors per cell of strides 8, 16 and 32.

Outputs in order: scores, boxes and points, each for strides 8, 16, 32. Boxes are distances to the left, top, right and
bottom edge, points are offsets; both are in cells, from the corner of the cell. The first of the five points is the
image-left eye.
"""

from collections.abc import Sequence

import numpy as np

from apps.recognition.engine.heads.base import Candidates, Head, Values, grid

STRIDES = (8, 16, 32)
ANCHORS_A_CELL = 2


class Scrfd(Head):
    """Head of SCRFD, for inputs whose sides are multiples of 32."""

    last_sides = (1, 1, 1, 4, 4, 4, 10, 10, 10)

    def candidates(self, values: Sequence[Values], height: int, width: int) -> Candidates:
        """Return the anchors in network pixels, as InsightFace's `distance2bbox` and `distance2kps`."""
        boxes, scores, points = [], [], []
        for level, stride in enumerate(STRIDES):
            score, distances, offsets = values[level::3]
            corners = grid(height, width, stride, ANCHORS_A_CELL) * stride
            scores.append(score[..., 0])
            edges = distances * stride
            boxes.append(np.concatenate([corners - edges[..., :2], corners + edges[..., 2:]], -1))
            points.append(corners[:, None] + offsets.reshape(*offsets.shape[:2], 5, 2) * stride)
        return np.concatenate(boxes, 1), np.concatenate(scores, 1), np.concatenate(points, 1)
