"""Users' descriptor networks by manifest alone: input, alignment, version, bodies."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.common.errors import LunaError
from apps.recognition.engine.core import Engine
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.warps import WARP_TEMPLATE
from apps.recognition.networks.errors import NetworkError
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, ImageType, Plan
from tests.unit.recognition.estimators.one_colour import COLOUR, B, G, R, entry, seen
from tests.unit.recognition.graphs import (
    Graph,
    channel_means,
    engine_of,
    install,
)
from tests.unit.recognition.helpers import told
from tests.unit.recognition.pictures import encoded

TEMPLATE = [[25.0, 30.0], [75.0, 30.0], [50.0, 58.0], [30.0, 87.0], [70.0, 87.0]]


def descriptor(version: int, size: int, **alignment: Any) -> dict[str, Any]:
    return {
        "version": version, "dimension": 3, "raw_encoding": "uint8", "match_cosine": 0.5, "possible_cosine": 0.4,
        "calibration": [[-1.0, 0.0], [0.5, 0.8], [1.0, 1.0]], "calibrated_on": "nothing",
        "alignment": {
            "crop": [size, size], "template": TEMPLATE,
            "mesh_points": [[33, 133], [362, 263], [1], [61], [291]], "mirror_average": False, **alignment,
        },
    }  # fmt: skip


@pytest.mark.parametrize(("layout", "colour", "order"), [("NCHW", "BGR", (B, G, R)), ("NHWC", "RGB", (R, G, B))])
def test_a_face_descriptor_of_another_input(networks: Path, layout: str, colour: str, order: tuple[float, ...]) -> None:
    install(
        networks, channel_means(layout=layout, size=100).model(), name="tiny-face", task="face_descriptor",
        outputs=[{"name": "values", "shape": [3]}], descriptor=descriptor(2001, 100),
        entry={**entry(layout, colour, 100), "mean": [127.5], "std": [127.5], "crop_scale": 1.0},
    )  # fmt: skip
    found = seen(networks, "face_descriptor")
    expected = np.array([value * 2 - 1 for value in order])
    assert found.version == 2001
    np.testing.assert_allclose(found.vector, expected / np.linalg.norm(expected), atol=0.01)


class Spot(Graph):
    """The means of the left half, the right half and the spot of 8×8 px around the nose of an aligned 100×100 crop."""

    def __init__(self) -> None:
        super().__init__([3, 100, 100])
        means = [self.mean(0, 100, 0, 50), self.mean(0, 100, 50, 100), self.mean(54, 62, 46, 54)]
        self.node("Concat", *means, output="values", axis=1)
        self.output("values", [3])

    def mean(self, top: int, bottom: int, left: int, right: int) -> str:
        part = self.node(
            "Slice", "input", self.weight([top, left], np.int64), self.weight([bottom, right], np.int64),
            self.weight([2, 3], np.int64),
        )  # fmt: skip
        return self.reshaped(self.node("ReduceMean", part, axes=[1, 2, 3], keepdims=0), -1, 1)


@pytest.mark.parametrize("mirror", [False, True])
def test_alignment_and_mirror_average_follow_the_manifest(networks: Path, mirror: bool) -> None:
    install(
        networks, Spot().model(), name="tiny-face", task="face_descriptor",
        outputs=[{"name": "values", "shape": [3]}], descriptor=descriptor(2002, 100, mirror_average=mirror),
        entry=entry(size=100, crop_scale=1.0),
    )  # fmt: skip
    warp = np.zeros((250, 250, 3), np.uint8)
    x, y = WARP_TEMPLATE[2].astype(int)
    warp[:, :x] = 60
    warp[y - 15 : y + 16, x - 15 : x + 16] = 255  # the nose is white, the left half grey
    found = seen(networks, "face_descriptor", warp)
    left, right, nose = found.vector / found.vector[2]
    assert found.vector[2] > 0.9
    assert nose == 1
    assert bool(abs(left - right) < 0.02) is mirror


def test_every_installed_version_can_be_asked_for(networks: Path) -> None:
    install(
        networks, channel_means(size=100).model(), name="tiny-face", task="face_descriptor",
        outputs=[{"name": "values", "shape": [3]}], descriptor=descriptor(2003, 100),
        entry=entry(size=100, crop_scale=1.0), use=False,
    )  # fmt: skip
    default = seen(networks, "face_descriptor")
    assert default.version != 2003
    asked = seen(networks, "face_descriptor", descriptor_version=2003)
    assert (asked.version, len(asked.vector)) == (2003, 3)
    assert seen(networks, "face_descriptor", descriptor_version=default.version).version == default.version


def body_network(directory: Path, **keys: Any) -> None:
    spec = descriptor(2004, 100)
    del spec["alignment"]
    graph = channel_means(size=64)
    install(
        directory, graph.model(), name="tiny-body", task="body_descriptor", descriptor=spec | keys,
        outputs=[{"name": "values", "shape": [3]}], entry=entry(colour="BGR", size=64, crop_scale=1.0),
    )  # fmt: skip


def test_a_body_descriptor_is_made_from_the_body_warp(networks: Path) -> None:
    body_network(networks)
    warp = np.full((250, 128, 3), COLOUR, np.uint8)
    engine = engine_of(networks)
    try:
        plan = Plan(detect_face=False, detect_body=True, estimators=frozenset({"body_descriptor"}))
        result = Pipeline(engine, plan).process(ImageInput(encoded(warp), image_type=ImageType.BODY_WARP))
    finally:
        engine.close()
    (body,) = result.bodies
    found = told(body, "body_descriptor")
    assert found.version == 2004
    np.testing.assert_allclose(found.vector, np.array([B, G, R]) / np.linalg.norm([B, G, R]), atol=0.01)


def test_a_body_descriptor_has_no_alignment_of_faces(networks: Path) -> None:
    with pytest.raises(NetworkError, match=r"\[descriptor.alignment\] is required for face descriptors"):
        body_network(networks, alignment=descriptor(2004, 64)["alignment"])


def test_bodies_have_no_descriptors_without_a_network(engine: Engine) -> None:
    with pytest.raises(LunaError) as caught:
        Pipeline(engine, Plan(detect_body=True, estimators=frozenset({"body_descriptor"})))
    assert caught.value.code == 200005


def test_points_that_a_stored_warp_does_not_know_stop_the_start(networks: Path) -> None:
    spec = descriptor(2005, 100, mesh_points=[[33], [263], [2], [61], [291]])
    install(
        networks, channel_means(size=100).model(), name="tiny-face", task="face_descriptor", descriptor=spec,
        outputs=[{"name": "values", "shape": [3]}], entry=entry(size=100, crop_scale=1.0),
    )  # fmt: skip
    with pytest.raises(EngineError, match="tiny-face must be aligned to a square crop by the five landmarks"):
        engine_of(networks)
