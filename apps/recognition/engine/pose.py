"""The 17 keypoints of a body with MoveNet: its crops, and the conversion of its heat maps to picture pixels.

Each keypoint is the best cell of its heat map, weighted by the distance to the position that the person's centre
predicts. The weight is that of the network's own decoder: one over the distance in cells plus 1.8. It excludes
keypoints of other persons. The square around a person also shows neighbours. Pixels more than a tenth outside of the
box are therefore black; without this the network selects the clearest person.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.geometry import Matrix, apply, inverse, resample, square_transform
from apps.recognition.types import Image, Keypoints

SIZE_PX = 192
CELLS = 48
BOX_SCALE = 1.25
BLACK_BEYOND = 0.1  # share of the box's sides
NEAR_CELLS = 1.8
SEEN = 0.3  # minimum score of a visible keypoint

NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR = range(5)
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_ELBOW, RIGHT_ELBOW, LEFT_WRIST, RIGHT_WRIST = range(5, 11)
LEFT_HIP, RIGHT_HIP, LEFT_KNEE, RIGHT_KNEE, LEFT_ANKLE, RIGHT_ANKLE = range(11, 17)
HEAD = (NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR)


def crop_matrix(box: NDArray[np.float32]) -> Matrix:
    """Return the transform from the picture to the crop: the square around the box x1, y1, x2, y2, times 1.25."""
    side = float(max(box[2] - box[0], box[3] - box[1])) * BOX_SCALE
    return square_transform((box[:2] + box[2:]) / 2 - 0.5, side, 0.0, SIZE_PX)


def crops(image: Image, boxes: Sequence[NDArray[np.float32]], matrices: Sequence[Matrix]) -> NDArray[np.uint8]:
    """Return the network's inputs, uint8 RGB [N, 192, 192, 3]."""
    return np.stack([_crop(image, box, matrix) for box, matrix in zip(boxes, matrices, strict=True)])


def _crop(image: Image, box: NDArray[np.float32], matrix: Matrix) -> Image:
    margin = (box[2:] - box[:2]) * BLACK_BEYOND
    corners = apply(matrix, np.stack([box[:2] - margin, box[2:] + margin]))
    (left, top), (right, bottom) = np.clip(np.rint(corners), 0, SIZE_PX).astype(int)
    crop = np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)
    crop[top:bottom, left:right] = resample(image, matrix, SIZE_PX)[top:bottom, left:right]
    return crop


def decode(outputs: Mapping[str, NDArray[np.float32]], matrices: Sequence[Matrix]) -> list[Keypoints]:
    """Decode the keypoints of each crop: float32 [17, 3], x and y in picture pixels and score 0..1."""
    return [
        _keypoints(outputs["kpt"][row], outputs["center"][row, ..., 0], outputs["regress"][row],
                   outputs["offset"][row], matrix)
        for row, matrix in enumerate(matrices)
    ]  # fmt: skip


def _keypoints(
    heat: NDArray[np.float32],
    centre: NDArray[np.float32],
    regress: NDArray[np.float32],
    offset: NDArray[np.float32],
    matrix: Matrix,
) -> Keypoints:
    row, column = divmod(int((centre * _middle_weights()).argmax()), CELLS)
    expected = regress[row, column].reshape(17, 2) + np.array([row, column])
    grid = np.moveaxis(np.mgrid[:CELLS, :CELLS], 0, -1)[:, :, None]
    near = 1 / (np.linalg.norm(grid - expected, axis=-1) + NEAR_CELLS)
    rows, columns = np.unravel_index((heat * near).reshape(-1, 17).argmax(0), (CELLS, CELLS))
    each = np.arange(17)
    cells = np.stack([rows, columns], -1) + offset[rows, columns].reshape(17, 17, 2)[each, each]
    points = apply(inverse(matrix), cells[:, ::-1] * (SIZE_PX / CELLS))
    return np.column_stack([points, heat[rows, columns, each]]).astype(np.float32)


@lru_cache(maxsize=1)
def _middle_weights() -> NDArray[np.float64]:
    """Return weights of cells for the person's centre: one over the distance from the middle of the crop."""
    rows, columns = np.mgrid[:CELLS, :CELLS]
    weights: NDArray[np.float64] = 1 / (np.hypot(rows - CELLS / 2, columns - CELLS / 2) + NEAR_CELLS)
    return weights
