"""What every detector head has in common: windows over the picture, thresholds, the way back to picture pixels.

Heads read the outputs in the order in which the manifest declares them; their names are free.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
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
# All anchors of all windows in network pixels: boxes [N, A, 4] x1, y1, x2, y2, scores [N, A], points [N, A, P, 2].
Candidates = tuple[Values, Values, Values]

LONGER_SIDE_PX = 640  # of a network whose input may have any size: what YuNet was measured with
SIDE_STEP_PX = 128  # and its sides are multiples of this, so that few shapes are seen
BOX_WINDOW_PX = 256  # the side of a window around a box where the input's size is free
BOX_GROWTH = 2.0  # the surroundings that a detector sees when it looks into a box
TURNED_WINDOW_PX = 128  # the side of a window that shows one face in another turn, where the input's size is free
TURNED_GROWTH = 1.6
TURNS, TURNS_OF_FIXED_SIZE = 8, 4  # windows of a fixed size cost a whole look each
TILE_OVERLAP = 0.25  # of a tile's side: faces up to this size are whole in one tile
CERTAIN_SCORE = 0.9  # of heads whose manifest states none


class Head(ABC):
    """One detector's reading. `last_sides`: what the last axis of each output must be, in the manifest's order.

    `mesh_scale`: the mesh network's crop in longer sides of the box. Boxes as WIDER FACE draws them, forehead to chin,
    are 1.25 times as high as BlazeFace's (median of 57 faces), and end above the chin of a wide open mouth: at 1.2 its
    gap came out at less than half; at 1.4 brows and eyelids went wrong. Descriptors are the same for 1.1 to 1.5.
    `five_points`: are the detector's points eyes, nose tip and mouth corners, in the order of `landmarks5`?

    Scores, from the manifest's `[thresholds]`: faces are taken from `score_threshold` on. From `certain_score` on a
    face stands as the detector says. From `sure_score` on it is a face whatever the mesh says. What is between
    `candidate_score` and `score_threshold` is a face if it reaches `turned_score` in the right turn.
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
        """The network's inputs for one picture, uint8 RGB [N, H, W, 3], and where each lies: the whole picture.

        Pictures are made smaller, never larger.
        """
        return letterboxed(image, self.scale(image), self.input_shape(*image.shape[:2]))

    def scale(self, image: Image) -> float:
        """Network pixels a picture pixel where the network sees the whole picture."""
        height, width = image.shape[:2]
        rows, columns = self.input_shape(height, width)
        return float(min(1.0, rows / height, columns / width))

    def tiles(self, image: Image, most: int) -> tuple[NDArray[np.uint8], list[Window]]:
        """Overlapping parts of a picture that the whole was too small for, at its own size or as large as `most` tiles
        allow; none where they would show no more.

        Only for networks whose input's size is free: the others' windows have tiles of their own.
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
        """The face in `box`, upright and in every other turn: inputs [turns, side, side, 3], and picture to each.

        The face fills the middle of each input, `central_box`.
        """
        turns = TURNS_OF_FIXED_SIZE if self.spec.width else TURNS
        size = self.face_side
        side = float(max(box[2] - box[0], box[3] - box[1])) * TURNED_GROWTH
        centre = (box[:2] + box[2:]) / 2
        matrices = [square_transform(centre, side, 2 * np.pi * turn / turns, size) for turn in range(turns)]
        return np.stack([resample(image, matrix, size) for matrix in matrices]), matrices

    @property
    def central_box(self) -> Values:
        """Where `turned_windows` shows the box, in the input's pixels."""
        size = self.face_side
        half = size / TURNED_GROWTH / 2
        return np.array([size / 2 - half, size / 2 - half, size / 2 + half, size / 2 + half], np.float32)

    @property
    def face_side(self) -> int:
        """The side in pixels of a square input that shows one face."""
        return min(self.input_shape(TURNED_WINDOW_PX, TURNED_WINDOW_PX))

    def window_around(self, image: Image, box: Values) -> tuple[NDArray[np.uint8], list[Window]]:
        """One input of the network that shows `box` x1, y1, x2, y2 and its surroundings."""
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
        """Height and width of the network's input for a picture of this size."""
        scale = min(1.0, LONGER_SIDE_PX / max(height, width))
        step = self._step()
        rows, columns = (max(1, -(-round(side * scale) // step)) * step for side in (height, width))
        return self.spec.height or rows, self.spec.width or columns

    def warm_up_shapes(self) -> list[tuple[int, int]]:
        """Heights and widths that pictures will bring."""
        step = self._step()
        sides = range(step, LONGER_SIDE_PX + step, step)
        heights, widths = ([fixed] if fixed else sides for fixed in (self.spec.height, self.spec.width))
        return list(product(heights, widths))

    def _step(self) -> int:
        return int(np.lcm(SIDE_STEP_PX, self.spec.multiple_of))

    def decode(
        self, outputs: Mapping[str, Values], places: Sequence[Window], shape: tuple[int, int], threshold: float
    ) -> list[list[Detection]]:
        """The network's outputs for windows (`shape`: their height and width) to what each shows from `threshold` on,
        best first, in picture pixels.
        """
        values = [
            output.activated(outputs[output.name]).reshape(len(places), -1, output.shape[-1]) for output in self.outputs
        ]
        found = []
        for place, boxes, scores, points in zip(places, *self.candidates(values, *shape), strict=True):
            chosen = scores >= threshold
            origin = np.array([place.x, place.y], np.float32)
            corners = (boxes[chosen].reshape(-1, 2, 2) / place.scale + origin).reshape(-1, 4)
            keypoints = points[chosen] / place.scale + origin
            found.append(suppressed(map(Detection, corners, scores[chosen].tolist(), keypoints), self.nms_iou))
        return found

    @abstractmethod
    def candidates(self, values: Sequence[Values], height: int, width: int) -> Candidates:
        """All anchors of inputs of this size; `values`: activated outputs [N, rows, last side]."""


def grid(height: int, width: int, stride: int, repeat: int = 1) -> Values:
    """Column and row of every cell of a feature map, `repeat` anchors a cell: float32 [cells × repeat, 2]."""
    rows, columns = np.mgrid[0 : -(-height // stride), 0 : -(-width // stride)]
    return np.repeat(np.stack([columns, rows], -1).reshape(-1, 2), repeat, 0).astype(np.float32)


def _corners(height: float, width: float, side: int, stride: float) -> list[tuple[int, int]]:
    """Left and top of the tiles of one side that cover a picture, evenly spaced, at most `stride` apart."""

    def starts(length: float) -> list[int]:
        steps = max(0, int(np.ceil((length - side) / stride)))
        return [round(step * (length - side) / steps) for step in range(steps + 1)] if steps else [0]

    return [(left, top) for top in starts(height) for left in starts(width)]
