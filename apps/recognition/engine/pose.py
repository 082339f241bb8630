"""The 17 key points of a body with MoveNet: crops for it, and its heads back in the picture.

Each key point is the best cell of its heat map near to where the person's centre says that it lies, so that somebody
beside is not mixed in (weights as in the network's own decoder: one over the distance in cells plus 1.8). The square
around a standing person shows those who stand beside, too: what lies farther than a tenth outside of the box is
blackened, else the network takes the clearest person of all.
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
BLACK_BEYOND = 0.1  # of the box's sides
NEAR_CELLS = 1.8
SEEN = 0.3  # the score from which on a key point is taken as seen

NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR = range(5)
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_ELBOW, RIGHT_ELBOW, LEFT_WRIST, RIGHT_WRIST = range(5, 11)
LEFT_HIP, RIGHT_HIP, LEFT_KNEE, RIGHT_KNEE, LEFT_ANKLE, RIGHT_ANKLE = range(11, 17)
HEAD = (NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR)


def crop_matrix(box: NDArray[np.float32]) -> Matrix:
    """Picture to crop for a person's box x1, y1, x2, y2: the square around it × 1.25."""
    side = float(max(box[2] - box[0], box[3] - box[1])) * BOX_SCALE
    return square_transform((box[:2] + box[2:]) / 2 - 0.5, side, 0.0, SIZE_PX)


def crops(image: Image, boxes: Sequence[NDArray[np.float32]], matrices: Sequence[Matrix]) -> NDArray[np.uint8]:
    """The network's inputs, uint8 RGB [N, 192, 192, 3]."""
    return np.stack([_crop(image, box, matrix) for box, matrix in zip(boxes, matrices, strict=True)])


def _crop(image: Image, box: NDArray[np.float32], matrix: Matrix) -> Image:
    margin = (box[2:] - box[:2]) * BLACK_BEYOND
    corners = apply(matrix, np.stack([box[:2] - margin, box[2:] + margin]))
    (left, top), (right, bottom) = np.clip(np.rint(corners), 0, SIZE_PX).astype(int)
    crop = np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)
    crop[top:bottom, left:right] = resample(image, matrix, SIZE_PX)[top:bottom, left:right]
    return crop


def decode(outputs: Mapping[str, NDArray[np.float32]], matrices: Sequence[Matrix]) -> list[Keypoints]:
    """The key points of each crop in picture pixels: float32 [17, 3], x, y and score 0..1."""
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
    """The person that is meant stands in the middle: one over the distance from there."""
    rows, columns = np.mgrid[:CELLS, :CELLS]
    weights: NDArray[np.float64] = 1 / (np.hypot(rows - CELLS / 2, columns - CELLS / 2) + NEAR_CELLS)
    return weights
