"""468-point face mesh: its crops, the conversion of points to picture pixels, and the meaning of points.

Point numbers are those of MediaPipe's canonical face model. Left and right are those of the image unless noted.
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
_PAIRS = np.array([(group[0], group[-1]) for group in FIVE_POINTS])  # a single point is paired with itself
CHIN = 152


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Mesh of one face.

    `points`: float32 [468, 2] in picture pixels. `shape`: float32 [468, 3] x, y and depth in crop pixels, upright as in
    the crop; depth increases away from the camera. `flag`: score 0..1 of a face. `matrix`: transform from the picture
    to the crop.
    """

    points: Points
    shape: NDArray[np.float32]
    flag: float
    matrix: Matrix


def crop_matrix(box: NDArray[np.float32], roll: float, scale: float) -> Matrix:
    """Return the transform from the picture to the mesh crop: face box grown by `scale`, rotated by `roll` radians."""
    side = max(box[2] - box[0], box[3] - box[1]) * scale
    return square_transform((box[:2] + box[2:]) / 2, float(side), roll, SIZE_PX)


def decode(raw: NDArray[np.float32], flag: float, matrix: Matrix) -> Mesh:
    """Decode the output of one face. `raw`: [1404] in crop pixels."""
    shape = raw.reshape(468, 3)
    return Mesh(apply(inverse(matrix), shape[:, :2]), shape, flag, matrix)


def five_points(points: Points) -> Points:
    """Return image-left eye, image-right eye, nose tip, image-left and image-right mouth corner, float32 [5, 2]."""
    return np.asarray(points[_PAIRS].mean(1), np.float32)


def residual_roll(mesh: Mesh) -> float:
    """Return the remaining rotation of the face in the crop, in radians clockwise."""
    eyes = five_points(mesh.shape[:, :2])
    return float(np.arctan2(*(eyes[1] - eyes[0])[::-1]))


def bounding_box(points: Points) -> NDArray[np.float32]:
    """Return the bounding box x1, y1, x2, y2 of the points."""
    return np.concatenate([points.min(0), points.max(0)])
