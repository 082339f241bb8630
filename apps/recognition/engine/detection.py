"""Detections, windows of a picture as inputs of detectors, and non-maximum suppression (NMS)."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.common import errors
from apps.common.errors import LunaError
from apps.recognition.engine.geometry import ANTIALIAS_BELOW_SCALE, Matrix, apply, scale_of
from apps.recognition.types import Image, Points, Rect

# Two boxes show one face if this share of the smaller one is inside of the other. Second boxes in 600 portraits had a
# share of .41 or more; two faces of a group had much less.
NMS_CONTAINED = 0.4
REDETECTION_IOU = 0.3
EDGE_PX = 2.0  # pixels of a window's input


class Boxed(Protocol):
    """Detection of a face or a body."""

    @property
    def box(self) -> NDArray[np.float32]:
        """Box, float32 [4] x1, y1, x2, y2 in picture pixels."""


AnyBoxed = TypeVar("AnyBoxed", bound=Boxed)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """Detected face.

    `box`: float32 [4] x1, y1, x2, y2 in picture pixels. `score`: 0..1. `keypoints`: the detector's points [P, 2]; the
    first two are the image-left and the image-right eye.
    """

    box: NDArray[np.float32]
    score: float
    keypoints: NDArray[np.float32]

    @classmethod
    def upright(cls, box: NDArray[np.float32]) -> "Detection":
        """Return an upright face that fills a trusted `box`, without a detection."""
        eyes = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.55], [0.5, 0.75], [0.0, 0.45], [1.0, 0.45]]
        return cls(box, 1.0, (box[:2] + np.array(eyes) * (box[2:] - box[:2])).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Window:
    """Crop of the picture as one input of a network: origin (x, y), `scale` network pixels per picture pixel."""

    x: float
    y: float
    scale: float


def letterboxed(
    image: Image, scale: float, shape: tuple[int, int], image_scale: float = 1.0
) -> tuple[NDArray[np.uint8], list[Window]]:
    """Return the whole picture at `scale`, centred on black, uint8 RGB [1, H, W, 3], and its window.

    `shape`: height and width. `image_scale`: the scale that `image` already has; the window refers to the picture
    before it.
    """
    small = resized(image, scale)
    if small.shape[:2] == shape:
        return small[None], [Window(0, 0, scale * image_scale)]
    left, top = (shape[1] - small.shape[1]) // 2, (shape[0] - small.shape[0]) // 2
    total = scale * image_scale
    return slices_of(small, [(-left, -top)], shape), [Window(-left / total, -top / total, total)]


def resized(image: Image, scale: float) -> Image:
    """Return the picture at `scale`, itself at its own size; strong downscaling averages pixels."""
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    if size == image.shape[1::-1]:
        return image
    averaged = scale < ANTIALIAS_BELOW_SCALE
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if averaged else cv2.INTER_LINEAR)  # type: ignore[return-value]


def slices_of(image: Image, corners: Sequence[tuple[int, int]], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return crops of `shape` (height, width) with the corners (left, top): uint8 RGB [N, H, W, 3].

    Crops are black outside of the picture.
    """
    height, width = shape
    canvases = np.zeros((len(corners), height, width, 3), np.uint8)
    for canvas, (left, top) in zip(canvases, corners, strict=True):
        part = image[max(0, top) : top + height, max(0, left) : left + width]
        y, x = max(0, -top), max(0, -left)
        part = part[: height - y, : width - x]
        canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    return canvases


def suppressed(detections: Iterable[Detection], nms_iou: float, before: Sequence[Detection] = ()) -> list[Detection]:
    """Apply NMS and return the detections, best first.

    Of boxes with an overlap of `nms_iou` or inside of each other only the best remains. `before`: detections that
    remain regardless of their score.
    """
    waiting = [*before, *sorted(detections, key=lambda found: -found.score)]
    if len(waiting) < 2:
        return waiting
    boxes = np.stack([each.box for each in waiting])
    kept, alive = [], np.ones(len(waiting), bool)
    for index, detection in enumerate(waiting):
        if alive[index] or index < len(before):
            kept.append(detection)
            inter, area, areas = _areas(boxes[index], boxes)
            union, smaller = area + areas - inter, np.minimum(area, areas)
            alive &= (inter / union < nms_iou) & (inter / smaller < NMS_CONTAINED)
    return kept


def is_cut(box: NDArray[np.float32], window: Window, side: int, image: Image) -> bool:
    """Return whether the edge of a square window of `side` network pixels cuts a box inside of the picture."""
    height, width = image.shape[:2]
    edge, extent = EDGE_PX / window.scale, side / window.scale
    left, top, right, bottom = window.x, window.y, window.x + extent, window.y + extent
    return bool(
        (left > 0 and box[0] < left + edge)
        or (top > 0 and box[1] < top + edge)
        or (right < width and box[2] > right - edge)
        or (bottom < height and box[3] > bottom - edge)
    )


def iou(box: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the intersection over union of two boxes x1, y1, x2, y2."""
    inter, area, other_area = _areas(box, other)
    return float(inter / (area + other_area - inter))


def _areas(box: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[Any, Any, Any]:
    """Return the intersection areas of a box with other boxes [..., 4], its own area, and their areas."""
    sides = np.minimum(box[2:], others[..., 2:]) - np.maximum(box[:2], others[..., :2])
    own, theirs = ((each[..., 2:] - each[..., :2]).prod(-1).clip(1e-6) for each in (box, others))
    return sides.clip(0).prod(-1), own, theirs


def corners_of(image: Image, box: Rect) -> NDArray[np.float32]:
    """Return the corners of a client's box, float32 [4] x1, y1, x2, y2.

    Raises LunaError INVALID_RECTANGLE for a box outside of the picture.
    """
    height, width = image.shape[:2]
    if min(box.width, box.height) < 1 or not (-box.width < box.x < width and -box.height < box.y < height):
        raise LunaError(errors.INVALID_RECTANGLE, f"{asdict(box)} in a picture of {width}x{height}")
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height], np.float32)


def turned(detection: Detection, matrix: Matrix) -> Detection:
    """Transform a detection by `matrix`, a rotation with or without scale.

    The box keeps the lengths of its sides. It swaps them if the rotation is closer to 90° or 270° than to 0° or 180°.
    """
    centre = apply(matrix, (detection.box[:2] + detection.box[2:])[None] / 2)[0]
    sides = (detection.box[2:] - detection.box[:2]) * scale_of(matrix)
    half = (sides[::-1] if abs(matrix[0, 1]) > abs(matrix[0, 0]) else sides) / 2
    box = np.concatenate([centre - half, centre + half]).astype(np.float32)
    return Detection(box, detection.score, apply(matrix, detection.keypoints))


def roll_of(points: Points) -> float:
    """Return the angle of the line between the eyes (points 0 and 1), in radians, clockwise on screen."""
    across = points[1] - points[0]
    return float(np.arctan2(across[1], across[0]))


def overlapping(corners: NDArray[np.float32], detections: Sequence[AnyBoxed]) -> AnyBoxed | None:
    """Return the detection with the highest overlap with a box, None if no overlap is sufficient."""
    best = max(detections, key=lambda found: iou(found.box, corners), default=None)
    return best if best is not None and iou(best.box, corners) >= REDETECTION_IOU else None
