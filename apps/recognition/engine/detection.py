"""Detections, the windows of a picture that detectors see, and non-maximum suppression."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.common import errors
from apps.common.errors import LunaError
from apps.recognition.engine.geometry import ANTIALIAS_BELOW_SCALE
from apps.recognition.types import Image, Rect

NMS_CONTAINED = 0.7  # a box that lies in another by this share shows the same face
REDETECTION_IOU = 0.3


class Boxed(Protocol):
    """A detection of a face or a body."""

    @property
    def box(self) -> NDArray[np.float32]:
        """float32 [4] x1, y1, x2, y2 in picture pixels."""


Seen = TypeVar("Seen", bound=Boxed)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face box, float32 [4] x1, y1, x2, y2 in picture pixels, score 0..1 and the detector's points [P, 2], of
    which the first two are the image-left and the image-right eye.
    """

    box: NDArray[np.float32]
    score: float
    keypoints: NDArray[np.float32]

    @classmethod
    def upright(cls, box: NDArray[np.float32]) -> "Detection":
        """A face that nobody detected but somebody vouches for: it fills `box` and stands upright."""
        eyes = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.55], [0.5, 0.75], [0.0, 0.45], [1.0, 0.45]]
        return cls(box, 1.0, (box[:2] + np.array(eyes) * (box[2:] - box[:2])).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Window:
    """What one input of the network shows: a crop from (x, y), with `scale` network pixels a picture pixel."""

    x: float
    y: float
    scale: float


def letterboxed(
    image: Image, scale: float, shape: tuple[int, int], image_scale: float = 1.0
) -> tuple[NDArray[np.uint8], list[Window]]:
    """The whole picture at `scale`, centred on black: uint8 RGB [1, H, W, 3] for a `shape` of height and width.

    `image_scale`: what `image` was scaled by before; the window tells of the picture before that.
    """
    small = resized(image, scale)
    left, top = (shape[1] - small.shape[1]) // 2, (shape[0] - small.shape[0]) // 2
    total = scale * image_scale
    return slices_of(small, [(-left, -top)], shape), [Window(-left / total, -top / total, total)]


def resized(image: Image, scale: float) -> Image:
    """The picture at `scale`, averaged where it becomes much smaller."""
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    averaged = scale < ANTIALIAS_BELOW_SCALE
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if averaged else cv2.INTER_LINEAR)  # type: ignore[return-value]


def slices_of(image: Image, corners: Sequence[tuple[int, int]], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The parts of `shape` (height, width) that begin at each (left, top): uint8 RGB [N, H, W, 3].

    Black outside of the picture.
    """
    height, width = shape
    canvases = np.zeros((len(corners), height, width, 3), np.uint8)
    for canvas, (left, top) in zip(canvases, corners, strict=True):
        part = image[max(0, top) : top + height, max(0, left) : left + width]
        y, x = max(0, -top), max(0, -left)
        part = part[: height - y, : width - x]
        canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    return canvases


def suppressed(detections: list[Detection], nms_iou: float) -> list[Detection]:
    """Non-maximum suppression, best first: of boxes that overlap by `nms_iou` or lie in one another, the best stays."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda found: -found.score):
        if all(_distinct(detection.box, other.box, nms_iou) for other in kept):
            kept.append(detection)
    return kept


def _distinct(box: NDArray[np.float32], other: NDArray[np.float32], nms_iou: float) -> bool:
    inter, area, other_area = _areas(box, other)
    return inter / (area + other_area - inter) < nms_iou and inter / min(area, other_area) < NMS_CONTAINED


def iou(box: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2."""
    inter, area, other_area = _areas(box, other)
    return inter / (area + other_area - inter)


def _areas(box: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[float, float, float]:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    areas = [max(1e-6, float((b[2] - b[0]) * (b[3] - b[1]))) for b in (box, other)]
    return max(0.0, float(width)) * max(0.0, float(height)), areas[0], areas[1]


def corners_of(image: Image, box: Rect) -> NDArray[np.float32]:
    """float32 [4] x1, y1, x2, y2 of a box that came with a picture. Raises LunaError INVALID_RECTANGLE for one
    outside of it.
    """
    height, width = image.shape[:2]
    if min(box.width, box.height) < 1 or not (-box.width < box.x < width and -box.height < box.y < height):
        raise LunaError(errors.INVALID_RECTANGLE, f"{asdict(box)} in a picture of {width}x{height}")
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height], np.float32)


def seen_in(corners: NDArray[np.float32], seen: Sequence[Seen]) -> Seen | None:
    """What overlaps a box best, where it does so enough."""
    best = max(seen, key=lambda found: iou(found.box, corners), default=None)
    return best if best is not None and iou(best.box, corners) >= REDETECTION_IOU else None
