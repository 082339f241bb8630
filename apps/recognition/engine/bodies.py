"""Bodies: selection of boxes that show persons, body warps, and the assignment of faces to bodies.

A body warp has 128×250 pixels (width × height). The box grows by 5 % on each side, is scaled to fit and centred. The
rest of the warp shows the surrounding picture, and black beyond its edges. Bodies are not rotated.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine import pose
from apps.recognition.engine.geometry import Matrix, resample
from apps.recognition.types import BODY_WARP_HEIGHT_PX, BODY_WARP_WIDTH_PX, Image, Keypoints, Points

Box = NDArray[np.float32]  # [4]: x1, y1, x2, y2 in picture pixels

WARP_MARGIN = 0.05  # share of the box, on each side
CONTAINED = 0.85  # minimum share of a box inside of another box for one to be a part of the other
HEAD_POINTS_SEEN = 2
HEADS_APART = 0.5  # share of the smaller box's width

FACE_IN_BODY = 0.6  # minimum share of a face's box inside of its body's box
HEAD_IS_FACE = 0.6  # maximum distance between the face and the head of the pose, in face widths
HEAD_IS_ELSEWHERE = 1.5
FACES_UP_TO = 0.5  # share of the body's height, from the top


def warp_matrix(box: Box) -> Matrix:
    """Return the transform from the picture to the warp of a body's box."""
    width, height = (box[2:] - box[:2]) * (1 + 2 * WARP_MARGIN)
    scale = float(min(BODY_WARP_WIDTH_PX / max(width, 1), BODY_WARP_HEIGHT_PX / max(height, 1)))
    x, y = (box[:2] + box[2:]) / 2 - 0.5
    middle_x, middle_y = (BODY_WARP_WIDTH_PX - 1) / 2, (BODY_WARP_HEIGHT_PX - 1) / 2
    return np.array([[scale, 0, middle_x - scale * x], [0, scale, middle_y - scale * y]], np.float64)


def cut_warp(image: Image, matrix: Matrix) -> Image:
    """Return the body warp, uint8 RGB [250, 128, 3]."""
    return np.ascontiguousarray(resample(image, matrix, BODY_WARP_HEIGHT_PX)[:, :BODY_WARP_WIDTH_PX])


def head_of(keypoints: Keypoints) -> NDArray[np.float32] | None:
    """Return the mean of the visible keypoints of the head, float32 [2], None if fewer than two are visible."""
    head = keypoints[list(pose.HEAD)]
    seen = head[head[:, 2] >= pose.SEEN]
    return seen[:, :2].mean(0) if len(seen) >= HEAD_POINTS_SEEN else None


def persons(boxes: Sequence[Box], keypoints: Sequence[Keypoints]) -> list[int]:
    """Return the indices of boxes that are persons. A box inside of another needs its own head, unlike a bag."""
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
    """Return whether nearly all of `box` is inside of the larger `other`."""
    area, other_area = (float(np.prod(each[2:] - each[:2])) for each in (box, other))
    return area < other_area and share_inside(box, other) >= CONTAINED


def share_inside(box: Box, other: Box) -> float:
    """Return the share of `box` that is inside of `other`."""
    inter = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0)
    return float(np.prod(inter) / max(float(np.prod(box[2:] - box[:2])), 1e-6))


def pairs(faces: Sequence[tuple[Box, Points]], bodies: Sequence[tuple[Box, Keypoints]]) -> dict[int, int]:
    """Assign faces to bodies, nearest pairs first, and return the index of the face by index of the body.

    A face must be inside of the body's box, at the head of the pose; if the pose has no head there, in the upper half.
    `faces`: boxes with five landmarks. `bodies`: boxes with keypoints.
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
    """Return the distance from face to head in face widths, None if the body belongs to another face.

    The distance is 1 or more if the pose has no head and its position is estimated.
    """
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
