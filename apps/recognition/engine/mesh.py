"""The 468-point face mesh: crops for it, its points back in the picture, and which points are what.

Point numbers are those of MediaPipe's canonical face model. Left and right are the picture's unless said otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.geometry import Matrix, apply, inverse, square_transform
from apps.recognition.types import Points

SIZE_PX = 192
FLAG_THRESHOLD = 0.5

EYE_CORNERS = ((33, 133), (362, 263))  # image-left and image-right eye
FIVE_POINTS = ((33, 133), (362, 263), (1,), (61,), (291,))  # eyes, nose tip, mouth corners
_PAIRS = np.array([(group[0], group[-1]) for group in FIVE_POINTS])  # the mean of a point with itself is the point
CHIN = 152


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """`points` float32 [468, 2] in picture pixels; `shape` float32 [468, 3] upright as the network saw the face, x, y
    and depth in one unit (crop pixels), depth growing away from the camera; `flag` 0..1, is there a face.
    `matrix`: picture to the network's crop.
    """

    points: Points
    shape: NDArray[np.float32]
    flag: float
    matrix: Matrix


def crop_matrix(box: NDArray[np.float32], roll: float, scale: float) -> Matrix:
    """Picture to mesh crop for a face box grown by `scale` whose face is turned by `roll` radians."""
    side = max(box[2] - box[0], box[3] - box[1]) * scale
    return square_transform((box[:2] + box[2:]) / 2, float(side), roll, SIZE_PX)


def decode(raw: NDArray[np.float32], flag: float, matrix: Matrix) -> Mesh:
    """One face's output: `raw` [1404], crop pixels."""
    shape = raw.reshape(468, 3)
    return Mesh(apply(inverse(matrix), shape[:, :2]), shape, flag, matrix)


def five_points(points: Points) -> Points:
    """Image-left eye, image-right eye, nose tip, image-left and image-right mouth corner: float32 [5, 2]."""
    return np.asarray(points[_PAIRS].mean(1), np.float32)


def residual_roll(mesh: Mesh) -> float:
    """How far the face is still turned in the network's crop, in radians clockwise."""
    eyes = five_points(mesh.shape[:, :2])
    return float(np.arctan2(*(eyes[1] - eyes[0])[::-1]))


def bounding_box(points: Points) -> NDArray[np.float32]:
    """x1, y1, x2, y2 around the points."""
    return np.concatenate([points.min(0), points.max(0)])
