"""What every detector head has in common: windows over the picture, thresholds, the way back to picture pixels.

Heads read the outputs in the order in which the manifest declares them; their names are free.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.detection import Detection, Window, letterboxed, suppressed
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.geometry import resample, square_transform
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


class Head(ABC):
    """One detector's reading. `last_sides`: what the last axis of each output must be, in the manifest's order.

    `mesh_scale`: the mesh network's crop in longer sides of the box. Boxes as WIDER FACE draws them, forehead to chin,
    are 1.25 times as high as BlazeFace's (median of 57 faces).
    """

    last_sides: ClassVar[tuple[int, ...]]
    mesh_scale: ClassVar[float] = 1.2

    def __init__(self, manifest: Manifest) -> None:
        self.spec = manifest.input
        self.outputs = manifest.outputs
        found = tuple(output.shape[-1] for output in manifest.outputs)
        if found != self.last_sides:
            raise EngineError(
                f"Network {manifest.name} has the head {manifest.head!r}: its outputs must end in "
                f"{list(self.last_sides)} values, not {list(found)}."
            )
        try:
            self.score_threshold = manifest.threshold("score")
            self.nms_iou = manifest.threshold("nms_iou")
        except NetworkError as error:
            raise EngineError(f"{error}.") from error

    def windows(self, image: Image) -> tuple[NDArray[np.uint8], list[Window]]:
        """The network's inputs for one picture, uint8 RGB [N, H, W, 3], and where each lies: the whole picture.

        Pictures are made smaller, never larger.
        """
        height, width = image.shape[:2]
        shape = self.input_shape(height, width)
        scale = min(1.0, shape[0] / height, shape[1] / width)
        return letterboxed(image, scale, shape)

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
        self, outputs: Mapping[str, Values], places: Sequence[Window], shape: tuple[int, int]
    ) -> list[Detection]:
        """The network's outputs for the windows of one picture (`shape`: their height and width) to its faces, best
        first.
        """
        values = [
            output.activated(outputs[output.name]).reshape(len(places), -1, output.shape[-1]) for output in self.outputs
        ]
        boxes, scores, points = self.candidates(values, *shape)
        chosen = np.nonzero(scores >= self.score_threshold)
        scales = np.array([place.scale for place in places], np.float32)[chosen[0], None, None]
        origins = np.array([(place.x, place.y) for place in places], np.float32)[chosen[0], None]
        corners = boxes[chosen].reshape(-1, 2, 2) / scales + origins
        keypoints = points[chosen] / scales + origins
        found = map(Detection, corners.reshape(-1, 4), scores[chosen].tolist(), keypoints)
        return suppressed(list(found), self.nms_iou)

    @abstractmethod
    def candidates(self, values: Sequence[Values], height: int, width: int) -> Candidates:
        """All anchors of inputs of this size; `values`: activated outputs [N, rows, last side]."""


def grid(height: int, width: int, stride: int, repeat: int = 1) -> Values:
    """Column and row of every cell of a feature map, `repeat` anchors a cell: float32 [cells × repeat, 2]."""
    rows, columns = np.mgrid[0 : -(-height // stride), 0 : -(-width // stride)]
    return np.repeat(np.stack([columns, rows], -1).reshape(-1, 2), repeat, 0).astype(np.float32)
