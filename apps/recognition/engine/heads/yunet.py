"""YuNet (S. Yu, libfacedetection): anchor-free, one candidate per cell of strides 8, 16 and 32.

Outputs in order: cls, obj, bbox and kps, each for strides 8, 16, 32. The score is √(cls · obj). Boxes are centre
offsets and logarithms of the size, in cells. The first of the five points is the image-left eye.
"""

from collections.abc import Sequence

import numpy as np

from apps.recognition.engine.heads.base import Anchors, Head, Located, Values, cells_of, rows_of

STRIDES = (8, 16, 32)


class YuNet(Head):
    """Head of YuNet, for inputs whose sides are multiples of 32."""

    last_sides = (1, 1, 1, 1, 1, 1, 4, 4, 4, 10, 10, 10)

    def scores(self, values: Sequence[Values]) -> Values:
        """Return √(cls · obj)."""
        classes, objects = (np.concatenate(values[start : start + 3], 1)[..., 0].clip(0, 1) for start in (0, 3))
        return np.asarray(np.sqrt(classes * objects), np.float32)

    def located(self, values: Sequence[Values], chosen: Anchors, height: int, width: int) -> Located:
        """Return boxes and points as OpenCV's FaceDetectorYN."""
        cells, strides = (each[chosen[1]] for each in cells_of(height, width, STRIDES))
        box, keypoints = rows_of(values[6:9], chosen), rows_of(values[9:], chosen)
        centres, halves = (cells + box[:, :2]) * strides, np.exp(box[:, 2:]) * (strides / 2)
        points = (keypoints.reshape(-1, 5, 2) + cells[:, None]) * strides[:, None]
        return np.concatenate([centres - halves, centres + halves], -1), points
