"""YuNet (S. Yu, libfacedetection): anchor-free, one candidate per cell of strides 8, 16 and 32.

Outputs in order: cls, obj, bbox and kps, each for strides 8, 16, 32. The score is √(cls · obj). Boxes are centre
offsets and logarithms of the size, in cells. The first of the five points is the image-left eye.
"""

from collections.abc import Sequence

import numpy as np

from apps.recognition.engine.heads.base import Candidates, Head, Values, grid

STRIDES = (8, 16, 32)


class YuNet(Head):
    """Head of YuNet, for inputs whose sides are multiples of 32."""

    last_sides = (1, 1, 1, 1, 1, 1, 4, 4, 4, 10, 10, 10)

    def candidates(self, values: Sequence[Values], height: int, width: int) -> Candidates:
        """Return the candidates in network pixels, as OpenCV's FaceDetectorYN."""
        boxes, scores, points = [], [], []
        for level, stride in enumerate(STRIDES):
            classes, objects, box, keypoints = values[level::3]
            cells = grid(height, width, stride)
            scores.append(np.sqrt(classes.clip(0, 1) * objects.clip(0, 1))[..., 0])
            centres, halves = (cells + box[..., :2]) * stride, np.exp(box[..., 2:]) * (stride / 2)
            boxes.append(np.concatenate([centres - halves, centres + halves], -1))
            points.append((keypoints.reshape(*keypoints.shape[:2], 5, 2) + cells[:, None]) * stride)
        return np.concatenate(boxes, 1), np.concatenate(scores, 1), np.concatenate(points, 1)
