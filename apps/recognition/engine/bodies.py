"""Bodies: which of the boxes are persons, their normalised pictures, and which face belongs to which.

The warp of a body is 128×250 pixels: its box grown by a twentieth on each side, scaled until one side fits, in the
middle; what the box leaves free shows the picture around it, and black beyond the picture's edges. Bodies are not
turned.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine import pose
from apps.recognition.engine.geometry import Matrix, resample
from apps.recognition.types import BODY_WARP_HEIGHT_PX, BODY_WARP_WIDTH_PX, Image, Keypoints, Points

Box = NDArray[np.float32]  # [4]: x1, y1, x2, y2 in picture pixels

WARP_MARGIN = 0.05  # of the box, on each side
CONTAINED = 0.85  # the share of a box that lies in another where one may be a part of the other
HEAD_POINTS_SEEN = 2
HEADS_APART = 0.5  # of the smaller box's width

FACE_IN_BODY = 0.6  # the share of a face's box that lies in its body's
HEAD_IS_FACE = 0.6  # face widths between the face and the head of the pose
HEAD_IS_ELSEWHERE = 1.5
FACES_UP_TO = 0.5  # of the body's height, from the top


def warp_matrix(box: Box) -> Matrix:
    """Picture to warp for a body's box."""
    width, height = (box[2:] - box[:2]) * (1 + 2 * WARP_MARGIN)
    scale = float(min(BODY_WARP_WIDTH_PX / max(width, 1), BODY_WARP_HEIGHT_PX / max(height, 1)))
    x, y = (box[:2] + box[2:]) / 2 - 0.5
    middle_x, middle_y = (BODY_WARP_WIDTH_PX - 1) / 2, (BODY_WARP_HEIGHT_PX - 1) / 2
    return np.array([[scale, 0, middle_x - scale * x], [0, scale, middle_y - scale * y]], np.float64)


def cut_warp(image: Image, matrix: Matrix) -> Image:
    """The body's warp, uint8 RGB [250, 128, 3]."""
    return np.ascontiguousarray(resample(image, matrix, BODY_WARP_HEIGHT_PX)[:, :BODY_WARP_WIDTH_PX])


def head_of(keypoints: Keypoints) -> NDArray[np.float32] | None:
    """The mean of the seen points of the head, float32 [2]; None where fewer than two are seen."""
    head = keypoints[list(pose.HEAD)]
    seen = head[head[:, 2] >= pose.SEEN]
    return seen[:, :2].mean(0) if len(seen) >= HEAD_POINTS_SEEN else None


def persons(boxes: Sequence[Box], keypoints: Sequence[Keypoints]) -> list[int]:
    """Which of the boxes are persons. One inside of another must show a head, and not the same: a bag is none."""
    return [
        index
        for index, box in enumerate(boxes)
        if all(
            other == index or not _is_part(box, keypoints[index], boxes[other], keypoints[other])
            for other in range(len(boxes))
        )
    ]


def _is_part(box: Box, keypoints: Keypoints, other: Box, other_keypoints: Keypoints) -> bool:
    if not is_inside(box, other):
        return False
    head, other_head = head_of(keypoints), head_of(other_keypoints)
    if head is None or other_head is None or not ((box[:2] <= head) & (head <= box[2:])).all():
        return True
    return float(np.linalg.norm(head - other_head)) < HEADS_APART * float(box[2] - box[0])


def is_inside(box: Box, other: Box) -> bool:
    """Does `box` lie in the larger `other`, nearly all of it?"""
    area, other_area = (float(np.prod(each[2:] - each[:2])) for each in (box, other))
    return area < other_area and share_inside(box, other) >= CONTAINED


def share_inside(box: Box, other: Box) -> float:
    """The share of `box` that lies in `other`."""
    inter = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0)
    return float(np.prod(inter) / max(float(np.prod(box[2:] - box[:2])), 1e-6))


def pairs(faces: Sequence[tuple[Box, Points]], bodies: Sequence[tuple[Box, Keypoints]]) -> dict[int, int]:
    """Body to face of one person, by their numbers; the nearest pairs first, everyone once.

    A face lies in its body's box, at the head of the pose; where the pose shows no head there, in the upper half.
    `faces`: boxes with five landmarks, `bodies`: boxes with key points.
    """
    distances = sorted(
        (distance, body, face)
        for body, (body_box, keypoints) in enumerate(bodies)
        for face, (face_box, landmarks5) in enumerate(faces)
        if (distance := _distance(face_box, landmarks5, body_box, keypoints)) is not None
    )
    chosen: dict[int, int] = {}
    for _, body, face in distances:
        if body not in chosen and face not in chosen.values():
            chosen[body] = face
    return chosen


def _distance(face_box: Box, landmarks5: Points, body_box: Box, keypoints: Keypoints) -> float | None:
    """From face to head, in face widths; 1 and more where the head is guessed, None where the body is another's."""
    if share_inside(face_box, body_box) < FACE_IN_BODY:
        return None
    face_width = max(float(face_box[2] - face_box[0]), 1.0)
    head = head_of(keypoints)
    away = float("inf") if head is None else float(np.linalg.norm(head - landmarks5[:3].mean(0))) / face_width
    if away <= HEAD_IS_FACE:
        return away
    middle = landmarks5.mean(0)
    is_high = middle[1] <= body_box[1] + FACES_UP_TO * (body_box[3] - body_box[1])
    if not is_high or HEAD_IS_ELSEWHERE <= away < float("inf"):
        return None
    return 1 + abs(float(middle[0] - (body_box[0] + body_box[2]) / 2)) / face_width
