"""Detector heads by manifest alone: networks that see red squares, built here, must find them where they are.

Such a network proves the whole way: colour order, layout, normalisation, the grid's order, anchors, and the way back
from network pixels to the picture's.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.recognition.engine.core import Engine
from apps.recognition.engine.detection import suppressed
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.heads import HEADS, head_for
from apps.recognition.networks.manifest import HEADS as MANIFEST_HEADS
from apps.recognition.networks.specs import Manifest
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, Plan, Rect
from tests.unit.recognition.graphs import ANY, Graph, directory_with_embedded, engine_of, install
from tests.unit.recognition.pictures import astronaut, encoded

RED = (250, 10, 10)
COLUMN, ROW = 3, 2  # the cell that is red
THRESHOLDS = {"score": 0.5, "nms_iou": 0.4}
POINTS = [-0.5, -0.5, 0.5, -0.5, 0.0, 0.0, -0.5, 0.5, 0.5, 0.5]


class RedDetector(Graph):
    """Scores are the redness of a cell; all other values are the same for every cell."""

    def __init__(self, colour: str, layout: str, size: int | str, batch: int | str = "batch") -> None:
        super().__init__([3, size, size] if layout == "NCHW" else [size, size, 3], batch=batch)
        pixels = "input" if layout == "NCHW" else self.node("Transpose", "input", perm=[0, 3, 1, 2])
        weights = [1, -1, -1] if colour == "RGB" else [-1, -1, 1]
        redness = self.node("Conv", pixels, self.weight(np.reshape(weights, (1, 3, 1, 1))))
        self.redness = self.node("Clip", redness, self.weight(0.0), self.weight(1.0))
        self.declared: list[dict[str, Any]] = []

    def add(self, stride: int, factors: Sequence[float], values: Sequence[float], **options: Any) -> None:
        """An output for the cells of one stride: a row a cell and anchor, factor × redness + value."""
        self.put(self.rows(stride, factors, values, options.pop("anchors", 1)), len(factors), **options)

    def rows(self, stride: int, factors: Sequence[float], values: Sequence[float], anchors: int = 1) -> str:
        cells = self.node("AveragePool", self.redness, kernel_shape=[stride, stride], strides=[stride, stride])
        weight = self.weight(np.reshape(np.tile(factors, anchors), (-1, 1, 1, 1)))
        mixed = self.node("Conv", cells, weight, self.weight(np.tile(values, anchors)))
        return self.reshaped(self.node("Transpose", mixed, perm=[0, 2, 3, 1]), 0, -1, len(factors))

    def put(self, value: str, side: int, *, activation: str = "none", batch_axis: bool = True) -> None:
        name = f"out{len(self.declared)}"
        if batch_axis:
            self.node("Identity", value, output=name)
        else:
            self.reshaped(value, -1, side, output=name)
        self.output(name, ["rows", side], batch_axis=batch_axis)
        self.declared.append({"name": name, "shape": [0, side], "activation": activation, "batch_axis": batch_axis})


def made(tmp_path: Path, graph: RedDetector, head: str, *, colour: str, layout: str, size: int, **keys: Any) -> Engine:
    directory = directory_with_embedded(tmp_path)
    entry = {
        "shape": [3, size, size] if layout == "NCHW" else [size, size, 3], "layout": layout, "colour": colour,
        "mean": [0.0], "std": [255.0], **({} if size else {"multiple_of": 32}),
    }  # fmt: skip
    install(
        directory, graph.model(), name=f"tiny-{head}", task="face_detector", head=head, thresholds=THRESHOLDS,
        outputs=graph.declared, entry=entry, **keys,
    )  # fmt: skip
    return engine_of(directory)


def seen(engine: Engine, picture: np.ndarray) -> list[Any]:
    crops, places = engine.head.windows(picture)
    manifest = engine.manifest(engine.tasks["face_detector"])
    outputs = engine.run(manifest.name, manifest.input.tensor(crops), engine.deadline())
    windows = engine.head.decode(outputs, places, crops.shape[1:3], engine.head.score_threshold)
    return suppressed(chain.from_iterable(windows), engine.head.nms_iou)


def red_square(stride: int, height: int = 256, width: int = 256) -> np.ndarray:
    picture = np.full((height, width, 3), 20, np.uint8)
    picture[ROW * stride : (ROW + 1) * stride, COLUMN * stride : (COLUMN + 1) * stride] = RED
    return picture


def only(engine: Engine, picture: np.ndarray) -> Any:
    try:
        (found,) = seen(engine, picture)
    finally:
        engine.close()
    assert found.score == pytest.approx((RED[0] - 2 * RED[1]) / 255, abs=0.02)
    return found


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("size", [0, 256])
def test_yunet(tmp_path: Path, stride: int, size: int) -> None:
    graph = RedDetector("BGR", "NCHW", size or ANY)
    for _ in ("cls", "obj"):
        for each in (8, 16, 32):
            graph.add(each, [float(each == stride)], [0.0])
    for factors, values in (([0.0] * 4, [0.5, 0.5, np.log(2), np.log(4)]), ([0.0] * 10, POINTS)):
        for each in (8, 16, 32):
            graph.add(each, factors, values)
    engine = made(tmp_path, graph, "yunet", colour="BGR", layout="NCHW", size=size)
    found = only(engine, red_square(stride, size or 128))
    x, y = (COLUMN + 0.5) * stride, (ROW + 0.5) * stride
    np.testing.assert_allclose(found.box, [x - stride, y - 2 * stride, x + stride, y + 2 * stride], atol=0.01)
    np.testing.assert_allclose(found.keypoints[1], [(COLUMN + 0.5) * stride, (ROW - 0.5) * stride], atol=0.01)


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_scrfd_without_batch_axis(tmp_path: Path, stride: int) -> None:
    """As InsightFace's files are: one picture, rows of all cells without a first axis; here with logits."""
    graph = RedDetector("RGB", "NCHW", 256, batch=1)
    options = {"anchors": 2, "batch_axis": False}
    for each in (8, 16, 32):
        graph.add(each, [80.0 * (each == stride)], [-80.0 + 40.0 * (each == stride)], activation="sigmoid", **options)
    for each in (8, 16, 32):
        graph.add(each, [0.0] * 4, [1.0, 2.0, 3.0, 4.0], **options)
    for each in (8, 16, 32):
        graph.add(each, [0.0] * 10, POINTS, **options)
    engine = made(tmp_path, graph, "scrfd", colour="RGB", layout="NCHW", size=256, batch_sizes=[1])
    try:
        (found,) = seen(engine, red_square(stride))
    finally:
        engine.close()
    x, y = COLUMN * stride, ROW * stride
    assert found.score > 0.99
    np.testing.assert_allclose(found.box, [x - stride, y - 2 * stride, x + 3 * stride, y + 4 * stride], atol=0.01)
    np.testing.assert_allclose(found.keypoints[0], [x - stride / 2, y - stride / 2], atol=0.01)


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_retinaface(tmp_path: Path, stride: int, layout: str) -> None:
    graph = RedDetector("BGR", layout, 256)
    strides = (8, 16, 32)
    box = [graph.rows(each, [0.0] * 4, [0.0, 1.0, 0.0, 5 * np.log(2)], 2) for each in strides]
    # The first anchor of the cell alone: half of the rows of two anchors are the second's.
    score = [graph.rows(each, [-1.0, 1.0, 0, 0], [1.0, 0.0, 1, 0]) for each in strides]
    points = [graph.rows(each, [0.0] * 10, POINTS, 2) for each in strides]
    graph.put(graph.node("Concat", *box, axis=1), 4)
    chosen = [
        graph.reshaped(
            rows if each == stride else graph.node("Mul", rows, graph.weight([1.0, 0.0, 1.0, 0.0])), 0, -1, 2
        )
        for each, rows in zip(strides, score, strict=True)
    ]
    graph.put(graph.node("Concat", *chosen, axis=1), 2)
    graph.put(graph.node("Concat", *points, axis=1), 10)
    engine = made(tmp_path, graph, "retinaface", colour="BGR", layout=layout, size=256)
    found = only(engine, red_square(stride))
    anchor = {8: 16, 16: 64, 32: 256}[stride]
    x, y = (COLUMN + 0.5) * stride, (ROW + 0.5) * stride + 0.1 * anchor
    half = anchor / 2
    np.testing.assert_allclose(found.box, [x - half, y - 2 * half, x + half, y + 2 * half], rtol=1e-4, atol=0.01)
    eye = [x - 0.05 * anchor, (ROW + 0.5) * stride - 0.05 * anchor]
    np.testing.assert_allclose(found.keypoints[0], eye, rtol=1e-4, atol=0.01)


@pytest.mark.parametrize("stride", [16, 32])
def test_blazeface(tmp_path: Path, stride: int) -> None:
    graph = RedDetector("RGB", "NHWC", 256)
    for each, anchors in ((16, 2), (32, 6)):
        on = float(each == stride)
        graph.add(each, [80.0 * on], [-80.0 + 40.0 * on], anchors=anchors, activation="sigmoid")
    for each, anchors in ((16, 2), (32, 6)):
        graph.add(each, [0.0] * 16, [1.0, 2.0, 30.0, 40.0, *[5.0, -5.0] * 6], anchors=anchors)
    engine = made(tmp_path, graph, "blazeface", colour="RGB", layout="NHWC", size=256)
    try:
        (found,) = seen(engine, red_square(stride))
    finally:
        engine.close()
    x, y = (COLUMN + 0.5) * stride, (ROW + 0.5) * stride
    np.testing.assert_allclose(found.box, [x + 1 - 15, y + 2 - 20, x + 1 + 15, y + 2 + 20], atol=0.01)
    np.testing.assert_allclose(found.keypoints, [[x + 5, y - 5]] * 6, atol=0.01)


def test_a_users_detector_serves_the_whole_chain(tmp_path: Path) -> None:
    """A red square painted over a face: the box that the network gives leads the mesh to the face."""
    graph = RedDetector("RGB", "NCHW", 512)
    for each in (8, 16, 32):
        graph.add(each, [float(each == 32)], [0.0], anchors=2)
    for each in (8, 16, 32):
        graph.add(each, [0.0] * 4, [1.2, 1.6, 1.6, 1.6], anchors=2)
    for each in (8, 16, 32):
        graph.add(each, [0.0] * 10, POINTS, anchors=2)
    engine = made(tmp_path, graph, "scrfd", colour="RGB", layout="NCHW", size=512)
    picture = astronaut().copy()
    picture[3 * 32 : 4 * 32, 7 * 32 : 8 * 32] = RED  # on the nose
    try:
        (face,) = Pipeline(engine, Plan()).process(ImageInput(encoded(picture))).faces
        assert face.rect == Rect(186, 45, 89, 102)
    finally:
        engine.close()
    assert face.landmarks5[0][0] < 225 < face.landmarks5[1][0]


def blazeface(engine: Engine) -> Manifest:
    return engine.manifest("blazeface")


def test_an_unknown_head_stops_the_start_with_one_sentence(engine: Engine) -> None:
    with pytest.raises(
        EngineError, match=r"^Network blazeface has the unknown head 'fancy': it must be one of .*scrfd.*\.$"
    ):
        head_for(replace(blazeface(engine), head="fancy"))


def test_outputs_of_another_head_stop_the_start(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"blazeface.*'yunet'.*must end in \[1, 1,.*not \[1, 1, 16, 16\]\.$"):
        head_for(replace(blazeface(engine), head="yunet"))


def test_a_detector_without_thresholds_stops_the_start(engine: Engine) -> None:
    with pytest.raises(EngineError, match="has no threshold `score`"):
        head_for(replace(blazeface(engine), thresholds=()))


def test_every_head_of_the_manifests_is_there() -> None:
    assert tuple(HEADS) == MANIFEST_HEADS


def test_a_free_size_is_seen_in_few_shapes(engine: Engine) -> None:
    spec = replace(blazeface(engine).input, shape=(0, 0, 3), multiple_of=32)
    head = HEADS["retinaface"](replace(blazeface(engine), input=spec, outputs=_outputs((4, 2, 10))))
    shapes = {head.input_shape(height, width) for height in range(1, 2000, 97) for width in range(1, 2000, 89)}
    assert shapes <= set(head.warm_up_shapes())
    assert len(head.warm_up_shapes()) <= 25
    assert all(side % 32 == 0 and side <= 640 for shape in shapes for side in shape)


def _outputs(sides: Sequence[int]) -> tuple[Any, ...]:
    from apps.recognition.networks.specs import OutputSpec

    return tuple(OutputSpec(f"out{side}", (0, side), "") for side in sides)
