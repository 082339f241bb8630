"""Detection of objects of COCO's 80 classes with CenterNet: windows, peaks of the heat maps, NMS.

The network runs on the whole picture, letterboxed to its input. For crowds it also runs on overlapping tiles, in which
the persons are larger. An object at the inner edge of a tile is dropped, because another window shows all of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.detection import iou
from apps.recognition.engine.geometry import resample, square_transform
from apps.recognition.types import Image

SIZE_PX = 512
CELL_PX = 4
TILE_SHARE = 1 / 1.75  # share of the longer side, as for faces: two tiles that overlap by a quarter
SKIP_TILES_UP_TO_PX = 512  # a picture up to this size gains no scale from tiles
CUT_OFF_PX = 6  # pixels of the input; an object this close to a tile's inner edge may extend beyond it

PERSON, BACKPACK = 0, 24  # COCO's classes, from 0


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Detected object.

    `box`: float32 [4] x1, y1, x2, y2 in picture pixels. `score`: 0..1. `kind`: class of COCO, from 0. `complete`:
    detected in a window of the whole picture.
    """

    box: NDArray[np.float32]
    score: float
    kind: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Window:
    """Square of the picture with its corner at (x, y) and `side` pixels. `whole`: it contains the whole picture."""

    x: float
    y: float
    side: float
    whole: bool


def whole(image: Image) -> Window:
    """Return the square around the picture."""
    height, width = image.shape[:2]
    longer = max(height, width)
    return Window((width - longer) / 2, (height - longer) / 2, longer, whole=True)


def tiles(image: Image) -> list[Window]:
    """Return overlapping tiles of the picture; none for a small picture."""
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer <= SKIP_TILES_UP_TO_PX:
        return []
    side = float(np.ceil(longer * TILE_SHARE))
    return [Window(x, y, side, whole=False) for y in _starts(height, side) for x in _starts(width, side)]


def around(box: NDArray[np.float32], grow: float) -> Window:
    """Return the square around `box` (x1, y1, x2, y2) with `grow` times its longer side."""
    side = float(max(box[2] - box[0], box[3] - box[1])) * grow
    x, y = (box[:2] + box[2:]) / 2 - side / 2
    return Window(float(x), float(y), side, whole=True)


def crops(image: Image, windows: Sequence[Window]) -> NDArray[np.uint8]:
    """Return the network's inputs, uint8 RGB [N, 512, 512, 3], black outside of the picture."""
    cut = []
    for window in windows:
        centre = np.array([window.x, window.y]) + window.side / 2 - 0.5
        cut.append(resample(image, square_transform(centre, window.side, 0.0, SIZE_PX), SIZE_PX))
    return np.stack(cut)


def decode(
    outputs: Mapping[str, NDArray[np.float32]],
    windows: Sequence[Window],
    image: Image,
    kinds: Sequence[int],
    threshold: float,
    nms_iou: float,
) -> list[Found]:
    """Decode the objects of the classes `kinds` in all windows of one picture, best first."""
    height, width = image.shape[:2]
    edges = np.array([width, height, width, height], np.float32)
    found: list[Found] = []
    for heat, peak, extent, window in zip(outputs["heat"], outputs["peak"], outputs["wh"], windows, strict=True):
        heat, peak = heat[..., list(kinds)], peak[..., list(kinds)]
        for row, column, kind in np.argwhere((heat == peak) & (heat >= threshold)):
            left, top, right, bottom = extent[row, column]
            x, y = column * CELL_PX, row * CELL_PX
            inside = np.array([x - left, y - top, x + right, y + bottom], np.float32)
            box = inside * (window.side / SIZE_PX) + np.array([window.x, window.y] * 2, np.float32)
            box = np.clip(box, 0, edges).astype(np.float32)
            if (window.whole or not _is_cut_off(box, window, edges)) and min(box[2:] - box[:2]) >= 1:
                found.append(Found(box, float(heat[row, column, kind]), kinds[kind], window.whole))
    return _suppressed(found, nms_iou)


def _starts(length: int, side: float) -> list[float]:
    return [(length - side) / 2] if length <= side else [0.0, length - side]


def _is_cut_off(box: NDArray[np.float32], window: Window, edges: NDArray[np.float32]) -> bool:
    """Return whether the object touches an edge of the tile inside of the picture."""
    near = CUT_OFF_PX * window.side / SIZE_PX
    tile = np.array([window.x, window.y, window.x + window.side, window.y + window.side])
    outwards = np.array([1, 1, -1, -1])
    inner = np.array([tile[0] > 0, tile[1] > 0, tile[2] < edges[2], tile[3] < edges[3]])
    return bool((((box - tile) * outwards < near) & inner).any())


def _suppressed(found: list[Found], nms_iou: float) -> list[Found]:
    """Apply NMS, best first. Detections in the whole picture precede those in tiles, which may show half an object."""
    kept: list[Found] = []
    for each in sorted(found, key=lambda one: (not one.complete, -one.score)):
        if all(each.kind != other.kind or iou(each.box, other.box) < nms_iou for other in kept):
            kept.append(each)
    return sorted(kept, key=lambda one: -one.score)
