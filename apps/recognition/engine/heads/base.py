"""Base of detector heads: windows of the picture, thresholds, conversion to picture pixels.

A head reads the outputs in the order of the manifest; the names of outputs do not matter.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.detection import Detection, Window, letterboxed, resized, slices_of, suppressed
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.geometry import Matrix, resample, square_transform
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.specs import Manifest
from apps.recognition.types import Image

Values = NDArray[np.float32]
Anchors = tuple[NDArray[np.intp], NDArray[np.intp]]  # numbers of windows [K] and of anchors in them [K]
Located = tuple[Values, Values]  # in network pixels: boxes [K, 4] x1, y1, x2, y2, and points [K, P, 2]

LONGER_SIDE_PX = 640  # longer side of a free input size; YuNet was measured with it
SIDE_STEP_PX = 128  # sides of a free input size are multiples of this, which limits the number of shapes
BOX_WINDOW_PX = 256  # side of a window around a box, for a free input size
BOX_GROWTH = 2.0  # size of the window around a box, relative to the box
TURNED_WINDOW_PX = 128  # side of a window with one rotated face, for a free input size
TURNED_GROWTH = 1.6
TURNS, TURNS_OF_FIXED_SIZE = 8, 4  # a window of fixed size costs as much as a whole picture
TILE_OVERLAP = 0.25  # share of a tile's side; a face up to this size is complete in one tile
CERTAIN_SCORE = 0.9  # default for manifests without this threshold


class Head(ABC):
    """Head of a detector. `last_sides`: required size of the last axis of each output, in the manifest's order.

    `mesh_scale`: side of the mesh network's crop, in longer sides of the box. Boxes of WIDER FACE, from forehead to
    chin, are 1.25 times as high as BlazeFace's (median of 57 faces). They end above the chin of a wide open mouth: a
    scale of 1.2 measured less than half of its gap, and 1.4 gave wrong brows and eyelids. Descriptors are equal from
    1.1 to 1.5. `five_points`: whether the detector's points are eyes, nose tip and mouth corners, in the order of
    `landmarks5`.

    Minimum scores, from the manifest's `[thresholds]`: `score_threshold` of a face; `certain_score` of a face whose
    orientation is reliable; `sure_score` of a face that the mesh need not confirm. A candidate between
    `candidate_score` and `score_threshold` is a face if it reaches `turned_score` in the right rotation.
    """

    last_sides: ClassVar[tuple[int, ...]]
    mesh_scale: ClassVar[float] = 1.3
    five_points: ClassVar[bool] = True

    def __init__(self, manifest: Manifest, score: float | None = None) -> None:
        self.spec = manifest.input
        self.outputs = manifest.outputs
        found = tuple(output.shape[-1] for output in manifest.outputs)
        if found != self.last_sides:
            raise EngineError(
                f"Network {manifest.name} has the head {manifest.head!r}: its outputs must end in "
                f"{list(self.last_sides)} values, not {list(found)}."
            )
        try:
            self.score_threshold = manifest.threshold("score") if score is None else score
            self.nms_iou = manifest.threshold("nms_iou")
            self.certain_score = manifest.threshold("certain", CERTAIN_SCORE)
            self.sure_score = manifest.threshold("sure", float("inf"))
            self.turned_score = manifest.threshold("turned", self.certain_score)
            self.candidate_score = min(manifest.threshold("candidate", float("inf")), self.score_threshold)
        except NetworkError as error:
            raise EngineError(f"{error}.") from error

    def windows(self, image: Image) -> tuple[NDArray[np.uint8], list[Window]]:
        """Return the network's inputs for a whole picture, uint8 RGB [N, H, W, 3], and their windows.

        Pictures are downscaled, never upscaled.
        """
        return letterboxed(image, self.scale(image), self.input_shape(*image.shape[:2]))

    def scale(self, image: Image) -> float:
        """Return the network pixels per picture pixel for a whole picture."""
        height, width = image.shape[:2]
        rows, columns = self.input_shape(height, width)
        return float(min(1.0, rows / height, columns / width))

    def tiles(self, image: Image, most: int) -> tuple[NDArray[np.uint8], list[Window]]:
        """Return overlapping tiles of a picture that was downscaled, at the highest scale that `most` tiles allow.

        Return no tiles if they would not increase the scale. Only networks with a free input size have tiles here;
        `windows` of the others includes tiles.
        """
        side, longest = LONGER_SIDE_PX, max(image.shape[:2])
        stride = side * (1 - TILE_OVERLAP)
        if most < 1 or longest <= side or self.spec.width or self.spec.height:
            return np.zeros((0, side, side, 3), np.uint8), []
        scale = 1.0
        while len(corners := _corners(image.shape[0] * scale, image.shape[1] * scale, side, stride)) > most:
            scale *= 0.95
        if scale * longest <= side:
            return np.zeros((0, side, side, 3), np.uint8), []
        crops = slices_of(resized(image, scale), corners, (side, side))
        return crops, [Window(left / scale, top / scale, scale) for left, top in corners]

    def turned_windows(self, image: Image, box: Values) -> tuple[NDArray[np.uint8], list[Matrix]]:
        """Return the face in `box` in every rotation: inputs [turns, side, side, 3] and transforms from the picture.

        The face fills `central_box` of each input. The first input is not rotated.
        """
        turns = TURNS_OF_FIXED_SIZE if self.spec.width else TURNS
        size = self.face_side
        side = float(max(box[2] - box[0], box[3] - box[1])) * TURNED_GROWTH
        centre = (box[:2] + box[2:]) / 2
        matrices = [square_transform(centre, side, 2 * np.pi * turn / turns, size) for turn in range(turns)]
        return np.stack([resample(image, matrix, size) for matrix in matrices]), matrices

    @property
    def central_box(self) -> Values:
        """Position of the box in the inputs of `turned_windows`, in pixels of the input."""
        size = self.face_side
        half = size / TURNED_GROWTH / 2
        return np.array([size / 2 - half, size / 2 - half, size / 2 + half, size / 2 + half], np.float32)

    @property
    def face_side(self) -> int:
        """Side in pixels of a square input with one face."""
        return min(self.input_shape(TURNED_WINDOW_PX, TURNED_WINDOW_PX))

    def window_around(self, image: Image, box: Values) -> tuple[NDArray[np.uint8], list[Window]]:
        """Return one input of the network with `box` (x1, y1, x2, y2) and its surroundings."""
        size_px = min(self.input_shape(BOX_WINDOW_PX, BOX_WINDOW_PX))
        side = float(max(box[2] - box[0], box[3] - box[1])) * BOX_GROWTH
        centre = (box[:2] + box[2:]) / 2
        crop = resample(image, square_transform(centre, side, 0.0, size_px), size_px)
        left, top = float(centre[0]) - side / 2, float(centre[1]) - side / 2
        height, width = self.input_shape(size_px, size_px)
        canvas = np.zeros((1, height, width, 3), np.uint8)
        canvas[0, :size_px, :size_px] = crop
        return canvas, [Window(left, top, size_px / side)]

    def input_shape(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the network's input for a picture of this size."""
        scale = min(1.0, LONGER_SIDE_PX / max(height, width))
        step = self._step()
        rows, columns = (max(1, -(-round(side * scale) // step)) * step for side in (height, width))
        return self.spec.height or rows, self.spec.width or columns

    def warm_up_shapes(self) -> list[tuple[int, int]]:
        """Return the heights and widths of inputs that pictures can have."""
        step = self._step()
        sides = range(step, LONGER_SIDE_PX + step, step)
        heights, widths = ([fixed] if fixed else sides for fixed in (self.spec.height, self.spec.width))
        return list(product(heights, widths))

    def _step(self) -> int:
        return int(np.lcm(SIDE_STEP_PX, self.spec.multiple_of))

    def decode(
        self, outputs: Mapping[str, Values], places: Sequence[Window], shape: tuple[int, int], threshold: float
    ) -> list[list[Detection]]:
        """Decode the outputs to detections of each window, best first, in picture pixels.

        `shape`: height and width of the windows. `threshold`: minimum score.
        """
        values = [
            output.activated(outputs[output.name]).reshape(len(places), -1, output.shape[-1]) for output in self.outputs
        ]
        scores = self.scores(values)
        windows, anchors = np.nonzero(scores >= threshold)
        boxes, points = self.located(values, (windows, anchors), *shape)  # a few of thousands of anchors
        found = []
        for number, place in enumerate(places):
            own = windows == number
            origin = np.array([place.x, place.y], np.float32)
            corners = (boxes[own].reshape(-1, 2, 2) / place.scale + origin).reshape(-1, 4)
            keypoints = points[own] / place.scale + origin
            certainty = scores[number, anchors[own]].tolist()
            found.append(suppressed(map(Detection, corners, certainty, keypoints), self.nms_iou))
        return found

    @abstractmethod
    def scores(self, values: Sequence[Values]) -> Values:
        """Return the score of every anchor, float32 [N, A]. `values`: activated outputs [N, rows, last side]."""

    @abstractmethod
    def located(self, values: Sequence[Values], chosen: Anchors, height: int, width: int) -> Located:
        """Return boxes and points of the chosen anchors, for inputs of this size."""


def rows_of(values: Sequence[Values], chosen: Anchors) -> Values:
    """Return the chosen rows [K, last side] of outputs whose anchors follow each other."""
    rows: Values = np.concatenate(values, 1)[chosen]
    return rows


@lru_cache(maxsize=128)  # three strides of each size of input
def grid(height: int, width: int, stride: int, repeat: int = 1) -> Values:
    """Return column and row of every cell of a feature map, `repeat` times: float32 [cells × repeat, 2], read-only."""
    rows, columns = np.mgrid[0 : -(-height // stride), 0 : -(-width // stride)]
    cells = np.repeat(np.stack([columns, rows], -1).reshape(-1, 2), repeat, 0).astype(np.float32)
    cells.setflags(write=False)
    return cells


@lru_cache(maxsize=64)
def cells_of(height: int, width: int, strides: tuple[int, ...], repeat: int = 1) -> tuple[Values, Values]:
    """Return the cells of the feature maps of all strides, [A, 2] as in `grid`, and the stride of each, [A, 1]."""
    grids = [grid(height, width, stride, repeat) for stride in strides]
    sides = np.repeat(np.array(strides, np.float32), [len(each) for each in grids])[:, None]
    return np.concatenate(grids), sides


def _corners(height: float, width: float, side: int, stride: float) -> list[tuple[int, int]]:
    """Return left and top of evenly spaced tiles of side `side` that cover a picture, at most `stride` apart."""

    def starts(length: float) -> list[int]:
        steps = max(0, int(np.ceil((length - side) / stride)))
        return [round(step * (length - side) / steps) for step in range(steps + 1)] if steps else [0]

    return [(left, top) for top in starts(height) for left in starts(width)]
