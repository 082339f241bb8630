"""Pictures that lie on their side or stand on their head, without a word of it in their EXIF data.

A face that lies is found and described all the same, but what is cut out around it (bodies, shoulders, background) lies
as well. So the turn is chosen in which most is seen upright.
"""

from collections.abc import Callable, Sequence

import numpy as np

from apps.recognition.engine.detection import Detection, roll_of, suppressed, turned
from apps.recognition.engine.geometry import Matrix, compose, inverse
from apps.recognition.types import Image

UPRIGHT_ROLL_DEGREES = 45.0
QUARTERS = (1, 2, 3)


def upright(
    image: Image, look: Callable[[Image], list[Detection]], certain_score: float, nms_iou: float
) -> tuple[Image, list[Detection]]:
    """The picture turned by a quarter, a half or three quarters where its faces stand better then, and its faces.

    A picture most of whose faces stand upright, one of them certainly, or with none in any turn, stays as it is. Faces
    that another turn alone shows are taken along. Costs one look where the picture stays for its faces, else four.
    """
    faces = look(image)
    certain = any(face.score >= certain_score and _is_upright(face) for face in faces)
    if certain and 2 * _standing(faces) >= sum(face.score for face in faces):
        return image, faces
    looks = [faces] + [look(np.ascontiguousarray(np.rot90(image, quarters))) for quarters in QUARTERS]
    best = max(range(len(looks)), key=lambda quarters: _standing(looks[quarters]))  # the first of equals: as it is
    others = [
        turned(face, _between(image, quarters, best))
        for quarters, found in enumerate(looks)
        if quarters != best
        for face in found
    ]
    chosen = image if best == 0 else np.ascontiguousarray(np.rot90(image, best))
    return chosen, suppressed(others, nms_iou, looks[best])


def _between(image: Image, first: int, second: int) -> Matrix:
    """Pixels of the picture turned by `first` quarters to those of it turned by `second`."""
    return compose(inverse(_quarter_matrix(image, first)), _quarter_matrix(image, second))


def _quarter_matrix(image: Image, quarters: int) -> Matrix:
    """Pixels of the picture to those of `np.rot90(image, quarters)`."""
    right, bottom = image.shape[1] - 1, image.shape[0] - 1
    return np.array(
        [
            [[1, 0, 0], [0, 1, 0]],
            [[0, 1, 0], [-1, 0, right]],
            [[-1, 0, right], [0, -1, bottom]],
            [[0, -1, bottom], [1, 0, 0]],
        ][quarters],
        np.float64,
    )


def _standing(faces: Sequence[Detection]) -> float:
    return sum(face.score for face in faces if _is_upright(face))


def _is_upright(face: Detection) -> bool:
    return bool(abs(np.degrees(roll_of(face.keypoints))) <= UPRIGHT_ROLL_DEGREES)
