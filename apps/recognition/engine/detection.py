"""Face detection with blazeface: windows over the picture, anchors, non-maximum suppression.

The network sees the whole picture letterboxed to its input, and 2×2 tiles that overlap by a quarter, so that small
faces of a group are large enough for it (recall .935 without tiles, .960 with them on 278 faces). Tiles of a picture
that is no larger than the input show nothing new and are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.geometry import ANTIALIAS_BELOW_SCALE, resample, square_transform
from apps.recognition.types import Image

SIZE_PX = 256
SCORE_THRESHOLD = 0.5
NMS_IOU = 0.3
NMS_CONTAINED = 0.7  # a box that lies in another by this share shows the same face
TILE_SHARE = 1 / 1.75  # of the longer side: two tiles with a quarter of overlap
SKIP_TILES_UP_TO_PX = 256
STRIDES = ((16, 2), (32, 6))  # (pixels a cell, anchors a cell); the order of scores16|boxes16, scores8|boxes8


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face box, float32 [4] x1, y1, x2, y2 in picture pixels, score 0..1 and six points [6, 2]: image-left eye,
    image-right eye, nose, mouth, image-left and image-right ear.
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


def windows(image: Image) -> tuple[NDArray[np.uint8], list[Window]]:
    """The network's inputs for one picture, uint8 RGB [N, 256, 256, 3], and where each lies."""
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer <= SKIP_TILES_UP_TO_PX:
        return _letterboxed(image, 1.0)
    tile = int(np.ceil(longer * TILE_SHARE))
    scale = SIZE_PX / tile
    scaled = _resized(image, scale)  # once; every tile is a slice of it, and the whole is made smaller from it
    crops, places = _letterboxed(scaled, scale)
    tiles = [
        (round(left * scale), round(top * scale)) for top in _starts(height, tile) for left in _starts(width, tile)
    ]
    crops = np.concatenate([crops, np.stack([_slice(scaled, left, top) for left, top in tiles])])
    return crops, places + [Window(left / scale, top / scale, scale) for left, top in tiles]


def window_around(image: Image, box: NDArray[np.float32], grow: float) -> tuple[NDArray[np.uint8], list[Window]]:
    """One input of the network that shows `box` x1, y1, x2, y2 and its surroundings, `grow` times as large."""
    side = float(max(box[2] - box[0], box[3] - box[1])) * grow
    centre = (box[:2] + box[2:]) / 2
    crop = resample(image, square_transform(centre, side, 0.0, SIZE_PX), SIZE_PX)
    return crop[None], [Window(float(centre[0]) - side / 2, float(centre[1]) - side / 2, SIZE_PX / side)]


def _letterboxed(image: Image, image_scale: float) -> tuple[NDArray[np.uint8], list[Window]]:
    """The whole picture centred on black; `image` is the picture at `image_scale`."""
    scale = SIZE_PX / max(image.shape[:2])
    small = _resized(image, scale)
    left, top = (SIZE_PX - small.shape[1]) // 2, (SIZE_PX - small.shape[0]) // 2
    total = scale * image_scale
    return _slice(small, -left, -top)[None], [Window(-left / total, -top / total, total)]


def _resized(image: Image, scale: float) -> Image:
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    averaged = scale < ANTIALIAS_BELOW_SCALE
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if averaged else cv2.INTER_LINEAR)  # type: ignore[return-value]


def _starts(length: int, tile: int) -> list[int]:
    """Where the tiles of one axis begin; one centred tile where the axis is shorter than a tile."""
    if length <= tile:
        return [-(tile - length) // 2]
    return [0, length - tile]


def _slice(scaled: Image, left: int, top: int) -> Image:
    canvas = np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)
    part = scaled[max(0, top) : top + SIZE_PX, max(0, left) : left + SIZE_PX]
    y, x = max(0, -top), max(0, -left)
    part = part[: SIZE_PX - y, : SIZE_PX - x]
    canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    return canvas


@lru_cache(maxsize=1)
def _anchors() -> NDArray[np.float32]:
    """Centres of the anchors in network pixels, [896, 2]."""
    grids = []
    for stride, repeat in STRIDES:
        ys, xs = np.mgrid[0 : SIZE_PX // stride, 0 : SIZE_PX // stride]
        centres = np.stack([(xs + 0.5) * stride, (ys + 0.5) * stride], -1).reshape(-1, 1, 2)
        grids.append(np.repeat(centres, repeat, 1).reshape(-1, 2))
    return np.concatenate(grids).astype(np.float32)


def decode(outputs: Mapping[str, NDArray[np.float32]], places: Sequence[Window]) -> list[Detection]:
    """The network's outputs for the windows of one picture to its faces, best first."""
    logits = np.concatenate([outputs["scores16"], outputs["scores8"]], 1)[..., 0]
    boxes = np.concatenate([outputs["boxes16"], outputs["boxes8"]], 1)
    scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    found: list[Detection] = []
    for index, anchor in np.argwhere(scores >= SCORE_THRESHOLD):
        window = places[index]
        values = boxes[index, anchor].reshape(8, 2)  # centre, size, six points; the centre and points from the anchor
        origin = np.array([window.x, window.y], np.float32)
        anchor_xy = _anchors()[anchor]
        centre, size = values[0] + anchor_xy, values[1]
        box = np.concatenate([centre - size / 2, centre + size / 2]).reshape(2, 2) / window.scale + origin
        points = (values[2:] + anchor_xy) / window.scale + origin
        found.append(
            Detection(box.reshape(4).astype(np.float32), float(scores[index, anchor]), points.astype(np.float32))
        )
    return suppressed(found)


def suppressed(detections: list[Detection]) -> list[Detection]:
    """Non-maximum suppression, best first: of boxes that overlap or contain one another, the best stays."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda found: -found.score):
        if all(_distinct(detection.box, other.box) for other in kept):
            kept.append(detection)
    return kept


def _distinct(box: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    inter, area, other_area = _areas(box, other)
    return inter / (area + other_area - inter) < NMS_IOU and inter / min(area, other_area) < NMS_CONTAINED


def iou(box: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2."""
    inter, area, other_area = _areas(box, other)
    return inter / (area + other_area - inter)


def _areas(box: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[float, float, float]:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    areas = [max(1e-6, float((b[2] - b[0]) * (b[3] - b[1]))) for b in (box, other)]
    return max(0.0, float(width)) * max(0.0, float(height)), areas[0], areas[1]
